// What the inbox stores; these layouts never leave the node.

import { type Infer, bytes, list, oneOf, record, text, uint } from "../../protocol/codec.ts"
import { lanes, messageIdentity, time } from "../../protocol/envelope.ts"
import { limits } from "../../protocol/limits.ts"
import { acceptance, attachmentRef } from "../../protocol/link-messages.ts"
import { contentTypeName, memberName, officerId } from "../../protocol/names.ts"

const hash = bytes(32)
const u32 = uint(0xffff_ffff)

/** In the order in which they are passed. */
export const inboxStates = ["new", "opened", "in-charge", "refused", "answered"] as const
export type InboxState = (typeof inboxStates)[number]

const attachmentSummary = record({
  hash,
  cipherLength: u32,
  plainLength: u32,
  plainHash: hash,
  name: text(4 * limits.attachmentNameBytesMax),
  mediaType: text(127),
})

export const inboxItem = record({
  number: u32,
  messageId: hash,
  id: messageIdentity,
  from: memberName,
  type: contentTypeName,
  officer: officerId,
  subject: text(600),
  lane: oneOf(lanes),
  created: time,
  received: time,
  channel: record({ incarnation: u32, seq: u32, prev: hash }),
  attachments: list(attachmentSummary, 0, limits.attachmentsMax),
  state: oneOf(inboxStates),
  /** Codes that the reader must see, as `earlier-missing`. */
  marks: list(text(limits.reasonBytesMax), 0, 8),
})
/** One message that passed every check, as a list shows it. */
export type InboxItem = Infer<typeof inboxItem>

export const storedMail = record({
  header: bytes(1, limits.headerBytesMax),
  auth: bytes(1, limits.leafBytesMax),
  acceptance,
  content: bytes(1, limits.paddedMax),
  officerSig: bytes(64),
  officerKeyId: bytes(16),
  contentCommitKey: hash,
})
/** Everything that proves the message, without its body. */
export type StoredMail = Infer<typeof storedMail>

/** A message id that was answered: the batch that holds its receipt. */
export const knownId = record({ root: hash, at: time })

export const heldDelivery = record({
  relay: text(limits.relayNameMax),
  heldAt: time,
  header: bytes(1, limits.headerBytesMax),
  auth: bytes(1, limits.leafBytesMax),
  leaf: bytes(1, limits.leafBytesMax),
  path: list(hash, 0, limits.slicePathMax),
  acceptance,
  attachments: list(attachmentRef, 0, limits.attachmentsMax),
  body: bytes(1, limits.bodyBytesMax),
  messageId: hash,
})
/** A verified message whose predecessors in its channel are missing. Its relay keeps it too. */
export type HeldDelivery = Infer<typeof heldDelivery>

export const rejectedDelivery = record({
  code: text(limits.reasonBytesMax),
  header: bytes(1, limits.headerBytesMax),
  auth: bytes(1, limits.leafBytesMax),
  leaf: bytes(1, limits.leafBytesMax),
  acceptance,
})
/** What convicts a sender or relay: kept without its body. */
export type RejectedDelivery = Infer<typeof rejectedDelivery>

export const storedTombstone = record({
  messageId: hash,
  channelSeq: u32,
  channelPrev: hash,
  at: time,
  step: text(32),
  signer: text(limits.relayNameMax),
  tombstone: bytes(1, limits.tombstoneBytesMax),
})
/** What settled a number in place of its message. */
export type StoredTombstone = Infer<typeof storedTombstone>
