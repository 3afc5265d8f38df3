// Frames: one WebSocket binary message each. docs/PROTOCOL.md, "Links".
//
// A logical message travels as one `open` frame, which says its lane and length, and `more` frames.
// Everything that breaks a layout is refused with `frame`: the peer's software is wrong, not one message.

import { type Infer, bytes, decode, encode, literal, oneOf, record, uint } from "./codec.ts"
import type { Lane } from "./envelope.ts"
import { ChappeError } from "./errors.ts"
import { limits } from "./limits.ts"
import { codeName } from "./names.ts"

/** Lowest first. `bulk` carries attachments, `control` answers and whatever must pass even a flash. */
export const linkLanes = {
  bulk: 0,
  routine: 1,
  priority: 2,
  immediate: 3,
  flash: 4,
  control: 5,
} as const
export type LinkLane = (typeof linkLanes)[keyof typeof linkLanes]

/** Lanes that may exceed the window, up to the credit. */
export function isUrgent(lane: LinkLane): boolean {
  return lane >= linkLanes.flash
}

const mailLanes = [
  linkLanes.routine,
  linkLanes.priority,
  linkLanes.immediate,
  linkLanes.flash,
] as const

/** The lane in which an envelope of this precedence travels. */
export function linkLaneOf(precedence: Lane): LinkLane {
  return mailLanes[precedence]
}

const u32 = uint(0xffff_ffff)
const chunk = bytes(1, limits.chunkBytes)

const hello = record({ kind: literal(0), hello: bytes(1, 2 * limits.leafBytesMax) })
const open = record({
  kind: literal(1),
  stream: u32,
  lane: oneOf([0, 1, 2, 3, 4, 5] as const satisfies readonly LinkLane[]),
  total: uint(limits.messageBytesMax),
  chunk,
})
const more = record({ kind: literal(2), stream: u32, chunk })
const ack = record({ kind: literal(3), charge: uint(limits.creditBytes) })
const ping = record({ kind: literal(4), number: u32 })
const pong = record({ kind: literal(5), number: u32 })
const close = record({ kind: literal(6), code: codeName })

export type OpenFrame = Infer<typeof open>
export type MoreFrame = Infer<typeof more>
/** `charge` is the sum over the chunks acknowledged (see `chargeOf`); `code` a row of the error table or `done`. */
export type Frame =
  | Infer<typeof hello>
  | OpenFrame
  | MoreFrame
  | Infer<typeof ack>
  | Infer<typeof ping>
  | Infer<typeof pong>
  | Infer<typeof close>

export function encodeFrame(frame: Frame): Uint8Array {
  switch (frame.kind) {
    case 0:
      return encode(hello, frame)
    case 1:
      return encode(open, frame)
    case 2:
      return encode(more, frame)
    case 3:
      return encode(ack, frame)
    case 4:
      return encode(ping, frame)
    case 5:
      return encode(pong, frame)
    case 6:
      return encode(close, frame)
  }
}

/** Refused: `frame`. */
export function decodeFrame(encoded: Uint8Array): Frame {
  try {
    return decodeKind(encoded)
  } catch (cause) {
    if (cause instanceof ChappeError) throw new ChappeError("frame", cause.message, { cause })
    throw cause
  }
}

/** The kind is the array's first element: always the second byte, as all kinds are below 128. */
function decodeKind(encoded: Uint8Array): Frame {
  const kind: number = encoded[1] ?? -1
  switch (kind) {
    case 0:
      return decode(hello, encoded, limits.frameBytesMax)
    case 1:
      return decode(open, encoded, limits.frameBytesMax)
    case 2:
      return decode(more, encoded, limits.frameBytesMax)
    case 3:
      return decode(ack, encoded, limits.frameBytesMax)
    case 4:
      return decode(ping, encoded, limits.frameBytesMax)
    case 5:
      return decode(pong, encoded, limits.frameBytesMax)
    case 6:
      return decode(close, encoded, limits.frameBytesMax)
    default:
      throw new ChappeError("frame", "a frame of no known kind")
  }
}

/** What `length` bytes count in windows, credit and queues: tiny pieces cost more than their bytes. */
export function chargeOf(length: number): number {
  return Math.max(length, limits.chunkChargeMin)
}
