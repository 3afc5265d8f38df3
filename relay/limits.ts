// Numbers of the relay's process alone, each with its reason. What crosses the wire is in protocol/limits.ts.

export const relayLimits = {
  // Group commit
  commitIntentsMax: 256, // one synced batch; more wait one disk write longer
  commitBodyBytesMax: 4_194_304, // fits a segment's half; a write of 4 MiB takes 10 ms
  waitingIntentsMax: 4_096, // then submits are answered `busy` within their deadline

  // Checks
  startCheckBytesMax: 268_435_456, // of database tables, newest first: a second; the scrub reads the rest

  compactEveryMs: 21_600_000, // what was removed gives its room back within six hours; reads the whole database

  scrubEveryMs: 86_400_000, // everything once a day
  scrubStepMs: 1_000,
  scrubStepBytes: 8_388_608, // a second: a disk's few percent, and 1 TB in a day and a half
  scrubItemBytes: 4_096, // what looking at one costs at least
  scrubRecords: 256, // read at once

  // Fairness among members that submit
  submitsInHandMax: 24, // looked at and committed at once: a commit stays short, and a flash waits for one
  flashesInHandMax: 24, // beyond these: a flash does not wait for room
  turnBytes: 16_384, // what a member may hand over when its turn comes, and then the next one's comes
  turnItemBytes: 4_096, // what a message costs beside its bytes: checks, log entry, records
  memberWaitingMax: 64, // submits of one member that wait for their turn, flashes apart; more are `busy`
  memberWaitingBytesMax: 4_194_304, // … and their bytes: four of the largest
  turnPatienceMs: 250, // then `busy`: with the commit, an answer within a second, never silence
  turnCheckMs: 100,
  refusalMs: 100, // a member beyond its share hears so after this …
  refusalMsEach: 2, // … and this for each that hears it already: asking again at once gets no more work of us
  refusalMsMax: 700, // still within a second
  busySeconds: 2, // when to come again, at the least
  busySecondsMax: 30, // … and at the most: when many more come than can be taken

  // Bodies
  segmentBytes: 8_388_608, // small enough that a segment is given back soon after its mail went
  diskReserveBytes: 16_777_216, // room for receipts, log entries and compaction when submits are refused
  diskCheckMs: 1_000,
  diskSampleMs: 600_000, // 145 samples a day tell how fast it fills
  diskForecastMs: 3_600_000, // what an hour tells is better than nothing; a minute's is noise

  // Queues and delivery
  windowItems: 16, // unanswered deliveries of one lane to one peer
  windowBytes: 4_194_304, // … and their bodies: what a slow peer can hold in our memory
  readAheadItems: 16,
  deliverAgainMs: 60_000, // taken and not settled: the receipt was lost, or the peer has forgotten
  forwardPatienceMs: 5_000, // a dead next relay must not hold a flash
  answerPatienceMs: 20_000, // for a relay's answers to mail: beyond what a busy disk takes, below a flash's deadline
  silentMs: 60_000, // then a relay that did not answer is tried again
  drainGraceMs: 10_000, // a submit that was under way when the relay began to be emptied
  evidenceBytesMax: 65_536, // receipts of one queue item: a page of them stays small, whatever came at once
  retargetItems: 64, // per commit while a dead relay's queue is moved
  retargetPages: 16, // of them in one turn: a thousand items a second, or as many that cannot be moved
  memberReceiptsBytesMax: 268_435_456, // of one member's receipts that wait for others: 130,000 sealed ones
  memberWordsBytesMax: 67_108_864, // controls and tombstones that wait for one member: 25,000
  memberBytesMax: 1_073_741_824, // waiting for one member: 1 GiB, a month of an office's mail
  outboundBytesMax: 4_194_304, // answers of one sort that wait for one link; beyond it requests wait

  // Signatures
  verifiedBatchesMax: 4_096, // remembered batch equations: 32 bytes each

  // Logs
  clockAheadSeconds: 300, // a log whose last entry is later than this refuses to append
  logStartMs: 3_000, // after the first peer has answered, for the others to come back; a flash waits for it
  logStartAloneMs: 15_000, // while nobody is linked there is no mail: only a statement by HTTPS waits
  headsSeconds: 600, // other relays' heads into our log
  trafficHeadSeconds: 3_600, // our traffic head into the directory log
  headsForWitnessesMax: 64, // checkpoints that a quorum may still cosign: 16 s of one each 250 ms
  cosignaturesMs: 20_000, // nodes are shown what the quorum cosigned at most so often
  publishedCosignatures: 31, // lines in the published checkpoint: Go's note reader refuses 101

  // Time
  clockAskMs: 60_000, // peers whose time differs say it anew on a new link, while it is not known who is right
  sweepMs: 1_000,
  sweepItems: 512, // due items looked at and ended in one commit
  expiryMs: 250, // 2,000 due items a second: what 400 messages a second leave behind
  sweepBytesMax: 4_194_304, // tombstones written in one commit, and one message's more
  uploadKeepSeconds: 86_400, // an attachment that no envelope names

  // Links
  linksMax: 600,
  linksPerAddressMax: 64, // a lab has all its nodes on one address
  linksPerMemberMax: 8,
  handshakesPerAddressMax: 64, // TLS handshakes under way: a lab's nodes all at once
  bufferedBytesMax: 3_145_728, // a peer that never reads; above the 2 MiB of credit that a burst may use
  bufferedCheckMs: 250,
  tickMs: 1_000,
  cloneProbeMs: 1_500, // a process on the slowest link answers a ping within its round trip of 600 ms
  dialMs: 250, // first wait before dialling again; doubles
  dialMsMax: 4_000, // a healed network delivers within 10 s
  requestsMax: 1_024, // of ours that a peer has not answered

  // Operators
  probeMs: 10_000, // an echo over the worst link takes a second or two
  statusMembersMax: 1_024, // as many as a roster may name
  searchItemsMax: 4_096, // of a relay's queue, when mail for one member is looked for
  socketPathBytesMax: 100, // a Unix socket's path has 108 at most, with its end

  // HTTP
  headersMs: 3_000,
  requestMs: 5_000,
  keepAliveMs: 5_000,
  checkMs: 1_000,
  headerBytesMax: 8_192,
  connectionsMax: 600,
  connectionsPerAddressMax: 256, // one address cannot take them all; a lab has its nodes on one
  requestsPerMinute: 1_200, // an auditor fetching 256-entry bundles of a million entries needs minutes
  statementsPerMinute: 600, // a roster change of 196 members
  joinsPerMinute: 10,
  auditorClockSeconds: 300, // how old an auditor's signature may be
  probeBytesMax: 256,
} as const
