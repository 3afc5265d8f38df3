// libsodium behind a few typed functions: X-Wing, the AEADs of small things, and the reference verifier.
//
// libsodium-wrappers takes strings as keys and messages and coerces them: so everything is checked
// to be bytes of the right length first. Importing this module waits until the library is ready.

import sodium from "libsodium-wrappers"

await sodium.ready

export const kemPublicKeyBytes = 1_216
export const kemSecretBytes = 32
export const kemCiphertextBytes = 1_120
export const kemSeedBytes = 64
export const aeadTagBytes = 16

function demand(name: string, bytes: Uint8Array, length?: number): void {
  if (!(bytes instanceof Uint8Array)) throw new TypeError(`${name} is not bytes`)
  if (length !== undefined && bytes.length !== length)
    throw new RangeError(`${name} has ${bytes.length} bytes, not ${length}`)
}

export type KemKeyPair = { readonly publicKey: Uint8Array; readonly secret: Uint8Array }

/** X-Wing key pair of a 32-byte seed; the secret is the seed. Public key 1,216 bytes. */
export function kemKeyPair(seed: Uint8Array): KemKeyPair {
  demand("seed", seed, kemSecretBytes)
  const pair = sodium.crypto_kem_xwing_seed_keypair(seed)
  return { publicKey: pair.publicKey, secret: pair.privateKey }
}

/** X-Wing encapsulation with 64 bytes of randomness. `undefined`: libsodium refuses the public key. */
export function kemEncapsulate(
  publicKey: Uint8Array,
  seed: Uint8Array,
): { readonly ciphertext: Uint8Array; readonly sharedSecret: Uint8Array } | undefined {
  demand("public key", publicKey, kemPublicKeyBytes)
  demand("seed", seed, kemSeedBytes)
  try {
    return sodium.crypto_kem_xwing_enc_deterministic(publicKey, seed)
  } catch {
    // Lengths and types were right, so this is a malformed ML-KEM half or a zero X25519 half.
    return undefined
  }
}

/** `undefined`: libsodium refuses the X25519 half. A foreign ML-KEM half gives a useless secret instead. */
export function kemDecapsulate(ciphertext: Uint8Array, secret: Uint8Array): Uint8Array | undefined {
  demand("ciphertext", ciphertext, kemCiphertextBytes)
  demand("secret", secret, kemSecretBytes)
  try {
    return sodium.crypto_kem_xwing_dec(ciphertext, secret)
  } catch {
    return undefined
  }
}

export type AeadInput = {
  readonly key: Uint8Array
  readonly nonce: Uint8Array
  readonly aad: Uint8Array
}

/** ChaCha20-Poly1305 (RFC 8439) for short texts: key 32, nonce 12, tag 16 at the end. */
export function sealChaCha(input: AeadInput, plaintext: Uint8Array): Uint8Array {
  demandAead(input, 12, plaintext)
  return sodium.crypto_aead_chacha20poly1305_ietf_encrypt(
    plaintext,
    input.aad,
    null,
    input.nonce,
    input.key,
  )
}

/** `undefined`: the tag does not fit. */
export function openChaCha(input: AeadInput, sealed: Uint8Array): Uint8Array | undefined {
  demandAead(input, 12, sealed)
  try {
    return sodium.crypto_aead_chacha20poly1305_ietf_decrypt(
      null,
      sealed,
      input.aad,
      input.nonce,
      input.key,
    )
  } catch {
    return undefined
  }
}

/** XChaCha20-Poly1305: key 32, nonce 24 that may be random, tag 16 at the end. */
export function sealXChaCha(input: AeadInput, plaintext: Uint8Array): Uint8Array {
  demandAead(input, 24, plaintext)
  return sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(
    plaintext,
    input.aad,
    null,
    input.nonce,
    input.key,
  )
}

/** `undefined`: the tag does not fit. */
export function openXChaCha(input: AeadInput, sealed: Uint8Array): Uint8Array | undefined {
  demandAead(input, 24, sealed)
  try {
    return sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
      null,
      sealed,
      input.aad,
      input.nonce,
      input.key,
    )
  } catch {
    return undefined
  }
}

function demandAead(input: AeadInput, nonceLength: number, text: Uint8Array): void {
  demand("key", input.key, 32)
  demand("nonce", input.nonce, nonceLength)
  demand("aad", input.aad)
  demand("text", text)
}

/** libsodium's own verdict about a signature of 64 bytes and a key of 32. */
export function sodiumVerify(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  demand("public key", publicKey, 32)
  demand("message", message)
  demand("signature", signature, 64)
  return sodium.crypto_sign_verify_detached(signature, message, publicKey)
}
