// A node's records at rest: XChaCha20-Poly1305 under the data key. The place of a record is part of what
// is authenticated, so that records that were swapped or put back elsewhere are refused.
// docs/PROTOCOL.md, "Secrets at rest".   nonce(24) ‖ ciphertext ‖ tag(16)

import { concat } from "../protocol/bytes.ts"
import { bytes, encode, record, text, uint } from "../protocol/codec.ts"
import { ChappeError } from "../protocol/errors.ts"
import type { Random } from "./hedge.ts"
import { keyLimits } from "./limits.ts"
import { aeadTagBytes, openXChaCha, sealXChaCha } from "./sodium.ts"

const nonceBytes = 24

const recordPlace = record({
  table: text(keyLimits.recordTableBytesMax),
  key: bytes(0, keyLimits.recordKeyBytesMax),
  position: uint(0xffff_ffff),
})

/** Where a record stands. `position` tells versions or places under one key apart; 0 where there is only one. */
export type RecordPlace = {
  readonly table: string
  readonly key: Uint8Array
  readonly position: number
}

/** 40 bytes longer than the plaintext. `dataKey`: 32 bytes. */
export function sealRecord(
  dataKey: Uint8Array,
  place: RecordPlace,
  plaintext: Uint8Array,
  random: Random,
): Uint8Array {
  const nonce = random(nonceBytes)
  const aad = encode(recordPlace, place)
  return concat(nonce, sealXChaCha({ key: dataKey, nonce, aad }, plaintext))
}

/** Refused: `tampered`, for another key, another place and any change. */
export function openRecord(
  dataKey: Uint8Array,
  place: RecordPlace,
  sealed: Uint8Array,
): Uint8Array {
  if (sealed.length < nonceBytes + aeadTagBytes)
    throw new ChappeError("tampered", `a record of ${place.table} is cut short`)
  const nonce = sealed.slice(0, nonceBytes)
  const aad = encode(recordPlace, place)
  const plaintext = openXChaCha({ key: dataKey, nonce, aad }, sealed.slice(nonceBytes))
  if (plaintext === undefined)
    throw new ChappeError("tampered", `a record of ${place.table} does not open`)
  return plaintext
}
