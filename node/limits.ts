// Numbers of a node's process alone, each with its reason. What crosses the wire is in protocol/limits.ts.

export const nodeLimits = {
  // Storage
  recordBytesMax: 4_194_304, // one sealed envelope: header, 256 leaves, body, and room
  commitBytesMax: 8_388_608, // one group commit: memory that waits for one fsync
  listPage: 256, // records read at once while walking a table
  startCheckBytesMax: 268_435_456, // of database tables, newest first: a second; the scrub reads the rest
  diskReserveBytes: 33_554_432, // below it no new mail: receipts, log statements and a merge of tables find room
  fullRetrySeconds: 30, // when a relay is to come again to a node whose disk is full
  retentionEveryMs: 86_400_000, // a day more or less does not matter after 90
  retentionRecords: 2_048, // small ones looked at a minute: 3 million a day
  retentionBatches: 32, // of receipts, looked at a minute: one may have 300 KiB
  backupPage: 16, // records in memory at once for a backup; one may have 4 MiB

  // Attachments
  attachmentTtlSeconds: 86_400, // uploaded and never sent: forgotten after a day
  streamPieceBytes: 262_144, // read from disk at once while verifying and decrypting

  // Sending
  submitsInFlight: 16, // envelopes handed to relays at once: 16 MiB of bodies at most
  answerPatienceMs: 10_000, // then the same bytes go through the next relay
  deadlinesPerTick: 64, // missed ones, each a signature and a synced commit
  noteRepeatMs: 30_000, // until a desk has heard it; then twice as long each time
  noteRepeatMsMax: 3_600_000,
  escalationsOpenMax: 10_000, // of one member at the desk: more say nothing new
  escalationsClosedMax: 2_000, // of one member at the desk, with their outcome: of more the older half goes
  handAgainMsMax: 3_600_000, // what all relays took and nobody received is handed in again this often
  retryMs: 5_000, // after a refusal that names no time, and while no relay is linked
  resealsMax: 3, // a recipient that loses its prekeys again and again is told to its operator
  receiptPatienceMs: 3_000, // receipts wait so long for the relay that delivered, then take another
  custodyWaitMs: 8_000, // how long `send` waits for custody before it says "queued"
  slowestBytesPerMs: 1_000, // and 1 s more for each MB of attachments
  custodyWaitMsMax: 100_000, // clients give up after 120 s
  linkGraceMs: 500, // a link that is down may be on its way up

  // Receiving
  gapPatienceMs: 2_000, // two relays deliver side by side: a short gap mostly fills by itself
  gapRepeatMs: 30_000, // then twice as long each time
  gapRepeatMsMax: 3_600_000, // a sender that is away for days is asked once an hour
  handAgainPauseMs: 10_000, // one message to one who asks again and again: it may be 1 MB each time
  handAgainRemembered: 4_096,
  bodiesWantedMax: 1_024, // asked for and not here; of more the oldest are asked for anew
  gapAsksPerTick: 16, // controls, each signed and stored
  catchUpPauseMs: 5_000, // after a restore: what a sender answers at once, 256 messages, is here by then
  catchUpPauseMsMax: 3_600_000, // a sender may be away for days
  catchUpIncarnations: 4, // of each sender: older ones have nothing that has not expired
  courierBytesMax: 68_719_476_736, // 64 GiB, what a courier's disk holds; streamed
  courierEntries: 16, // of a directory log in one frame of a courier's file; one may have 64 KiB
  refreshPauseMs: 1_000, // a relay's directory is fetched again for doubtful keys at most this often

  // Directory and prekeys
  statementsWaitingMax: 512, // of one relay or log, for an earlier one; 30 MB at most
  prekeyPrefetchDays: 14, // sealing works so long without any relay
  sealedMissesMax: 16, // sealed receipts of one message that no key opens: the rest of it is not tried
  sealedMissesPerMinute: 64, // of one relay; each costs an opening for each key held
  sealedTryDays: 32, // sealed receipts name no key: today's first, then back as far as keys are held
  linkKeyRenewSeconds: 604_800, // a new link key is published a week before the old one ends
  directoryPollMs: 2_000, // while waiting for the roster to name this node

  // Links
  reconnectFirstMs: 250,
  reconnectMsMax: 4_000, // a healed network delivers within 10 s; 200 nodes at a dead relay are 70 tries a second
  connectMs: 10_000, // TCP, TLS and WebSocket on the worst path
  tickMs: 250, // how often a link looks for pings and silence
  answerMsMax: 60_000, // a relay that answers pings and no requests; a commit on a slow disk takes 10 s
  slowestLinkBytesPerMs: 8, // what is queued before a request leaves first: a quarter of 256 kbit/s
  socketBufferBytesMax: 1_048_576, // a peer that does not read is ended
  httpsAnswerBytesMax: 33_554_432,
  httpsTimeoutMs: 10_000,

  // Officers
  sessionIdleMs: 900_000, // 15 minutes
  sessionsMax: 4_096,
  wrongSecretsMax: 5, // then signing in as that officer waits
  wrongSecretPauseMs: 30_000,
  journalAnchorMs: 600_000, // the journal's head goes to the log every 10 minutes when it changed

  // Alarms, each with up to 1 MiB of evidence and caused by whom it is about
  alarmsAboutOneMax: 64, // of one kind: more say nothing new
  alarmsOfKindMax: 1_024, // names can be made up

  // Upkeep
  upkeepMs: 60_000,
  overdueCheckMs: 2_000,
  sealsPerTick: 16, // messages that had no key; all of them are tried once a minute

  // HTTP (slowloris, header floods, idle sockets)
  httpHeaderBytesMax: 8_192,
  httpHeadersMs: 3_000,
  httpBodyMs: 5_000,
  httpUploadMs: 1_800_000, // 2 GiB over a slow disk; only signed-in officers on this machine
  httpLingerMs: 30_000, // for the sender of a refused upload to read why, on a slow machine
  httpKeepAliveMs: 5_000,
  httpCheckMs: 1_000,
  httpConnectionsMax: 600,
  messageBodyBytesMax: 1_048_576, // a document of 1,000,000 bytes and its envelope of JSON
  smallBodyBytesMax: 65_536,
  inboxPageMax: 1_000,
} as const
