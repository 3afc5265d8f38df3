// HPKE SealBase for one message (RFC 9180): KEM X-Wing 0x647a, HKDF-SHA256, ChaCha20-Poly1305.
// docs/PROTOCOL.md, "Sealing". One plaintext a context, so the sequence number is always 0.

import { concat, emptyBytes, u16, utf8 } from "../protocol/bytes.ts"
import { ChappeError } from "../protocol/errors.ts"
import { hkdfExpand, hmacSha256 } from "./crypto.ts"
import {
  aeadTagBytes,
  kemCiphertextBytes,
  kemDecapsulate,
  kemEncapsulate,
  kemPublicKeyBytes,
  kemSeedBytes,
  openChaCha,
  sealChaCha,
} from "./sodium.ts"

const suiteId = concat(utf8("HPKE"), u16(0x647a), u16(0x0001), u16(0x0003))
const version = utf8("HPKE-v1")
const noSalt = new Uint8Array(32)
const baseMode = Uint8Array.of(0)

function labeledExtract(salt: Uint8Array, label: string, ikm: Uint8Array): Uint8Array {
  return hmacSha256(salt, concat(version, suiteId, utf8(label), ikm))
}

function labeledExpand(
  prk: Uint8Array,
  label: string,
  context: Uint8Array,
  length: number,
): Uint8Array {
  const info = concat(u16(length), version, suiteId, utf8(label), context)
  return hkdfExpand("sha256", prk, info, length)
}

/** `psk_id_hash` of mode base, where there is no pre-shared key. */
export const pskIdHash: Uint8Array = labeledExtract(noSalt, "psk_id_hash", emptyBytes)

/** KeySchedule of mode base: the AEAD key (32 bytes) and nonce (12) of the first message. */
export function keySchedule(
  sharedSecret: Uint8Array,
  info: Uint8Array,
): { readonly key: Uint8Array; readonly nonce: Uint8Array } {
  const context = concat(baseMode, pskIdHash, labeledExtract(noSalt, "info_hash", info))
  const secret = labeledExtract(sharedSecret, "secret", emptyBytes)
  return {
    key: labeledExpand(secret, "key", context, 32),
    nonce: labeledExpand(secret, "base_nonce", context, 12),
  }
}

/**
 * `enc(1120) ‖ ciphertext(plaintext + 16)`. `seed`: 64 bytes of hedged randomness, for this call alone.
 * Refused: `key-form` for a public key (1,216 bytes) that the KEM does not take.
 */
export function sealBase(input: {
  readonly publicKey: Uint8Array
  readonly info: Uint8Array
  readonly plaintext: Uint8Array
  readonly seed: Uint8Array
}): Uint8Array {
  const encapsulated = kemEncapsulate(input.publicKey, input.seed)
  if (encapsulated === undefined)
    throw new ChappeError("key-form", "the KEM refuses the public key")
  const { key, nonce } = keySchedule(encapsulated.sharedSecret, input.info)
  const ciphertext = sealChaCha({ key, nonce, aad: emptyBytes }, input.plaintext)
  return concat(encapsulated.ciphertext, ciphertext)
}

/** The plaintext. `secret`: X-Wing, 32 bytes. Refused: `wrap`, whatever the reason. */
export function openBase(input: {
  readonly secret: Uint8Array
  readonly info: Uint8Array
  readonly sealed: Uint8Array
}): Uint8Array {
  const plaintext = tryOpen(input.secret, input.info, input.sealed)
  if (plaintext === undefined) throw new ChappeError("wrap", "the key does not open this wrap")
  return plaintext
}

function tryOpen(secret: Uint8Array, info: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
  if (sealed.length < kemCiphertextBytes + aeadTagBytes) return undefined
  const sharedSecret = kemDecapsulate(sealed.slice(0, kemCiphertextBytes), secret)
  if (sharedSecret === undefined) return undefined
  const { key, nonce } = keySchedule(sharedSecret, info)
  return openChaCha({ key, nonce, aad: emptyBytes }, sealed.slice(kemCiphertextBytes))
}

const trialSeed = new Uint8Array(kemSeedBytes).fill(1)

/** Whether a message can be sealed to this key at all: one trial encapsulation. */
export function isUsableKemKey(publicKey: Uint8Array): boolean {
  return (
    publicKey.length === kemPublicKeyBytes && kemEncapsulate(publicKey, trialSeed) !== undefined
  )
}
