// Receipts on their way back. A node's batch is logged as one entry; delivered and rejected settle what is
// held here; everything goes on to the sender, through its homes. docs/PROTOCOL.md, "Receipts".

import { sha256 } from "../../keys/crypto.ts"
import { type BatchVerifier, decodeAuth } from "../../protocol/batch.ts"
import { equalBytes, toHex } from "../../protocol/bytes.ts"
import type { Directory } from "../../protocol/directory.ts"
import { ChappeError } from "../../protocol/errors.ts"
import type { Acceptance, LinkMessage, ReceiptItem } from "../../protocol/link-messages.ts"
import {
  type Receipt,
  decodeReceipt,
  isSealedStep,
  receiptIdOf,
  receiptSteps,
} from "../../protocol/receipt.ts"
import { relayLimits } from "../limits.ts"
import type { SubmitFacts } from "./admit-submit.ts"
import type { Committer } from "./committer.ts"
import type { Draft } from "./draft.ts"
import type { Logs } from "./logs.ts"
import { type Mail, holdReads, sliceKey } from "./mail.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { QueueGauge } from "./queue-gauge.ts"
import { queueNames } from "./records.ts"
import type { Routes } from "./routes.ts"
import { factsOf, logStatement, statementReads } from "./statement-log.ts"

export type Receipts = LinkMessage<"receipts">
export type Evidence = LinkMessage<"evidence">

export type ReceiptParts = {
  readonly directory: Directory
  readonly batches: BatchVerifier
  readonly logs: Logs
  readonly network: NetworkClock
  readonly committer: Committer
  readonly mail: Mail
  readonly routes: Routes
  readonly gauge: QueueGauge
  /** Whether the disk has room for new mail. */
  readonly hasRoom: () => boolean
}

type PlainReceipt = { readonly item: ReceiptItem; readonly receipt: Receipt }

export class ReceiptDesk {
  readonly #parts: ReceiptParts
  readonly #inFlight = new Map<string, Promise<Acceptance>>()

  constructor(parts: ReceiptParts) {
    this.#parts = parts
  }

  /**
   * Refused: `not-canonical`, `signature`, `commitment`, `entry-key`, `entry-signature`, `seq-used`, `seq-gap`,
   * `clock`, `busy`.
   */
  async take(peer: string, receipts: Receipts): Promise<Acceptance> {
    const { statement } = receipts
    const name = `${toHex(statement.keyId)}/${statement.seq}/${toHex(statement.commit)}`
    const underway = this.#inFlight.get(name)
    if (underway !== undefined) return underway
    const taken = this.#take(peer, receipts)
    this.#inFlight.set(name, taken)
    try {
      return await taken
    } finally {
      this.#inFlight.delete(name)
    }
  }

  async #take(peer: string, receipts: Receipts): Promise<Acceptance> {
    const facts = this.#facts(peer)
    const plain = readPlain(receipts.items)
    for (const one of plain) this.#judgeReceipt(peer, one, receipts.root, facts)
    if (plain.length > 0 && receipts.root === null)
      throw new ChappeError("commitment", "plain receipts need their batch's root")
    return this.#parts.committer.commit(
      async (draft) => this.#accept(draft, receipts, plain, facts),
      {
        reads: [
          ...statementReads(receipts.statement, { isNext: true }),
          ...plain.flatMap(({ receipt }) => holdReads(receipt.messageId, [peer])),
        ],
        settles: plain.map(({ receipt }) => receipt.messageId),
      },
    )
  }

  #facts(peer: string): SubmitFacts {
    const { directory, batches, logs, network } = this.#parts
    if (!network.isAgreed) throw new ChappeError("clock")
    const { now } = network
    const place = { origin: logs.directory.own.origin, size: logs.traffic.directorySize }
    const trafficOrigin = logs.traffic.own.origin
    return { directory, batches, place, now, acceptedAt: now, peer, trafficOrigin }
  }

  /** The peer's own receipt under the batch's root. Refused: `signature`, `sender-key`. */
  #judgeReceipt(
    peer: string,
    { item, receipt }: PlainReceipt,
    root: Uint8Array | null,
    facts: SubmitFacts,
  ): void {
    const { step, keyId } = receipt
    const isGiven = receipt.recipientNode === peer || isSendersOwn(peer, item, receipt)
    if (!isGiven || isSealedStep(step) || item.auth === null)
      throw new ChappeError("signature", `${peer} may not give this receipt`)
    if (item.messageId !== null && !equalBytes(item.messageId, receipt.messageId))
      throw new ChappeError("not-canonical", "a receipt travels under another message")
    const key = facts.directory.requireStationKey(peer, keyId, facts.place, facts.acceptedAt)
    const found = facts.batches.check({
      signer: { name: peer, keyId },
      publicKey: key.key,
      auth: decodeAuth(item.auth),
      id: receiptIdOf(sha256, item.receipt),
      purpose: "message",
    })
    if (root !== null && !equalBytes(found, root))
      throw new ChappeError("signature", "a receipt belongs to another batch")
  }

  async #accept(
    draft: Draft,
    receipts: Receipts,
    plain: readonly PlainReceipt[],
    before: SubmitFacts,
  ): Promise<() => Acceptance> {
    const { statement, root, items } = receipts
    const facts = factsOf(draft, before)
    await this.#judgeRoom(draft, facts.peer, plain)
    const logged = await logStatement(draft, { kind: "receipts", statement, subject: root }, facts)
    if (logged.kind === "stored") return () => logged.acceptance
    const { acceptance } = logged
    const { told, copies } = await this.#sortOut(draft, items, plain)
    for (const [queue, group] of [...told, ...copies])
      await this.#parts.mail.passOn(draft, queue, facts.peer, group, acceptance)
    for (const { receipt } of plain) await this.#settle(draft, receipt)
    return acceptance
  }

  /** Refused: `busy` for a member's share of what waits, and on a full disk for what lets nothing go. */
  async #judgeRoom(draft: Draft, peer: string, plain: readonly PlainReceipt[]): Promise<void> {
    const { gauge, hasRoom } = this.#parts
    if (gauge.receiptsOf(peer) > relayLimits.memberReceiptsBytesMax)
      throw new ChappeError("busy", `too many receipts of ${peer} wait for others`)
    if (hasRoom()) return
    for (const { receipt } of plain) if (await this.#letsGo(draft, receipt)) return
    throw new ChappeError("busy", "the disk has no room for receipts that let nothing go")
  }

  async #letsGo(draft: Draft, receipt: Receipt): Promise<boolean> {
    const { messageId, recipientNode, ref } = receipt
    if (isSettling(receipt)) return draft.has(sliceKey(messageId, recipientNode))
    const isFetched = receipt.step === receiptSteps.fetched && ref?.length === 32
    return isFetched && (await this.#parts.mail.mayFetch(draft, ref, recipientNode))
  }

  /** The head of a node's officers' journal. Refused: as for receipts. */
  async takeJournal(
    peer: string,
    { statement, head }: LinkMessage<"journal">,
  ): Promise<Acceptance> {
    const facts = this.#facts(peer)
    return this.#parts.committer.commit(async (draft) => {
      const item = { kind: "journal", statement, subject: head } as const
      const logged = await logStatement(draft, item, factsOf(draft, facts))
      return logged.kind === "stored" ? () => logged.acceptance : logged.acceptance
    })
  }

  /**
   * To which queue each receipt goes for its sender. The relay that forwarded a message keeps its copy
   * until it hears of the delivery: evidence goes through it where it is a home of the sender, else it
   * gets a copy.
   */
  async #sortOut(
    draft: Draft,
    items: readonly ReceiptItem[],
    plain: readonly PlainReceipt[],
  ): Promise<{ readonly told: Groups; readonly copies: Groups }> {
    const { routes } = this.#parts
    const holders = new Map<ReceiptItem, readonly string[]>()
    for (const { item, receipt } of plain) {
      if (!isSettling(receipt) && receipt.step !== receiptSteps.fetched) continue
      holders.set(item, await this.#parts.mail.copiesOf(draft, receipt.messageId))
    }
    const told: Groups = new Map()
    const copies: Groups = new Map()
    for (const item of items) {
      const relays = holders.get(item) ?? []
      const first = relays.find((relay) => routes.leadsTo(relay, item.to))
      const queue =
        first === undefined ? routes.evidenceQueueFor(item.to) : queueNames.forward(first)
      if (queue !== undefined) addTo(told, queue, item)
      for (const relay of relays)
        if (relay !== first) addTo(copies, queueNames.forward(relay), item)
    }
    return { told, copies }
  }

  async #settle(draft: Draft, receipt: Receipt): Promise<void> {
    const { mail } = this.#parts
    const { messageId, recipientNode } = receipt
    if (isSettling(receipt)) await mail.settle(draft, messageId, recipientNode)
    else if (receipt.step === receiptSteps.fetched && receipt.ref?.length === 32)
      mail.fetched(draft, receipt.ref, recipientNode, messageId)
  }

  /** Evidence from another relay. What does not hold settles nothing, but is passed on for the sender to judge. */
  async takeEvidence(evidence: Evidence): Promise<void> {
    const { committer, routes, mail } = this.#parts
    const settling = readPlain(evidence.items).filter((one) => this.#holds(evidence.from, one))
    const settles = settling.map(({ receipt }) => receipt.messageId)
    const plan = async (draft: Draft): Promise<() => void> => {
      for (const { receipt } of settling) await this.#settle(draft, receipt)
      const told: Groups = new Map()
      for (const item of evidence.items)
        // At most one hop: who is not at home here has it from elsewhere, and this was our copy.
        if (routes.isHome(routes.self, item.to)) addTo(told, queueNames.member(item.to), item)
      for (const [queue, items] of told)
        await mail.passOn(draft, queue, evidence.from, items, () => evidence.acceptance)
      return () => undefined
    }
    await committer.commit(plan, { settles })
  }

  #holds(from: string, { item, receipt }: PlainReceipt): boolean {
    if (receipt.recipientNode !== from || item.auth === null) return false
    const { directory, batches } = this.#parts
    const found = directory.stationKeyAt(from, receipt.keyId, "now", receipt.at)
    if (found.kind === "invalid") return false
    try {
      batches.check({
        signer: { name: from, keyId: receipt.keyId },
        publicKey: found.key.key,
        auth: decodeAuth(item.auth),
        id: receiptIdOf(sha256, item.receipt),
        purpose: "message",
      })
      return true
    } catch (cause) {
      if (cause instanceof ChappeError) return false
      throw cause
    }
  }
}

/** A sender may say of its own message, to itself alone, that its deadline was missed. */
function isSendersOwn(peer: string, { to }: ReceiptItem, { step, by }: Receipt): boolean {
  return step === receiptSteps.undelivered && by === peer && to === peer
}

function isSettling({ step }: Receipt): boolean {
  return step === receiptSteps.delivered || step === receiptSteps.rejected
}

function readPlain(items: readonly ReceiptItem[]): readonly PlainReceipt[] {
  return items
    .filter(({ auth }) => auth !== null)
    .map((item) => ({ item, receipt: decodeReceipt(item.receipt) }))
}

type Groups = Map<string, ReceiptItem[]>

function addTo(groups: Groups, queue: string, item: ReceiptItem): void {
  const group = groups.get(queue) ?? []
  group.push(item)
  groups.set(queue, group)
}
