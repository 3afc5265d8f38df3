// What the outbox stores. docs/PROTOCOL.md has no part in these layouts: they never leave the node.

import {
  type Infer,
  bytes,
  flag,
  list,
  nullable,
  oneOf,
  record,
  text,
  uint,
} from "../../protocol/codec.ts"
import { lanes, time } from "../../protocol/envelope.ts"
import { limits } from "../../protocol/limits.ts"
import { acceptance, attachmentRef } from "../../protocol/link-messages.ts"
import { contentTypeName, memberName, officerId } from "../../protocol/names.ts"
import { rungs } from "./ladder.ts"

const hash = bytes(32)
const messageIdentity = bytes(16)
const u32 = uint(0xffff_ffff)

const recipientState = record({
  member: memberName,
  rung: oneOf(rungs),
  at: time,
  reason: nullable(text(limits.reasonBytesMax)),
  /** The envelope that now carries its copy; nil until one is sealed. */
  messageId: nullable(hash),
  reseals: uint(255),
  /** Sealed to an older key than the day's. */
  reducedSecrecy: flag,
})
export type RecipientState = Infer<typeof recipientState>

export const outboxItem = record({
  number: u32,
  id: messageIdentity,
  type: contentTypeName,
  officer: officerId,
  subject: text(600),
  created: time,
  expires: time,
  lane: oneOf(lanes),
  attachments: list(attachmentRef, 0, limits.attachmentsMax),
  recipients: list(recipientState, 1, limits.recipientsMax),
  /** Every envelope that was ever sealed for it. */
  envelopes: list(hash, 0, 4_096),
})
/** One message as its officer sees it; its identity stays when it is sealed anew. */
export type OutboxItem = Infer<typeof outboxItem>

export const signedDraft = record({
  content: bytes(1, limits.paddedMax),
  officerSig: bytes(64),
  officerKeyId: bytes(16),
})
/** What the officer signed; kept so that the node can seal it again, and prove it. */
export type SignedDraft = Infer<typeof signedDraft>

export const idempotencyRecord = record({ id: messageIdentity, request: hash })

export const sealedHead = record({
  number: u32,
  header: bytes(1, limits.headerBytesMax),
  auth: bytes(1, limits.leafBytesMax),
  leaves: list(bytes(1, limits.leafBytesMax), 1, limits.recipientsMax),
  contentCommitKey: hash,
})
/** An envelope without its body; kept as long as the message. */
export type SealedHead = Infer<typeof sealedHead>

export const sealedBody = bytes(1, limits.bodyBytesMax)

export const activeEnvelope = record({
  messageId: hash,
  number: u32,
  lane: oneOf(lanes),
  expires: time,
  /** Relays that have custody, with the time of the first. */
  custodians: list(text(limits.relayNameMax), 0, 64),
  custodyAt: time,
})
/** An envelope that some recipient has no receipt for yet. */
export type ActiveEnvelope = Infer<typeof activeEnvelope>

export const storedReceipt = record({
  receipt: bytes(1, limits.leafBytesMax),
  auth: bytes(1, limits.leafBytesMax),
  acceptance: nullable(acceptance),
})
/** Evidence that came in; `acceptance` with its salt, or nil when its relay has not logged it. */
export type StoredReceipt = Infer<typeof storedReceipt>
