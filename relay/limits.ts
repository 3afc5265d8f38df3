// Numbers of the relay's process alone, each with its reason. What crosses the wire is in protocol/limits.ts.

export const relayLimits = {
  // Group commit
  commitIntentsMax: 256, // one synced batch; more wait one disk write longer
  commitBodyBytesMax: 4_194_304, // fits a segment's half; a write of 4 MiB takes 10 ms
  waitingIntentsMax: 4_096, // then submits are answered `busy` within their deadline

  // Bodies
  segmentBytes: 8_388_608, // small enough that a segment is given back soon after its mail went
  diskReserveBytes: 16_777_216, // room for receipts, log entries and compaction when submits are refused
  diskCheckMs: 1_000,

  // Queues and delivery
  windowItems: 16, // unanswered deliveries of one lane to one peer
  windowBytes: 4_194_304, // … and their bodies: what a slow peer can hold in our memory
  readAheadItems: 16,
  forwardPatienceMs: 5_000, // a dead next relay must not hold a flash
  retargetItems: 64, // per commit while a dead relay's queue is moved
  memberBytesMax: 1_073_741_824, // waiting for one member: 1 GiB, a month of an office's mail
  outboundBytesMax: 4_194_304, // answers that wait for one link; beyond it requests wait

  // Signatures
  verifiedBatchesMax: 4_096, // remembered batch equations: 32 bytes each

  // Logs
  clockAheadSeconds: 300, // a log whose last entry is later than this refuses to append
  headsSeconds: 600, // other relays' heads into our log
  trafficHeadSeconds: 3_600, // our traffic head into the directory log
  publishedCosignatures: 31, // lines in the published checkpoint: Go's note reader refuses 101

  // Time
  sweepMs: 1_000,
  sweepItems: 128, // expired items per commit
  uploadKeepSeconds: 86_400, // an attachment that no envelope names

  // Links
  linksMax: 600,
  linksPerAddressMax: 64, // a lab has all its nodes on one address
  linksPerMemberMax: 8,
  bufferedBytesMax: 3_145_728, // a peer that never reads; above the 2 MiB of credit that a burst may use
  bufferedCheckMs: 250,
  tickMs: 1_000,
  dialMs: 250, // first wait before dialling again; doubles
  dialMsMax: 15_000,
  requestsMax: 1_024, // of ours that a peer has not answered

  // HTTP
  headersMs: 3_000,
  requestMs: 5_000,
  keepAliveMs: 5_000,
  checkMs: 1_000,
  headerBytesMax: 8_192,
  connectionsMax: 600,
  requestsPerMinute: 1_200, // an auditor fetching 256-entry bundles of a million entries needs minutes
  statementsPerMinute: 600, // a roster change of 196 members
  joinsPerMinute: 10,
  auditorClockSeconds: 300, // how old an auditor's signature may be
  probeBytesMax: 256,
} as const
