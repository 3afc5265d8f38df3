// Signing several statements at once. docs/PROTOCOL.md, "Batch signatures". The signer takes what it
// has in hand and never waits to fill a batch.

import { type Auth, type BatchSigner, batchLeaf, batchPae } from "../protocol/batch.ts"
import { emptyBytes } from "../protocol/bytes.ts"
import { limits } from "../protocol/limits.ts"
import { inclusionPaths, treeRoot } from "../protocol/tree.ts"
import { sha256 } from "./crypto.ts"
import type { SigningKey } from "./signing-key.ts"

/** A statement's id, and its blind: 16 hedged bytes for messages and receipts, none for log statements. */
export type BatchItem = { readonly id: Uint8Array; readonly blind: Uint8Array }

export const noBlind: Uint8Array = emptyBytes

/** One signature over 1 … 512 statements by the node or relay `name`; an auth for each, in order. */
export function signBatch(
  name: string,
  key: SigningKey,
  items: readonly BatchItem[],
): { readonly root: Uint8Array; readonly auths: readonly Auth[] } {
  if (items.length < 1 || items.length > limits.batchMax) throw new RangeError("batch size")
  const leaves = items.map(({ id, blind }) => batchLeaf(sha256, blind, id))
  const root = treeRoot(sha256, leaves)
  const signer: BatchSigner = { name, keyId: key.keyId }
  const signature = key.sign(batchPae(signer, items.length, root))
  const paths = inclusionPaths(sha256, leaves)
  const auths = items.map(({ blind }, index) => ({
    index,
    size: items.length,
    path: paths[index] ?? [],
    blind,
    signature,
  }))
  return { root, auths }
}
