// What a backup is made of: a head, records as they lie in the store, files in parts, and the count at the end.
// docs/PROTOCOL.md, "Backups".   frame = length(4, big-endian) ‖ mp[kind, …]

import { concat } from "./bytes.ts"
import {
  type Tagged,
  bytes,
  decode,
  encode,
  list,
  literal,
  oneOf,
  record,
  tagged,
  text,
  uint,
} from "./codec.ts"
import { ChappeError } from "./errors.ts"
import { limits } from "./limits.ts"

const lengthBytes = 4

const frames = {
  /** Of whom it is, and when it was taken. `secrets`: symmetric keys, never one that signs. */
  head: record({
    kind: literal(1),
    version: literal(1),
    role: oneOf(["node", "relay"] as const),
    owner: text(limits.relayNameMax),
    at: uint(0xffff_ffff),
    secrets: list(record({ use: literal("data"), secret: bytes(32) }), 0, 8),
  }),
  record: record({
    kind: literal(2),
    key: bytes(1, limits.backupKeyBytesMax),
    value: bytes(0, limits.backupFrameBytesMax),
  }),
  /** A file of the folder, by its path there; its parts follow. */
  file: record({ kind: literal(3), path: text(limits.backupPathBytesMax) }),
  part: record({ kind: literal(4), part: bytes(1, limits.backupFrameBytesMax) }),
  /** How many came before. */
  end: record({ kind: literal(5), frames: uint(0xffff_ffff) }),
} as const
const frame = tagged(frames)

export type BackupFrame = Tagged<typeof frames>
export type BackupHead = Extract<BackupFrame, { readonly name: "head" }>

export function encodeBackupFrame(item: BackupFrame): Uint8Array {
  const encoded = encode(frame, item)
  if (encoded.length > limits.backupFrameBytesMax)
    throw new RangeError(`a frame of ${encoded.length} bytes`)
  const length = new Uint8Array(lengthBytes)
  new DataView(length.buffer).setUint32(0, encoded.length)
  return concat(length, encoded)
}

/** Cuts a stream of pieces of any size into frames; one frame and one piece are held. */
export class BackupFrames {
  #parts: Uint8Array[] = []
  #length = 0

  push(piece: Uint8Array): void {
    if (piece.length === 0) return
    this.#parts.push(piece)
    this.#length += piece.length
  }

  /** Bytes that are no whole frame yet. */
  get left(): number {
    return this.#length
  }

  /** The next frame, or undefined while it is not whole. Refused: `size`, `not-canonical`. */
  next(): BackupFrame | undefined {
    const prefix = this.#peek(lengthBytes)
    if (prefix === undefined) return undefined
    const length = new DataView(prefix.buffer, prefix.byteOffset, lengthBytes).getUint32(0)
    if (length > limits.backupFrameBytesMax)
      throw new ChappeError("size", `a frame of ${length} bytes`)
    const whole = this.#peek(lengthBytes + length)
    if (whole === undefined) return undefined
    const item = decode(frame, whole.slice(lengthBytes), limits.backupFrameBytesMax)
    const [joined = whole] = this.#parts
    this.#parts = [joined.subarray(whole.length)]
    this.#length -= whole.length
    return item
  }

  #peek(length: number): Uint8Array | undefined {
    if (this.#length < length) return undefined
    if (this.#parts.length > 1) this.#parts = [concat(...this.#parts)]
    return this.#parts[0]?.subarray(0, length)
  }
}
