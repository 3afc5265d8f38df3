// Hashes and key derivation from node:crypto, and the port that protocol/ takes as a parameter.
// docs/PROTOCOL.md, "Cryptography". Everything returned is a plain Uint8Array with memory of its own.

import { createHmac, hash, timingSafeEqual } from "node:crypto"
import { concat, emptyBytes } from "../protocol/bytes.ts"
import type { Crypto } from "../protocol/crypto-ports.ts"
import { admit, verify } from "./ed25519.ts"

/** FIPS 180-4, 32 bytes. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(hash("sha256", bytes, "buffer"))
}

/** FIPS 180-4, 64 bytes. */
export function sha512(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(hash("sha512", bytes, "buffer"))
}

export type HashName = "sha256" | "sha512"

function hmac(name: HashName, key: Uint8Array, data: Uint8Array): Uint8Array {
  return new Uint8Array(createHmac(name, key).update(data).digest())
}

/** 32 bytes. */
export function hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array {
  return hmac("sha256", key, data)
}

/** RFC 5869, the expand step alone: 1 … 255 hash lengths. */
export function hkdfExpand(
  name: HashName,
  prk: Uint8Array,
  info: Uint8Array,
  length: number,
): Uint8Array {
  const blockLength = name === "sha256" ? 32 : 64
  const blocks = Math.ceil(length / blockLength)
  if (!Number.isInteger(length) || blocks < 1 || blocks > 255) throw new RangeError("hkdf length")
  const output = new Uint8Array(blocks * blockLength)
  let block = emptyBytes
  for (let i = 0; i < blocks; i++) {
    block = hmac(name, prk, concat(block, info, Uint8Array.of(i + 1)))
    output.set(block, i * blockLength)
  }
  return output.slice(0, length)
}

/** HKDF-SHA256 (RFC 5869): extract, then expand. An empty salt counts as 32 zero bytes. */
export function hkdf(input: {
  readonly ikm: Uint8Array
  readonly salt: Uint8Array
  readonly info: Uint8Array
  readonly length: number
}): Uint8Array {
  return hkdfExpand("sha256", hmac("sha256", input.salt, input.ikm), input.info, input.length)
}

/** Compares secrets in time that depends on the lengths only; unequal lengths give false. */
export function constantTimeEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}

/** The fast forms: node:crypto for hashes and equations. */
export const crypto: Crypto = { sha256, verify, admit }
