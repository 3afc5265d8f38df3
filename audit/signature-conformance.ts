// What the written rule says about a signature, beside what each of our verifiers says: an outsider with
// cases of their own can check that all agree (`chappe conformance signatures`).

import { verify, verifyWithLibsodium } from "../keys/ed25519.ts"
import { verifyWithPoints } from "./noble-verifier.ts"

export type SignatureJudgement = {
  /** The rule's verdict: its equation in point arithmetic, step by step as written. */
  readonly valid: boolean
  readonly libsodium: boolean
  readonly node: boolean
  readonly noble: boolean
}

/** Judges any bytes; lengths that no key or signature has are simply invalid. */
export function judgeSignature(item: {
  readonly public: Uint8Array
  readonly message: Uint8Array
  readonly signature: Uint8Array
}): SignatureJudgement {
  const noble = verifyWithPoints(item.public, item.message, item.signature)
  return {
    valid: noble,
    libsodium: verifyWithLibsodium(item.public, item.message, item.signature),
    node: verify(item.public, item.message, item.signature),
    noble,
  }
}
