// Hedged randomness: fresh random bytes mixed with a secret of this node and with what is being made.
// A cloned machine with a cloned generator then repeats a key only for the same plaintext.
// docs/PROTOCOL.md, "Hedged randomness".

import { concat, utf8 } from "../protocol/bytes.ts"
import { hkdfExpand, hmacSha256 } from "./crypto.ts"

/** So many bytes from the system's generator. */
export type Random = (length: number) => Uint8Array

/** One value a label; the same label gives the same value again. */
export type Hedge = (label: Uint8Array | string, length: number) => Uint8Array

const domain = utf8("chappe/hedge/v1\0")
const randomBytes = 64

/** `hedgeSecret`: 32 bytes. `bindingHash`: SHA-256 of what the values are for. Draws 64 random bytes. */
export function hedged(hedgeSecret: Uint8Array, random: Random, bindingHash: Uint8Array): Hedge {
  if (hedgeSecret.length !== 32 || bindingHash.length !== 32) throw new RangeError("32 bytes each")
  const prk = hmacSha256(hedgeSecret, concat(domain, random(randomBytes), bindingHash))
  return (label, length) =>
    hkdfExpand("sha256", prk, typeof label === "string" ? utf8(label) : label, length)
}
