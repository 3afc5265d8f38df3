// What protocol/ needs from cryptography, as parameters: keys/ and audit/ bring their own forms.

/** SHA-256 (FIPS 180-4): 32 bytes. */
export type Sha256 = (bytes: Uint8Array) => Uint8Array

/** Steps 2 to 5 of rule ED25519-CHAPPE for an admitted key. Any length of input gives false, never an exception. */
export type Verify = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean

/** Step 1 of rule ED25519-CHAPPE: canonical, on the curve, not small-order, in the prime-order subgroup. */
export type Admit = (publicKey: Uint8Array) => boolean

export interface Crypto {
  readonly sha256: Sha256
  readonly verify: Verify
  readonly admit: Admit
}
