// Batch signatures: one Ed25519 signature over 1 to 512 statements of one purpose.
// docs/PROTOCOL.md, "Batch signatures". A single statement is a batch of one.

import { concat, toName } from "./bytes.ts"
import { type Infer, bytes, decode, encode, list, literal, record, uint } from "./codec.ts"
import type { Crypto, Sha256 } from "./crypto-ports.ts"
import { ChappeError } from "./errors.ts"
import { limits } from "./limits.ts"
import { stationName } from "./names.ts"
import { pae } from "./pae.ts"
import { leafHash, rootFromInclusion } from "./tree.ts"

/** Messages and receipts are blinded, so that nothing in the log can be tied to them; log statements are not. */
export type BatchPurpose = "message" | "log"
export const blindLength = { message: 16, log: 0 } as const satisfies Record<BatchPurpose, number>

// Wider than a batch may be: a place out of bounds is a bad signature, not a bad layout.
const auth = record({
  index: uint(0xffff),
  size: uint(0xffff),
  path: list(bytes(32), 0, 16),
  blind: bytes(0, 16),
  signature: bytes(64),
})
/** One statement's share of a batch signature; complete by itself. */
export type Auth = Infer<typeof auth>

export function encodeAuth(item: Auth): Uint8Array {
  return encode(auth, item)
}

export function decodeAuth(encoded: Uint8Array): Auth {
  return decode(auth, encoded, limits.leafBytesMax)
}

/** `H(00 ‖ blind ‖ id)`. */
export function batchLeaf(sha256: Sha256, blind: Uint8Array, id: Uint8Array): Uint8Array {
  return leafHash(sha256, concat(blind, id))
}

export type BatchSigner = { readonly name: string; readonly keyId: Uint8Array }

const batch = record({
  version: literal(1),
  name: stationName,
  keyId: bytes(16),
  size: uint(limits.batchMax),
  root: bytes(32),
})

/** The bytes under the batch signature. */
export function batchPae(signer: BatchSigner, size: number, root: Uint8Array): Uint8Array {
  return pae(
    "batch",
    encode(batch, { version: 1, name: signer.name, keyId: signer.keyId, size, root }),
  )
}

/**
 * The root that `auth` gives for `id`, after checking index, size, path length and blind length.
 * Refused: `signature`.
 */
export function batchRoot(
  sha256: Sha256,
  item: Auth,
  id: Uint8Array,
  purpose: BatchPurpose,
): Uint8Array {
  const fits = item.size >= 1 && item.size <= limits.batchMax && item.index < item.size
  if (!fits || item.blind.length !== blindLength[purpose])
    throw new ChappeError("signature", "the batch place is malformed")
  const root = rootFromInclusion({
    sha256,
    index: item.index,
    size: item.size,
    leaf: batchLeaf(sha256, item.blind, id),
    path: item.path,
  })
  if (root === undefined) throw new ChappeError("signature", "the batch path has the wrong length")
  return root
}

/**
 * Checks batch signatures and remembers the last verified equations, so that the rest of a batch
 * costs hashes only. Whether the key counts is a separate question, asked for each item.
 */
export class BatchVerifier {
  readonly #crypto: Crypto
  readonly #verified = new Set<string>()
  readonly #rememberMax: number

  constructor(crypto: Crypto, rememberMax: number) {
    this.#crypto = crypto
    this.#rememberMax = rememberMax
  }

  /** Refused: `signature`. Returns the batch's root. */
  check(item: {
    readonly signer: BatchSigner
    readonly publicKey: Uint8Array
    readonly auth: Auth
    readonly id: Uint8Array
    readonly purpose: BatchPurpose
  }): Uint8Array {
    const root = batchRoot(this.#crypto.sha256, item.auth, item.id, item.purpose)
    const message = batchPae(item.signer, item.auth.size, root)
    const equation = this.#crypto.sha256(concat(item.publicKey, item.auth.signature, message))
    const name = toName(equation)
    if (this.#verified.has(name)) return root
    if (!this.#crypto.verify(item.publicKey, message, item.auth.signature))
      throw new ChappeError("signature", "the batch signature does not hold")
    this.#remember(name)
    return root
  }

  #remember(name: string): void {
    if (this.#verified.size >= this.#rememberMax) {
      const [oldest] = this.#verified
      if (oldest !== undefined) this.#verified.delete(oldest)
    }
    this.#verified.add(name)
  }
}
