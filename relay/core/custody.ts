// The next relay's word for what was forwarded to it. Only what it has signed for leaves its queue here:
// whatever else it answers, its share is still ours to deliver. docs/PROTOCOL.md, "Delivery".

import { openAcceptance } from "../../keys/accepted-entry.ts"
import { sha256 } from "../../keys/crypto.ts"
import { type BatchVerifier, decodeAuth } from "../../protocol/batch.ts"
import { equalBytes } from "../../protocol/bytes.ts"
import type { Directory } from "../../protocol/directory.ts"
import { ChappeError } from "../../protocol/errors.ts"
import type { Acceptance } from "../../protocol/link-messages.ts"
import { decodeReceipt, receiptIdOf, receiptSteps } from "../../protocol/receipt.ts"
import type { SealedSteps, SignedReceipt } from "./draft.ts"

type Forwarded = { readonly relay: string; readonly messageId: Uint8Array }

export type CustodyFacts = {
  readonly directory: Directory
  readonly batches: BatchVerifier
  /** Network time. */
  readonly now: number
}

/**
 * Its custody receipts by the node whose share they are for: of one batch that it has logged, for this
 * message, by a key of that relay's that is valid now. What else stands there is left out.
 */
export function custodyOf(
  { receipts, acceptance }: SealedSteps,
  forwarded: Forwarded,
  facts: CustodyFacts,
): ReadonlyMap<string, SignedReceipt> {
  const held = new Map<string, SignedReceipt>()
  let logged: Uint8Array | undefined
  for (const signed of receipts) {
    try {
      const { node, root } = openCustody(signed, forwarded, facts)
      if (logged === undefined) requireLogged(acceptance, root, forwarded, facts)
      else if (!equalBytes(logged, root)) continue
      logged = root
      held.set(node, signed)
    } catch (cause) {
      if (!(cause instanceof ChappeError)) throw cause
    }
  }
  return held
}

/** Refused: `not-canonical`, `sender-key`, `signature`. */
function openCustody(
  signed: SignedReceipt,
  { relay, messageId }: Forwarded,
  { directory, batches, now }: CustodyFacts,
): { readonly node: string; readonly root: Uint8Array } {
  const receipt = decodeReceipt(signed.receipt)
  const { step, by, keyId, recipientNode: node } = receipt
  const isFitting =
    step === receiptSteps.custody && by === relay && equalBytes(receipt.messageId, messageId)
  if (!isFitting) throw new ChappeError("signature", `${relay} signed for something else`)
  const { key } = directory.requireStationKey(relay, keyId, "now", now)
  const root = batches.check({
    signer: { name: relay, keyId },
    publicKey: key,
    auth: decodeAuth(signed.auth),
    id: receiptIdOf(sha256, signed.receipt),
    purpose: "message",
  })
  return { node, root }
}

/** Refused: `entry`. */
function requireLogged(
  acceptance: Acceptance,
  root: Uint8Array,
  { relay }: Forwarded,
  { directory }: CustodyFacts,
): void {
  const { relay: by, entry } = openAcceptance(directory, acceptance, root)
  if (by !== relay || entry.kind !== "relay-receipts")
    throw new ChappeError("entry", `${relay} has not logged what it signed`)
}
