// Numbers of the command alone, each with its reason.

export const cliLimits = {
  keyFileBytesMax: 262_144, // as keys/ opens them
  textFileBytesMax: 262_144, // 50,000 characters of four bytes and some room
  documentFileBytesMax: 4_000_000, // JSON spells a document at up to four times its packed size
  statementFileBytesMax: 1_048_576, // a roster or a join request
  responseBytesMax: 67_108_864, // one JSON answer of a node; attachments are streamed past this
  secretFileBytesMax: 4_096, // a passphrase or 32 bytes

  restoreCommitBytes: 4_194_304, // records put back in one synced commit: memory against fsyncs
  restoreCommitRecords: 4_096,

  stopPatienceMs: 8_000, // a process gets this long to finish what it has in hand, then it is killed
  readyPatienceMs: 60_000, // a first start opens the store and loads the directory
  restartFirstMs: 200, // a process that dies at once must not eat the machine
  restartMostMs: 5_000,
  restartCalmMs: 30_000, // having lived so long, the next restart is quick again
  drainPollMs: 1_000, // a relay hands on once a second
  joinPollMs: 500, // how soon a lab's custodians see a join request
  requestMs: 120_000, // a node answers a send within its own custody wait
  livezMs: 3_000, // a check that takes longer is a finding

  slowReceiptSeconds: 60, // a node signs DELIVERED within a second of storing

  certificateSeconds: 63_072_000, // 2 y: a lab that is found again after a year still starts
  custodians: 3,
  custodianThreshold: 2,
  containerPorts: { linksPort: 7_443, httpsPort: 8_443, nodePort: 7_440 }, // docker-compose.yml has them too
  labRelaysMax: 16,
  labMembersMax: 64, // each node is a process of its own
  invitationSeconds: 1_209_600, // 14 d, as long as a letter may take
  diskFreeBytesMin: 1_000_000_000, // below this an attachment may not fit
  repairBatch: 1_000, // records in one synced write while a database is made anew
  warnDays: 30, // keys and rosters are reported from here on
} as const
