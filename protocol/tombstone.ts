// Tombstones: what settles a channel's number whose message will not come. docs/PROTOCOL.md, "Tombstones".

import { type Infer, bytes, decode, encode, list, record } from "./codec.ts"
import { limits } from "./limits.ts"

const tombstone = record({
  header: bytes(1, limits.headerBytesMax),
  auth: bytes(1, limits.leafBytesMax),
  leaf: bytes(1, limits.leafBytesMax),
  path: list(bytes(32), 0, limits.slicePathMax),
  receipt: bytes(1, limits.leafBytesMax),
  receiptAuth: bytes(1, limits.leafBytesMax),
})
/** A message without its body, and the receipt that says why it does not come, with that receipt's auth. */
export type Tombstone = Infer<typeof tombstone>

export function encodeTombstone(item: Tombstone): Uint8Array {
  return encode(tombstone, item)
}

/** Refused: `size`, `not-canonical`. */
export function decodeTombstone(encoded: Uint8Array): Tombstone {
  return decode(tombstone, encoded, limits.tombstoneBytesMax)
}
