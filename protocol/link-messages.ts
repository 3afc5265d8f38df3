// What node and relay, and relay and relay, say to each other over a link: requests and their answers.
// docs/PROTOCOL.md, "Link messages". Each is one logical message of a link session; `request` numbers
// pair an answer with its request, each side counting its own from 1.

import {
  type Codec,
  type Infer,
  type Tagged,
  bytes,
  decode,
  encode,
  flag,
  list,
  literal,
  nullable,
  oneOf,
  record,
  tagged,
  text,
  uint,
  value,
} from "./codec.ts"
import { limits } from "./limits.ts"
import { codeName, logOrigin, memberName, relayName, stationName } from "./names.ts"

const hash = bytes(32)
const u32 = uint(0xffff_ffff)
const request = u32
const path = list(hash, 0, limits.proofHashesMax)
const authBytes = bytes(1, limits.leafBytesMax)
const leafBytes = bytes(1, limits.leafBytesMax)
const headerBytes = bytes(1, limits.headerBytesMax)
const bodyBytes = bytes(limits.bodyBytesMin, limits.bodyBytesMax)

/** Attachment bodies by hash of the ciphertext and its length. */
export const attachmentRef = record({ hash, length: uint(limits.attachmentBytesMax + 4_194_304) })
export type AttachmentRef = Infer<typeof attachmentRef>
const attachments = list(attachmentRef, 0, limits.attachmentsMax)

/** The signer's log statement for one relay's log: `auth` is its share of a batch of log statements. */
export const logStatement = record({
  origin: logOrigin,
  seq: u32,
  keyId: bytes(16),
  salt: nullable(hash),
  commit: hash,
  auth: authBytes,
})
/** `salt` nil: the relay is not to open the commitment (a batch of sealed receipts). */
export type LogStatement = Infer<typeof logStatement>

const promise = text(2_048)

/** What an accepted entry proves: the entry as logged, its salt, and the promise with the entry's path. */
export const acceptance = record({
  entry: bytes(1, limits.headerBytesMax),
  salt: nullable(hash),
  promise,
  index: u32,
  path,
})
export type Acceptance = Infer<typeof acceptance>
const acceptanceCodec: Codec<Acceptance> = acceptance

const slice = record({ leaf: leafBytes, path: list(hash, 0, limits.slicePathMax) })

/** A receipt as it travels. `receipt` plain with `auth`; or sealed to the sender, `auth` and `messageId` nil. */
export const receiptItem = record({
  to: memberName,
  messageId: nullable(hash),
  receipt: bytes(1, 4 * limits.leafBytesMax),
  auth: nullable(authBytes),
})
export type ReceiptItem = Infer<typeof receiptItem>

const linkMessages = {
  // Any request may be answered by one of these two.
  done: record({ kind: literal(1), request }),
  refused: record({ kind: literal(2), request, code: codeName, final: flag, retrySeconds: u32 }),

  // A node hands a sealed envelope over; answered by `accepted`.
  submit: record({
    kind: literal(3),
    request,
    header: headerBytes,
    auth: authBytes,
    leaves: list(leafBytes, 1, limits.recipientsMax),
    statement: logStatement,
    attachments,
    body: bodyBytes,
  }),
  accepted: record({ kind: literal(4), request, acceptance: acceptanceCodec }),

  // A relay hands a recipient its share; `done` means taken (a receipt follows), `refused` is a NACK.
  deliver: record({
    kind: literal(5),
    request,
    header: headerBytes,
    auth: authBytes,
    slice,
    acceptance: acceptanceCodec,
    attachments,
    body: bodyBytes,
  }),

  // A relay hands slices to another; answered by `custody`.
  forward: record({
    kind: literal(6),
    request,
    header: headerBytes,
    auth: authBytes,
    slices: list(slice, 1, limits.recipientsMax),
    acceptance: acceptanceCodec,
    attachments,
    body: bodyBytes,
  }),
  custody: record({
    kind: literal(7),
    request,
    receipts: list(
      record({ receipt: bytes(1, limits.leafBytesMax), auth: authBytes }),
      1,
      limits.recipientsMax,
    ),
    acceptance: acceptanceCodec,
  }),

  // A node's receipts, one batch under one log statement; answered by `accepted`.
  // `root` nil: all of them are sealed.
  receipts: record({
    kind: literal(8),
    request,
    statement: logStatement,
    root: nullable(hash),
    items: list(receiptItem, 1, limits.batchMax),
  }),
  // A relay passes receipts on to the sender's node or to another relay; answered by `done`.
  evidence: record({
    kind: literal(9),
    request,
    from: stationName,
    items: list(receiptItem, 1, limits.batchMax),
    acceptance: nullable(acceptanceCodec),
  }),
  // A signed control for another node; answered by `done`.
  control: record({ kind: literal(10), request, control: bytes(1, 2 * limits.leafBytesMax) }),

  // Attachment bodies: `bodyOffer` and `bodyPut` are answered by `bodyHave`, `bodyGet` by `bodyPart`.
  bodyOffer: record({ kind: literal(11), request, body: attachmentRef }),
  bodyHave: record({ kind: literal(12), request, offset: uint(0xffff_ffff) }),
  bodyPut: record({
    kind: literal(13),
    request,
    hash,
    offset: uint(0xffff_ffff),
    part: bytes(1, limits.bodyPartBytesMax),
  }),
  bodyGet: record({
    kind: literal(14),
    request,
    hash,
    offset: uint(0xffff_ffff),
    length: uint(limits.bodyPartBytesMax),
  }),
  bodyPart: record({ kind: literal(15), request, part: bytes(0, limits.bodyPartBytesMax) }),

  // Directory: raw log entries from an index on; answered by `directoryPart`.
  directoryGet: record({ kind: literal(16), request, origin: logOrigin, from: u32 }),
  directoryPart: record({
    kind: literal(17),
    request,
    size: u32,
    entries: list(bytes(1, limits.entryBytesMax), 0, limits.bundleEntries),
  }),
  // Self-authenticating statements; answered by `done`.
  statementPut: record({
    kind: literal(18),
    request,
    sort: oneOf(["roster", "chain", "policy"] as const),
    statement: bytes(1, limits.statementBytesMax),
  }),
  // KEM keys, found by their published typed hash. `prekeysPut` is answered by `done`.
  prekeysPut: record({
    kind: literal(19),
    request,
    member: memberName,
    keys: list(bytes(1_216), 1, limits.prekeyPeriodDays),
  }),
  prekeysGet: record({ kind: literal(20), request, hashes: list(hash, 1, limits.recipientsMax) }),
  prekeysPart: record({
    kind: literal(21),
    request,
    keys: list(nullable(bytes(1_216)), 1, limits.recipientsMax),
  }),

  // Log: a new checkpoint as a tlog-witness add-checkpoint body, answered by `cosigned`.
  checkpoint: record({
    kind: literal(22),
    request,
    origin: logOrigin,
    body: text(limits.messageBytesMax),
  }),
  cosigned: record({
    kind: literal(23),
    request,
    status: uint(999),
    body: text(limits.headerBytesMax),
  }),
  // Inclusion paths in the tree of `size`, answered by `proofs` in the same order.
  proofsGet: record({
    kind: literal(24),
    request,
    origin: logOrigin,
    size: u32,
    indexes: list(u32, 1, limits.bundleEntries),
  }),
  proofs: record({ kind: literal(25), request, paths: list(path, 1, limits.bundleEntries) }),
  consistencyGet: record({ kind: literal(26), request, origin: logOrigin, from: u32, to: u32 }),
  consistency: record({ kind: literal(27), request, path }),

  // A node anchors its officers' journal; answered by `accepted`. `head` nil: the relay is not to open it.
  journal: record({
    kind: literal(28),
    request,
    statement: logStatement,
    head: nullable(hash),
  }),

  // A relay that is being emptied asks to be spared new mail, or takes that back; answered by `done`.
  draining: record({ kind: literal(29), request, isOn: flag }),

  // In place of a message that will not come, for its recipient; answered by `done`.
  tombstone: record({
    kind: literal(30),
    request,
    tombstone: bytes(1, limits.tombstoneBytesMax),
  }),

  // A relay's operator asks whether a member's node answers; another relay passes it on to a node that is
  // linked there. `relay`: who asks. Answered by `echo`: a signed control of the node's, op `probe`.
  probe: record({ kind: literal(31), request, relay: relayName, to: memberName, nonce: hash }),
  echo: record({ kind: literal(32), request, echo: bytes(1, 2 * limits.leafBytesMax) }),

  // A relay shows a checkpoint of its own with the witnesses' lines; answered by `done`.
  cosignatures: record({
    kind: literal(33),
    request,
    origin: logOrigin,
    checkpoint: bytes(1, limits.headerBytesMax),
  }),

  // A relay is shown the latest promise of its own that a node holds; answered by `done`.
  promise: record({ kind: literal(34), request, promise }),
} as const

type Table = typeof linkMessages
export type LinkMessageName = keyof Table
/** A link message; `name` says which, in place of the number on the wire. */
export type LinkMessage<Name extends LinkMessageName = LinkMessageName> = Extract<
  Tagged<Table>,
  { readonly name: Name }
>

const answers: readonly LinkMessageName[] = [
  "done",
  "refused",
  "accepted",
  "custody",
  "bodyHave",
  "bodyPart",
  "directoryPart",
  "prekeysPart",
  "cosigned",
  "proofs",
  "consistency",
  "echo",
]

/** Whether a message answers a request of ours, rather than asking something. */
export function isAnswer(message: LinkMessage): boolean {
  return answers.includes(message.name)
}

const linkMessage = tagged(linkMessages)

export function encodeLinkMessage(message: LinkMessage): Uint8Array {
  return encode(linkMessage, message)
}

/** Refused: `size`, `not-canonical`. */
export function decodeLinkMessage(encoded: Uint8Array): LinkMessage {
  return decode(linkMessage, encoded, limits.messageBytesMax)
}

const kinds = Object.keys(linkMessages).length

/** A request of a kind above those of this version: a newer peer's. */
export type UnknownRequest = { readonly name: "unknown"; readonly request: number }

/**
 * A link message, or a newer peer's request, which is answered with `unknown-request` so that the peer goes
 * on without. Refused: `size`, `not-canonical`.
 */
export function readLinkMessage(encoded: Uint8Array): LinkMessage | UnknownRequest {
  try {
    return decodeLinkMessage(encoded)
  } catch (cause) {
    const found = decode(value, encoded, limits.messageBytesMax)
    const [kind, number]: readonly unknown[] = Array.isArray(found) ? found : []
    if (!isNumber(kind) || kind <= kinds || !isNumber(number)) throw cause
    return { name: "unknown", request: number }
  }
}

function isNumber(found: unknown): found is number {
  return typeof found === "number" && Number.isInteger(found) && found >= 0
}

/** The answer to a request that this version does not know. */
export const unknownRequestAnswer = {
  name: "refused",
  code: "unknown-request",
  final: true,
  retrySeconds: 0,
} as const
