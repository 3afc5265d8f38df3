// Every number of the protocol in one table, each with its reason. docs/PROTOCOL.md prints it.
// Numbers of one process only (queue lengths, ports, time-outs of a server) stand in that folder's limits.ts.

export const limits = {
  // Encoding
  depthMax: 16, // deeper nesting has no use and costs stack
  valuesMax: 65_536, // map keys count; bounds the work of one decode
  documentBytesMax: 1_000_000, // what fits the largest padded body

  // Names
  memberNameMax: 32,
  relayNameMax: 64,
  contentTypeBytesMax: 64,

  // Envelope
  recipientsMax: 256, // 196 members, partners, and room to grow
  headerBytesMax: 24_576, // 256 recipients with the longest names
  leafBytesMax: 1_300, // wrap of 1,168 bytes, name, incarnation, channel
  wrapBytes: 1_168, // X-Wing enc 1,120 + sealed content key 48
  slicePathMax: 8, // log2 of 256
  tombstoneBytesMax: 30_720, // header, slice and receipt with their auths, no body
  bodyBytesMin: 328, // 56 + 256 + 16: the smallest padded content
  bodyBytesMax: 1_049_672, // 1 MiB padded, 65 tags, salt and commitment
  paddedMin: 256, // below this a size tells the kind of message
  paddedMax: 1_048_576,
  lifetimeSecondsMax: 1_209_600, // 14 d: prekeys are erased 15 d after their day
  futureSecondsMax: 300, // clocks may differ by 5 min
  batchMax: 512, // statements under one signature: path of at most 9
  batchPathMax: 9,
  reportedRelaysMax: 16, // that had custody of a message that missed its deadline
  controlsAheadMax: 1_024, // controls that came after later ones; they go by several relays
  channelHoldMax: 1_024, // messages held for a gap in one channel

  // Attachments
  attachmentBytesMax: 2_147_483_648, // 2 GiB padded: larger files belong elsewhere
  attachmentsMax: 64,
  attachmentNameBytesMax: 255, // what file systems take
  attachmentEagerBytesMax: 20_000_000, // fetched before DELIVERED; larger ones on request

  // Log
  entryBytesMax: 65_535, // u16 length in a bundle
  noteBytesMax: 524_288,
  noteLinesMax: 100, // Go's sumdb/note refuses more
  headNoteBytesMax: 1_024,
  shardNoteBytesMax: 16_384,
  proofHashesMax: 63,
  promiseSeconds: 60, // an entry must be under a checkpoint this soon
  checkpointSeconds: 1, // how long an entry waits for its checkpoint
  idleCheckpointSeconds: 60, // an idle log is signed again, so that a frozen view shows
  seqAheadMax: 1_024, // frames of one node may overtake each other
  seqGapSeconds: 3_600, // after this a missing number is a finding
  checkpointAgeSecondsMax: 600, // a live log older than this cannot be judged
  bundleEntries: 256,
  policyItemsMax: 32, // logs, witnesses and groups each: other readers promise no more
  forkFileBytesMax: 2_097_152, // two notes of 512 KiB in JSON spelling

  // Directory
  statementBytesMax: 60_000, // stands in one log entry; a roster of 256 members is 20 KB
  custodiansMax: 32,
  rootKeysMax: 16,
  membersMax: 1_024,
  nodeKeySecondsMax: 7_776_000, // 90 d
  standbyKeySecondsMax: 31_536_000, // 1 y unused; then it lives as a node key
  nodeKeyRestSeconds: 1_209_600, // envelopes stop 14 d before a node key ends: mail in transit stays valid
  officerKeySecondsMax: 7_776_000, // 90 d
  rosterSecondsMin: 31_536_000, // 1 y: an expired roster would stop the network
  rosterGraceSeconds: 2_592_000, // 30 d
  prekeyPeriodDays: 28,
  prekeyAheadDays: 28, // how far ahead keys are published
  prekeyKeepDays: 15, // longest lifetime of mail and one day
  statementExchangeSeconds: 60, // relays tell each other new statements this soon
  delegationDepthMax: 3,
  bundledStatementsMax: 20_000, // a year of 196 members' statements
  directoryBundleBytesMax: 33_554_432,
  joinRequestBytesMax: 1_048_576,
  evidenceFileBytesMax: 67_108_864, // two directory logs of 196 members, in base64

  // Time
  clockSkewSecondsMax: 300,
  cosignatureLagSeconds: 90, // an idle log is cosigned once a minute, and shown with its lines 20 s later
  secondsPerDay: 86_400,

  // Links
  frameBytesMax: 262_144, // ws maxPayload
  chunkBytes: 16_384, // at most; a flash overtakes everything within one chunk
  chunksPerWindow: 4, // smaller chunks on slow links: several in transit, or the wire rests a round trip
  messageBytesMax: 1_572_864, // header, 256 leaves, body
  helloSeconds: 3, // connect-and-wait is ended
  windowBytesMin: 16_384, // unacknowledged bulk: max(this, rate × windowMs)
  windowMs: 250,
  windowBytesMax: 1_048_576, // what a link may have unacknowledged at most
  bodyPartBytesMax: 131_072, // one step of an attachment's transfer: what a break repeats
  windowRoundTrips: 1.5, // on long paths the window is rate × this × round trip, else it would only shrink
  rateSamples: 10, // the window follows the quickest of the last acknowledgements
  streamsMax: 6, // messages in transit on one link and direction: one a lane
  chunkChargeMin: 256, // what the smallest chunk costs its receiver; credit is counted in charges
  creditBytes: 2_097_152, // unacknowledged in all: the largest window, and flash and control beyond it
  unhandledBytesMax: 2_097_152, // received and not handled: beyond it nothing is acknowledged
  laneQueueBytesMax: 2_097_152, // one largest message and more behind it; what waits further stays on disk
  passedOverMax: 16, // then a lower lane gets one chunk: nothing starves, flash keeps 16 of 17
  pingAfterMs: 3_000, // a dead link shows soon, and NATs forget none
  deadAfterMs: 9_000, // a ping and ten round trips of the worst link; below the 10 s in which a healed network delivers

  // Backups
  backupFrameBytesMax: 8_388_608, // the longest record and room; so much memory a reader takes
  backupKeyBytesMax: 1_024,
  backupPathBytesMax: 1_024,

  // Courier files
  courierFrameBytesMax: 2_097_152, // the longest link message, and room; so much memory a reader takes

  // Receipts and ids
  idKeepSeconds: 7_776_000, // 90 d: a late duplicate gets its stored receipt
  reasonBytesMax: 64,
} as const
