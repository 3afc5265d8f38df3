// Promises handed in: whether the log keeps what its relay has signed. docs/PROTOCOL.md, "Promises".

import { batchRoot, decodeAuth } from "../protocol/batch.ts"
import { equalBytes } from "../protocol/bytes.ts"
import type { Sha256 } from "../protocol/crypto-ports.ts"
import { messageIdOf } from "../protocol/envelope.ts"
import type { EvidenceFile } from "../protocol/evidence-file.ts"
import type { Acceptance } from "../protocol/link-messages.ts"
import { receiptIdOf } from "../protocol/receipt.ts"

/** A promise with the entry that it covers. `subject`: what the entry's commitment opens to. */
export type HandedIn = { readonly acceptance: Acceptance; readonly subject: Uint8Array }

/** What an evidence file holds to be checked against the log. Refused: `not-canonical`, `size`, `signature`. */
export function handedInBy(sha256: Sha256, file: EvidenceFile): readonly HandedIn[] {
  const message = {
    acceptance: file.logged.acceptance,
    subject: messageIdOf(sha256, file.header),
  }
  const receipts = file.receipts.map(({ acceptance, auth, receipt }) => {
    const id = receiptIdOf(sha256, receipt)
    return { acceptance, subject: batchRoot(sha256, decodeAuth(auth), id, "message") }
  })
  return [message, ...receipts]
}

export type PromiseVerdict =
  | { readonly kind: "kept" }
  /** The entry is not yet under a checkpoint, and nothing shows that its time is up. */
  | { readonly kind: "pending" }
  | { readonly kind: "broken"; readonly why: string }

/**
 * A promise is broken, provably, by a checkpoint with size > index whose leaf there differs, or by a
 * cosignature later than the deadline over a size ≤ index. Times in seconds since 1970.
 */
export function judgePromise(
  promise: { readonly index: number; readonly leaf: Uint8Array; readonly deadline: number },
  log: {
    readonly size: number
    /** The leaf hash at the promise's index, where the log reaches it. */
    readonly leaf: Uint8Array | undefined
    readonly cosignedAt: number | null
  },
): PromiseVerdict {
  const { index, deadline } = promise
  if (log.size > index)
    return log.leaf !== undefined && equalBytes(log.leaf, promise.leaf)
      ? { kind: "kept" }
      : { kind: "broken", why: `another entry stands at ${index} than was promised` }
  if (log.cosignedAt !== null && log.cosignedAt > deadline)
    return {
      kind: "broken",
      why: `entry ${index} was promised ${log.cosignedAt - deadline} s before the log was cosigned without it`,
    }
  return { kind: "pending" }
}
