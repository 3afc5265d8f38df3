// A signing key of one use. Whoever holds it can sign; nobody can read the secret out of it.

import { type KeyUse, keyId } from "../protocol/key-id.ts"
import { sha256 } from "./crypto.ts"
import { generateKeyPair } from "./ed25519.ts"

export interface SigningKey {
  readonly use: KeyUse
  /** 32 bytes, raw. */
  readonly publicKey: Uint8Array
  /** 16 bytes; binds the key to its use. */
  readonly keyId: Uint8Array
  /** Ed25519 over exactly these bytes, which are a PAE: 64 bytes. */
  sign(message: Uint8Array): Uint8Array
}

/** The signing key of a 32-byte seed. */
export function signingKey(use: KeyUse, seed: Uint8Array): SigningKey {
  const { publicKey, sign } = generateKeyPair(seed)
  return { use, publicKey, keyId: keyId(sha256, use, publicKey), sign }
}
