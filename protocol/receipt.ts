// Receipts: signed statements of who did what with a message, the evidence ladder's rungs.
// docs/PROTOCOL.md, "Receipts".

import { type Infer, bytes, decode, encode, literal, nullable, oneOf, record } from "./codec.ts"
import type { Sha256 } from "./crypto-ports.ts"
import { time } from "./envelope.ts"
import { limits } from "./limits.ts"
import { codeName, memberName, partyName } from "./names.ts"
import { statementId } from "./pae.ts"

/** Numbers on the wire. 1, submitted, is the sender's log statement; custody receipts exist between relays only. */
export const receiptSteps = {
  custody: 2,
  forwarded: 3,
  delivered: 4,
  opened: 5,
  "in-charge": 6,
  answered: 7,
  refused: 8,
  fetched: 9,
  rejected: 16,
  expired: 17,
  undelivered: 18,
  erased: 19,
} as const
export type ReceiptStep = keyof typeof receiptSteps
type StepNumber = (typeof receiptSteps)[ReceiptStep]

const stepNames = new Map<number, ReceiptStep>(
  (
    [
      "custody",
      "forwarded",
      "delivered",
      "opened",
      "in-charge",
      "answered",
      "refused",
      "fetched",
      "rejected",
      "expired",
      "undelivered",
      "erased",
    ] as const
  ).map((name) => [receiptSteps[name], name]),
)

export function stepName(step: StepNumber): ReceiptStep {
  const name = stepNames.get(step)
  if (name === undefined) throw new RangeError(`step ${step}`)
  return name
}

/** Steps taken by a person travel sealed to the sender: relays must not learn them. */
export function isSealedStep(step: StepNumber): boolean {
  return step >= receiptSteps.opened && step <= receiptSteps.refused
}

const receipt = record({
  version: literal(1),
  messageId: bytes(32),
  recipientNode: memberName,
  step: oneOf([2, 3, 4, 5, 6, 7, 8, 9, 16, 17, 18, 19] as const),
  reason: nullable(codeName),
  at: time,
  keyId: bytes(16),
  by: nullable(partyName),
  ref: nullable(bytes(0, 64)),
})
/**
 * `by`: the officer or relay that took the step. `ref`: the answer's id, the next relay's name as
 * UTF-8, or a body's hash.
 */
export type Receipt = Infer<typeof receipt>

export function encodeReceipt(item: Receipt): Uint8Array {
  return encode(receipt, item)
}

export function decodeReceipt(encoded: Uint8Array): Receipt {
  return decode(receipt, encoded, limits.leafBytesMax)
}

export function receiptIdOf(sha256: Sha256, encoded: Uint8Array): Uint8Array {
  return statementId(sha256, "receipt", encoded)
}

const sealedInfo = record({
  label: literal("chappe/receipt/v1"),
  suite: literal(1),
  recipientNode: memberName,
  senderNode: memberName,
})

/** HPKE `info` of a receipt sealed to the message's sender. */
export function encodeSealedReceiptInfo(recipientNode: string, senderNode: string): Uint8Array {
  return encode(sealedInfo, { label: "chappe/receipt/v1", suite: 1, recipientNode, senderNode })
}

const sealedInside = record({
  receipt: bytes(1, limits.leafBytesMax),
  auth: bytes(1, limits.leafBytesMax),
  salt: bytes(32),
})
/** Plaintext of a sealed receipt. `salt` opens the log commitment of the batch that holds it. */
export type SealedReceiptInside = Infer<typeof sealedInside>

export function encodeSealedReceiptInside(item: SealedReceiptInside): Uint8Array {
  return encode(sealedInside, item)
}

export function decodeSealedReceiptInside(encoded: Uint8Array): SealedReceiptInside {
  return decode(sealedInside, encoded, 4 * limits.leafBytesMax)
}
