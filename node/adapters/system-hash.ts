// SHA-256 in pieces, by OpenSSL.

import { createHash } from "node:crypto"
import type { NewHash } from "../core/ports.ts"

export const systemHash: NewHash = () => {
  const hash = createHash("sha256")
  return {
    update: (piece) => void hash.update(piece),
    digest: () => new Uint8Array(hash.digest()),
  }
}
