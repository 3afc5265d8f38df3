// The auditor's two opinions on a signature: the fast verifier and the point arithmetic. They must agree;
// a difference is a finding of its own, and the signature then counts as refused.

import { crypto } from "../keys/crypto.ts"
import { toHex } from "../protocol/bytes.ts"
import type { Crypto, Verify } from "../protocol/crypto-ports.ts"
import { verifyWithPoints } from "./noble-verifier.ts"

/** `fast`: for bulk. `points`: the second opinion, by other code. */
export type Verifiers = { readonly fast: Crypto; readonly points: Verify }

export const verifiers: Verifiers = { fast: crypto, points: verifyWithPoints }

/** For the directory, notes, promises, openings and evidence: every signature twice. */
export function doubleChecked(
  { fast, points }: Verifiers,
  onDifference: (publicKey: string) => void,
): Crypto {
  return {
    sha256: fast.sha256,
    admit: fast.admit,
    verify(publicKey, message, signature) {
      const first = fast.verify(publicKey, message, signature)
      const second = points(publicKey, message, signature)
      if (first !== second) onDifference(toHex(publicKey))
      return first && second
    },
  }
}
