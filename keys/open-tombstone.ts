// Opening a tombstone: whether it may settle a channel's number. Relays check it before they carry it,
// the recipient before it counts. docs/PROTOCOL.md, "Tombstones".
//
// It must not be able to hide a message that could still come. A relay's word counts only once the
// message is past the time that its sender signed, so that nobody would take it any more; everything
// else the sender itself must say. And a message that comes after its tombstone is still taken.

import { type BatchVerifier, decodeAuth } from "../protocol/batch.ts"
import { equalBytes, toHex } from "../protocol/bytes.ts"
import type { Directory } from "../protocol/directory.ts"
import {
  type Header,
  type Leaf,
  decodeHeader,
  decodeLeaf,
  messageIdOf,
  recipientIndex,
} from "../protocol/envelope.ts"
import { ChappeError } from "../protocol/errors.ts"
import { isMemberName } from "../protocol/names.ts"
import {
  type Receipt,
  type ReceiptStep,
  decodeReceipt,
  receiptIdOf,
  stepName,
} from "../protocol/receipt.ts"
import type { StationKey } from "../protocol/station.ts"
import { type Tombstone, decodeTombstone } from "../protocol/tombstone.ts"
import { sha256 } from "./crypto.ts"
import { checkSignature, checkSlice } from "./open-envelope.ts"

export type OpenedTombstone = {
  readonly tombstone: Tombstone
  readonly messageId: Uint8Array
  readonly header: Header
  readonly leaf: Leaf
  readonly step: ReceiptStep
  readonly receipt: Receipt
  /** Who says so: the sender, or a relay. */
  readonly signer: string
}

export type TombstoneFacts = {
  /** Network time, seconds. */
  readonly now: number
  readonly directory: Directory
  readonly batches: BatchVerifier
}

const sendersSteps: readonly ReceiptStep[] = ["rejected", "expired", "erased"]

/**
 * Refused: `size` `not-canonical` `sender-key` `signature` `not-for-me` `slice` `tombstone`; `too-early`
 * while the message that it calls expired has not.
 */
export function openTombstone(bytes: Uint8Array, facts: TombstoneFacts): OpenedTombstone {
  const tombstone = decodeTombstone(bytes)
  const header = decodeHeader(tombstone.header)
  const leaf = decodeLeaf(tombstone.leaf)
  const receipt = decodeReceipt(tombstone.receipt)
  const { core } = header
  const messageId = messageIdOf(sha256, tombstone.header)
  const key = senderKeyOf(facts.directory, header)
  if (leaf.incarnation !== key.incarnation)
    throw new ChappeError("sender-key", "the slice names another incarnation than the key's")
  checkSignature(facts.batches, { header, auth: decodeAuth(tombstone.auth), messageId }, key)
  const index = recipientIndex(core, leaf.node)
  if (index < 0) throw new ChappeError("not-for-me")
  checkSlice(header, index, tombstone.leaf, tombstone.path)
  if (!equalBytes(receipt.messageId, messageId) || receipt.recipientNode !== leaf.node)
    throw new ChappeError("tombstone", "the receipt is about something else")
  const step = stepName(receipt.step)
  const signer = signerOf(receipt, step, core.senderNode)
  checkReceipt(tombstone, receipt, signer, facts)
  if (step === "expired" && facts.now <= core.expires)
    throw new ChappeError("too-early", `${core.expires - facts.now} s before the message expires`)
  return { tombstone, messageId, header, leaf, step, receipt, signer }
}

/**
 * Any node key that the sender has named and not revoked: a key that has ended since vouches for its own
 * messages, and who speaks of them now signs the receipt with a key that counts now.
 */
function senderKeyOf(directory: Directory, { core }: Header): StationKey {
  const { senderNode, senderKeyId } = core
  const key = directory
    .station(senderNode)
    ?.keys.find((candidate) => equalBytes(candidate.keyId, senderKeyId))
  if (key === undefined || directory.isRevokedAnywhere(senderNode, senderKeyId))
    throw new ChappeError("sender-key", `${senderNode} has no key ${toHex(senderKeyId)}`)
  return key
}

function signerOf({ by }: Receipt, step: ReceiptStep, sender: string): string {
  const isSenders = by === sender && sendersSteps.includes(step)
  const isRelays = by !== null && !isMemberName(by) && step === "expired"
  if (by === null || !(isSenders || isRelays))
    throw new ChappeError("tombstone", `${by ?? "nobody"} may not say ${step}`)
  return by
}

function checkReceipt(
  { receipt: bytes, receiptAuth }: Tombstone,
  { keyId, at }: Receipt,
  signer: string,
  { directory, batches }: TombstoneFacts,
): void {
  const key = directory.requireStationKey(signer, keyId, "now", at)
  batches.check({
    signer: { name: signer, keyId },
    publicKey: key.key,
    auth: decodeAuth(receiptAuth),
    id: receiptIdOf(sha256, bytes),
    purpose: "message",
  })
}
