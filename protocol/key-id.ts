// Key ids bind a public key to its one use, so that a signing key can never pass for a KEM key.

import { concat, utf8 } from "./bytes.ts"
import type { Sha256 } from "./crypto-ports.ts"

export const keyUses = [
  "custodian",
  "member",
  "node",
  "link",
  "witness",
  "officer",
  "prekey",
  "recovery",
  "relay",
  "auditor",
] as const
export type KeyUse = (typeof keyUses)[number]

const zero = Uint8Array.of(0)

/** `H("chappe/keyid/v1" ‖ 00 ‖ use ‖ 00 ‖ pk)`, 32 bytes; pk raw, Ed25519 32 bytes or X-Wing 1,216. */
export function typedKeyHash(sha256: Sha256, use: KeyUse, publicKey: Uint8Array): Uint8Array {
  return sha256(concat(utf8("chappe/keyid/v1"), zero, utf8(use), zero, publicKey))
}

/** The first 16 bytes of the typed hash. */
export function keyId(sha256: Sha256, use: KeyUse, publicKey: Uint8Array): Uint8Array {
  return typedKeyHash(sha256, use, publicKey).slice(0, 16)
}
