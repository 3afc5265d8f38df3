// What a backup is made of: a head, records as they lie in the store, files in parts, and the count at the end.
// docs/PROTOCOL.md, "Backups".   frame = length(4, big-endian) ‖ mp[kind, …]

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
import { Frames, framed } from "./framing.ts"
import { limits } from "./limits.ts"

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
  return framed(encode(frame, item), limits.backupFrameBytesMax)
}

/** Cuts a stream of pieces of any size into frames; one frame and one piece are held. */
export class BackupFrames {
  readonly #frames = new Frames(limits.backupFrameBytesMax)

  push(piece: Uint8Array): void {
    this.#frames.push(piece)
  }

  /** Bytes that are no whole frame yet. */
  get left(): number {
    return this.#frames.left
  }

  /** The next frame, or undefined while it is not whole. Refused: `size`, `not-canonical`. */
  next(): BackupFrame | undefined {
    const encoded = this.#frames.next()
    return encoded === undefined ? undefined : decode(frame, encoded, limits.backupFrameBytesMax)
  }
}
