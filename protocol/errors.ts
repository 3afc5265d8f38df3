// The one closed table of errors. Peers, scripts and officers meet the code; docs/PROTOCOL.md prints the table.
//
// Each row: HTTP status · exit code of the `chappe` command · what happened · what to do next.
// Exit codes: 1 refused or failed, 2 usage, 3 a verification found tampering.

type Row = readonly [http: number, exit: 1 | 2 | 3, sentence: string, next: string]

const table = {
  // Bytes
  "not-canonical": [
    400,
    1,
    "the bytes are not in the canonical form",
    "ask the sender to send it again; if it repeats, report the sender's software",
  ],
  size: [
    413,
    1,
    "something is larger or shorter than its layout allows",
    "send less at once; the limits are in docs/PROTOCOL.md",
  ],

  // Envelopes, in the order of the receiver's checks (docs/PROTOCOL.md, "Release order")
  duplicate: [200, 1, "this message was received before", "nothing: the first receipt stands"],
  suite: [
    422,
    1,
    "the cipher suite is unknown or below the minimum that the roster sets",
    "update the software of the sender",
  ],
  entry: [
    422,
    1,
    "the accepting relay's log entry, salt or promise does not fit the message",
    "ask the relay's operator; keep the message as evidence",
  ],
  "sender-key": [
    422,
    1,
    "the sending node's key was not valid where the relay accepted the message",
    "refresh the directory; if it repeats, call the sender",
  ],
  signature: [
    422,
    1,
    "a signature does not hold",
    "keep the message as evidence and tell the sender by another way",
  ],
  "too-early": [422, 1, "the message is dated in the future", "check both clocks"],
  expired: [410, 1, "the message expired before it arrived", "ask the sender to send it again"],
  "not-for-me": [422, 1, "the message is not addressed to this node", "tell the relay's operator"],
  slice: [
    422,
    1,
    "the recipient's slice does not belong to this message",
    "keep the message as evidence and tell the relay's operator",
  ],
  "channel-fork": [
    409,
    1,
    "two different messages claim the same place in a channel",
    "call the sender: its node was cloned, or it lies; both headers are kept",
  ],
  tombstone: [
    422,
    1,
    "this receipt may not settle a message's number",
    "nothing: the number stays open; if it repeats, tell the relay's operator",
  ],
  body: [
    422,
    1,
    "the body does not have the length or hash that the header names",
    "the node asks another relay by itself",
  ],
  "prekey-gone": [
    410,
    1,
    "the key this message was sealed to has been erased",
    "the sender's node seals it again by itself",
  ],
  wrap: [
    422,
    1,
    "the recipient's key does not open its slice",
    "tell the sender; the slice is kept as evidence",
  ],
  "key-commitment": [
    422,
    1,
    "the body was sealed under another key than the slice gives",
    "tell the sender; the slice is kept as evidence",
  ],
  chunk: [422, 1, "a part of the encrypted body was changed", "ask for the message again"],
  padding: [422, 1, "the padding is not of the exact form", "tell the sender's operator"],
  "officer-key": [
    422,
    1,
    "the officer who signed is not enrolled at the sending member",
    "call the sender",
  ],
  capability: [
    403,
    1,
    "the officer may not do this",
    "ask a supervisor for the capability that the message names",
  ],
  "officer-signature": [
    422,
    1,
    "the officer's signature does not hold",
    "keep the message as evidence and call the sender",
  ],
  recipients: [
    422,
    1,
    "the recipients that the officer signed differ from those on the envelope",
    "keep the message as evidence and call the sender",
  ],
  "content-commitment": [
    422,
    1,
    "the content is not the one that the envelope commits to",
    "keep the message as evidence: it convicts the sender",
  ],
  room: [422, 1, "the recipients are not the room's members", "refresh the directory"],
  "hq-missing": [
    422,
    1,
    "a diffusion must go to the HQ desk too",
    "send it again with the HQ desk among the recipients",
  ],
  document: [
    422,
    1,
    "the document does not have the form that its type asks for",
    "correct the field that the message names",
  ],

  // Log
  commitment: [
    422,
    3,
    "a log commitment does not open to what it is said to cover",
    "keep both: they convict whoever signed",
  ],
  "entry-signature": [
    422,
    3,
    "the signature of a log statement does not hold",
    "keep the log directory as evidence and tell the custodians",
  ],
  "entry-layout": [
    422,
    3,
    "a log entry does not have a known layout",
    "keep the log directory as evidence and tell the custodians",
  ],
  "entry-order": [
    422,
    3,
    "time or directory size falls along the log",
    "keep the log directory as evidence and tell the custodians",
  ],
  "entry-key": [
    422,
    3,
    "a log entry is signed by a key that was not valid there",
    "keep the log directory as evidence and tell the custodians",
  ],
  "seq-used": [
    409,
    3,
    "a sequence number or commitment is used twice in a log",
    "call the member: its node may be cloned",
  ],
  "seq-gap": [
    409,
    3,
    "a sequence number is missing in a log",
    "ask the relay for the entry; if it has none, tell the custodians",
  ],
  note: [
    422,
    3,
    "a signed note is malformed or its signature fails",
    "fetch it again; if it repeats, tell the custodians",
  ],
  quorum: [
    422,
    3,
    "too few witnesses cosigned the checkpoint",
    "wait for the witnesses, then try again",
  ],
  "log-root": [
    422,
    3,
    "the log's tree does not have the root that its checkpoint signs",
    "keep the log directory as evidence and tell the custodians",
  ],
  "log-file": [
    422,
    3,
    "a file of the log is missing, cut, or has bytes that do not belong there",
    "copy the log again from its relay; if it repeats, tell the custodians",
  ],
  proof: [422, 3, "a proof does not hold", "fetch it again; if it repeats, keep it as evidence"],
  rollback: [
    409,
    3,
    "the log is smaller than a state seen before",
    "keep the earlier checkpoint as evidence and tell the custodians",
  ],
  "log-fork": [
    409,
    3,
    "the log shows two histories that exclude each other",
    "keep the fork file: it convicts the log; tell the custodians",
  ],
  policy: [422, 1, "a policy file is malformed", "correct the line that the message names"],
  stale: [
    503,
    1,
    "the log's newest checkpoint is too old to judge",
    "try again; if it repeats, ask the relay's operator",
  ],

  // Directory
  statement: [
    422,
    1,
    "a directory statement is malformed or not signed as it must be",
    "make and sign it again",
  ],
  roster: [
    422,
    1,
    "the roster breaks a rule of its succession",
    "make the next version from the published one and collect the signatures again",
  ],
  "roster-fork": [
    409,
    3,
    "two rosters have the same version",
    "both are kept as evidence against their signers; call the custodians",
  ],
  "chain-gap": [
    409,
    1,
    "a statement before this one in the chain is missing",
    "publish the earlier statement first",
  ],
  "chain-fork": [
    409,
    3,
    "a chain has two statements with the same number",
    "both are kept as evidence; the member or key is frozen until the custodians decide",
  ],
  possession: [
    422,
    1,
    "the named key did not sign for itself",
    "make the statement again with the key at hand",
  ],
  "key-form": [422, 1, "a public key is malformed or unsafe", "make a new key"],
  frozen: [
    409,
    1,
    "this member's chain has forked and is frozen for sending",
    "call the custodians",
  ],

  // Members, officers, keys
  "unknown-member": [404, 1, "no member has this name", "see `chappe roster show` for the names"],
  "unknown-officer": [
    404,
    1,
    "no officer of this node has this name",
    "see `chappe officer list` for the names",
  ],
  "unknown-recipient": [
    422,
    1,
    "a recipient is not an active member",
    "see `chappe roster show` for the names",
  ],
  "no-prekey": [
    503,
    1,
    "no key is published that a message to this recipient could be sealed to",
    "wait until its node has published keys; the message is kept",
  ],
  suspended: [403, 1, "this member is suspended", "call the custodians"],
  "officer-revoked": [
    403,
    1,
    "the officer's key was revoked",
    "ask a supervisor to enrol a new key",
  ],
  "key-expired": [403, 1, "the key is past its last day", "rotate it: `chappe keys rotate`"],
  "key-ended": [
    403,
    1,
    "the key was revoked, or ended with its incarnation, before this was known",
    "nothing, if the node was started anew; otherwise sign it with a key that counts",
  ],
  passphrase: [
    401,
    1,
    "the passphrase or secret file does not open this key file",
    "try again; a key file with changed salt reports the same",
  ],
  "key-file": [
    422,
    1,
    "the key file is malformed or asks for absurd work",
    "restore it from the custodian's copy",
  ],
  tampered: [
    422,
    3,
    "stored bytes were changed",
    "stop, keep the disk as it is, and restore from a copy",
  ],
  clone: [
    409,
    1,
    "the relay has seen later work by this key than this node knows of: it is a copy or an old backup",
    "stop the other copy, or start a new incarnation: `chappe keys new-incarnation`",
  ],
  clock: [
    503,
    1,
    "this machine's clock is more than 5 minutes off network time",
    "set the clock; held work goes on by itself",
  ],

  // Links and relays
  hello: [400, 1, "the peer's HELLO does not hold", "check both sides' directory and clocks"],
  frame: [
    400,
    1,
    "a frame on the link breaks its layout, order or credit",
    "update the software of the peer",
  ],
  "unknown-key": [
    403,
    1,
    "the presented key is not in the directory",
    "publish the link key, or join by invitation",
  ],
  busy: [503, 1, "the relay has no room at the moment", "the node tries again by itself"],
  "attachments-missing": [
    409,
    1,
    "an attachment is not yet whole at the relay",
    "the node sends the rest by itself",
  ],
  "link-down": [
    503,
    1,
    "the connection ended before an answer came",
    "the node tries again by itself",
  ],
  "no-relay": [
    503,
    1,
    "no relay can be reached",
    "the message is kept and goes as soon as one answers",
  ],
  "token-used": [
    403,
    1,
    "the invitation's token was used or is unknown",
    "ask the custodians for a new invitation",
  ],
  invitation: [
    422,
    1,
    "the invitation file is malformed or does not fit what the relay shows",
    "ask the custodians for a new invitation",
  ],
  "rate-limit": [429, 1, "too many requests", "wait a minute and try again"],

  // Officers' interface and command line
  usage: [400, 2, "the command or request is not of the documented form", "see `chappe help`"],
  unauthenticated: [401, 1, "no valid session", "sign in again with --as and the passphrase"],
  forbidden: [403, 1, "this officer's role does not allow it", "ask a supervisor"],
  "not-found": [
    404,
    1,
    "nothing has this id here",
    "see `chappe inbox` or `chappe outbox` for the ids",
  ],
  "not-ready": [
    409,
    1,
    "the item is not in a state that allows this",
    "see `chappe trace` for its state",
  ],
  "idempotency-key": [
    409,
    1,
    "this idempotency key was used with another request",
    "use a new key for a new message",
  ],
  "node-down": [
    503,
    1,
    "the node's process does not answer",
    "start it: `chappe node start --dir DIR`",
  ],
  "unknown-request": [
    501,
    1,
    "the peer's software is older and does not know this request",
    "nothing: the newer side goes on without; upgrade the older one",
  ],
  version: [
    426,
    1,
    "the peer speaks no version of the protocol that this software speaks",
    "upgrade the older of the two: version N talks with N − 1",
  ],
  "not-linked": [
    503,
    1,
    "the member is linked to none of the relays that could be asked",
    "`chappe relay why` says since when; call the member",
  ],
  draining: [
    503,
    1,
    "the relay is being emptied and takes no new messages",
    "nothing: nodes use their other relays; `chappe relay drain --off` ends it",
  ],
  "relay-down": [
    503,
    1,
    "the relay's process does not answer at its operator's door",
    "start it: `chappe relay start --dir DIR`; ask as the user that it runs as",
  ],
  "port-taken": [
    409,
    1,
    "the port is in use by another process",
    "stop that process, or set another port in the configuration file",
  ],
  config: [
    422,
    1,
    "the configuration file has a mistake",
    "correct the line that the message names",
  ],
  "file-unreadable": [404, 1, "a file cannot be read", "check the path and its permissions"],
  "file-exists": [
    409,
    1,
    "something is there already that must not be overwritten",
    "choose another place, or move it away",
  ],
  locked: [409, 1, "another process uses this directory", "stop that process first"],
  unverified: [
    422,
    1,
    "the verification could not be finished",
    "see the report for what was missing",
  ],
  tampering: [
    422,
    3,
    "the verification found tampering",
    "keep the files as evidence and tell the custodians",
  ],

  // Disk and programme
  "disk-full": [
    507,
    1,
    "the disk is full",
    "make room; the process is restarted and goes on where it stopped",
  ],
  courier: [
    422,
    3,
    "the courier's file is cut, was changed or is of another kind",
    "ask for another file; what was taken from this one holds by itself",
  ],
  backup: [
    422,
    3,
    "the backup is cut, was changed, or is of another kind than asked for",
    "take another backup; nothing of this one was put back",
  ],
  storage: [
    500,
    1,
    "the disk failed; nothing acknowledged is lost",
    "check the disk; the process is restarted and recovers from what is stored",
  ],
  damaged: [
    500,
    1,
    "a stored file is damaged or missing",
    "stop it and run `chappe repair --dir DIR`: it says what is lost, and goes on without",
  ],
  "newer-format": [
    409,
    1,
    "the data was written by a newer version of Chappe",
    "start it with that version or a later one; nothing was changed",
  ],
  internal: [
    500,
    1,
    "a mistake in the programme",
    "send the log lines around this time to the developers; they hold no content",
  ],
} as const satisfies Record<string, Row>

export type ErrorCode = keyof typeof table

export type ErrorRow = {
  readonly code: ErrorCode
  readonly http: number
  readonly exit: 1 | 2 | 3
  readonly sentence: string
  readonly next: string
}

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(table, text)
}

/** One row of the table. */
export function errorRow(code: ErrorCode): ErrorRow {
  const [http, exit, sentence, next] = table[code]
  return { code, http, exit, sentence, next }
}

/** All codes, in the table's order. */
export const errorCodes: readonly ErrorCode[] = Object.keys(table).filter(isErrorCode)

/**
 * Hostile or broken input, failed I/O. `message` is a lower-case sentence without a full stop that
 * names ids, fields and numbers, never content. Mistakes of our own are RangeError or TypeError instead.
 */
export class ChappeError extends Error {
  readonly code: ErrorCode

  constructor(code: ErrorCode, message?: string, options?: { readonly cause?: unknown }) {
    super(message ?? errorRow(code).sentence, options)
    this.name = "ChappeError"
    this.code = code
  }

  /** What to do next, from the table. */
  get next(): string {
    return errorRow(this.code).next
  }
}
