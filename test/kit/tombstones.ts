// Tombstones as their signers make them, and as liars would.

import { signBatch } from "../../keys/batch-signer.ts"
import { sha256 } from "../../keys/crypto.ts"
import { encodeAuth } from "../../protocol/batch.ts"
import { decodeLeaf, messageIdOf } from "../../protocol/envelope.ts"
import {
  type ReceiptStep,
  encodeReceipt,
  receiptIdOf,
  receiptSteps,
} from "../../protocol/receipt.ts"
import { encodeTombstone } from "../../protocol/tombstone.ts"
import type { DeliverRequest } from "./relay-double.ts"
import type { World } from "./world.ts"

/** For the recipient of this delivery, signed by a member or relay. */
export function tombstoneOf(
  world: World,
  stone: {
    readonly message: Pick<DeliverRequest, "header" | "auth" | "slice">
    readonly by: string
    readonly step: ReceiptStep
    readonly at: number
  },
): Uint8Array {
  const { message, by, step, at } = stone
  const { header, auth, slice } = message
  const [relayKey] = world.relays.get(by)?.keys ?? []
  const key = relayKey ?? world.member(by).node
  const receipt = encodeReceipt({
    version: 1,
    messageId: messageIdOf(sha256, header),
    recipientNode: decodeLeaf(slice.leaf).node,
    step: receiptSteps[step],
    reason: null,
    at,
    keyId: key.keyId,
    by,
    ref: null,
  })
  const item = { id: receiptIdOf(sha256, receipt), blind: new Uint8Array(16).fill(7) }
  const [signed] = signBatch(by, key, [item]).auths
  if (signed === undefined) throw new RangeError("a batch of one has one auth")
  const { leaf, path } = slice
  return encodeTombstone({ header, auth, leaf, path, receipt, receiptAuth: encodeAuth(signed) })
}
