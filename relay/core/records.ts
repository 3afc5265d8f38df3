// Layouts of the relay's records. They stay inside this process's store; what is signed in them is kept
// byte for byte as it was received.

import {
  type Codec,
  type Infer,
  type Tagged,
  bytes,
  decode,
  encode,
  list,
  literal,
  nullable,
  oneOf,
  record,
  tagged,
  text,
  uint,
} from "../../protocol/codec.ts"
import { time } from "../../protocol/envelope.ts"
import { limits } from "../../protocol/limits.ts"
import { acceptance, attachmentRef, receiptItem } from "../../protocol/link-messages.ts"
import { memberName, relayName, stationName } from "../../protocol/names.ts"

const u32 = uint(0xffff_ffff)
const hash = bytes(32)
const leaf = bytes(1, limits.leafBytesMax)
const queueName = text(limits.relayNameMax + 2)

export type RecordCodec<T> = {
  readonly encode: (item: T) => Uint8Array
  readonly decode: (encoded: Uint8Array) => T
}

function layout<T>(codec: Codec<T>): RecordCodec<T> {
  return {
    encode: (item) => encode(codec, item),
    decode: (encoded) => decode(codec, encoded, limits.messageBytesMax),
  }
}

const message = record({
  header: bytes(1, limits.headerBytesMax),
  auth: leaf,
  acceptance,
  attachments: list(attachmentRef, 0, limits.attachmentsMax),
  via: nullable(relayName),
})
/** `via`: the relay that handed it over, which holds its copy until it hears of the delivery. */
export type MessageRecord = Infer<typeof message>
export const messageRecord: RecordCodec<MessageRecord> = layout(message)

const holding = record({ segment: u32, offset: u32, length: u32, unsettled: u32 })
export type HoldingRecord = Infer<typeof holding>
export const holdingRecord: RecordCodec<HoldingRecord> = layout(holding)

const slice = record({
  leaf,
  path: list(hash, 0, limits.slicePathMax),
  queue: queueName,
  lane: uint(4),
  position: u32,
})
/** `queue`: where it waits; see `queueNames`. */
export type SliceRecord = Infer<typeof slice>
export const sliceRecord: RecordCodec<SliceRecord> = layout(slice)

const queueItems = {
  message: record({
    kind: literal(1),
    messageId: hash,
    nodes: list(memberName, 1, limits.recipientsMax),
    bytes: u32,
  }),
  evidence: record({
    kind: literal(2),
    from: stationName,
    items: list(receiptItem, 1, limits.batchMax),
    acceptance: nullable(acceptance),
  }),
  control: record({ kind: literal(3), to: memberName, control: bytes(1, 2 * limits.leafBytesMax) }),
  tombstone: record({
    kind: literal(4),
    to: memberName,
    tombstone: bytes(1, limits.tombstoneBytesMax),
  }),
} as const
/** What waits for a peer. `bytes`: of the body, for the window. */
export type QueueItem = Tagged<typeof queueItems>
export const queueItem: RecordCodec<QueueItem> = layout(tagged(queueItems))

const known = record({ acceptance: nullable(acceptance), expires: time })
/** `acceptance` nil: known from another relay only, which accepted it. */
export type KnownRecord = Infer<typeof known>
export const knownRecord: RecordCodec<KnownRecord> = layout(known)

const used = record({
  statement: hash,
  acceptance: nullable(acceptance),
  code: text(limits.reasonBytesMax),
})
/** `statement`: id of the log statement; `acceptance` nil and `code` for what was refused for good. */
export type UsedRecord = Infer<typeof used>
export const usedRecord: RecordCodec<UsedRecord> = layout(used)

const highest = record({ seq: u32, floor: u32 })
/** Everything up to `floor` is used. */
export type HighestRecord = Infer<typeof highest>
export const highestRecord: RecordCodec<HighestRecord> = layout(highest)

const number = record({ value: u32 })
export type NumberRecord = Infer<typeof number>
export const numberRecord: RecordCodec<NumberRecord> = layout(number)

const log = record({ size: u32, time, directorySize: u32 })
/** `directorySize`: of the own directory log, as bound by the last own head in this log. */
export type LogRecord = Infer<typeof log>
export const logRecord: RecordCodec<LogRecord> = layout(log)

const signed = record({ size: u32, root: hash })
export type SignedRecord = Infer<typeof signed>
export const signedRecord: RecordCodec<SignedRecord> = layout(signed)

const upload = record({ length: uint(0xffff_ffff), at: time })
export type UploadRecord = Infer<typeof upload>
export const uploadRecord: RecordCodec<UploadRecord> = layout(upload)

const fork = record({
  kind: oneOf(["roster", "chain"] as const),
  statement: bytes(1, limits.statementBytesMax),
})
/** The second of two statements that exclude each other, as it was received. */
export type ForkRecord = Infer<typeof fork>
export const forkRecord: RecordCodec<ForkRecord> = layout(fork)

const follow = record({ size: u32, roots: list(hash, 0, limits.proofHashesMax) })
export type FollowRecord = Infer<typeof follow>
export const followRecord: RecordCodec<FollowRecord> = layout(follow)

/** Queues: a member's mail here, what goes to another relay, what is in that relay's custody, what was set aside. */
export const queueNames = {
  member: (name: string): string => `m:${name}`,
  forward: (relay: string): string => `f:${relay}`,
  awaiting: (relay: string): string => `w:${relay}`,
  aside: "x",
} as const

/** Lanes of queues: the four precedences, and above them receipts and controls. */
export const evidenceLane = 4
export const queueLanes = [4, 3, 2, 1, 0] as const
