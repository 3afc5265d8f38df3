// The auditor's two opinions on a signature: the fast verifier and the point arithmetic. They must agree;
// a difference is a finding of its own, and the signature then counts as refused.

import { crypto } from "../keys/crypto.ts"
import { toHex } from "../protocol/bytes.ts"
import type { Crypto } from "../protocol/crypto-ports.ts"
import { verifyWithPoints } from "./noble-verifier.ts"

/** For the directory, notes, promises, openings and evidence: every signature twice. */
export function doubleChecked(onDifference: (publicKey: string) => void): Crypto {
  return {
    sha256: crypto.sha256,
    admit: crypto.admit,
    verify(publicKey, message, signature) {
      const fast = crypto.verify(publicKey, message, signature)
      const points = verifyWithPoints(publicKey, message, signature)
      if (fast !== points) onDifference(toHex(publicKey))
      return fast && points
    },
  }
}
