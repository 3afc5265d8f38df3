// What the relay holds for others: messages with their slices and bodies, and queues of what goes where.
// Everything here writes into a draft; the committer makes it durable.

import { concat, emptyBytes, fromUtf8, u32, utf8 } from "../../protocol/bytes.ts"
import type { Lane } from "../../protocol/envelope.ts"
import { limits } from "../../protocol/limits.ts"
import type { Acceptance, AttachmentRef, ReceiptItem } from "../../protocol/link-messages.ts"
import { encodeTombstone } from "../../protocol/tombstone.ts"
import { relayLimits } from "../limits.ts"
import type { Draft, RelayStep, Sealed, StepRange } from "./draft.ts"
import type { AttachmentStore } from "./ports.ts"
import { type QueueGauge, parseQueueKey, receiptBytesOf } from "./queue-gauge.ts"
import {
  type MessageRecord,
  type QueueItem,
  type SliceRecord,
  evidenceLane,
  holdingRecord,
  messageRecord,
  numberRecord,
  queueItem,
  sliceRecord,
} from "./records.ts"
import { afterPrefix, framed, position as positionKey, recordKey } from "./tables.ts"

export function messageKey(messageId: Uint8Array): Uint8Array {
  return recordKey("message", messageId)
}

export function holdingKey(messageId: Uint8Array): Uint8Array {
  return recordKey("holding", messageId)
}

export function sliceKey(messageId: Uint8Array, node: string): Uint8Array {
  return recordKey("slice", messageId, utf8(node))
}

export function slicePrefix(messageId: Uint8Array): Uint8Array {
  return recordKey("slice", messageId)
}

export function laneKey(queue: string, lane: number): Uint8Array {
  return recordKey("queue", framed(queue), Uint8Array.of(lane))
}

export function queueKey(queue: string, lane: number, position: number): Uint8Array {
  return concat(laneKey(queue, lane), positionKey(position))
}

export function knownKey(messageId: Uint8Array): Uint8Array {
  return recordKey("known", messageId)
}

function referenceKey(hash: Uint8Array, node: string, messageId: Uint8Array): Uint8Array {
  return recordKey("reference", hash, framed(node), messageId)
}

function copyKey(messageId: Uint8Array, relay: string): Uint8Array {
  return recordKey("copy", messageId, utf8(relay))
}

/** More relays than a network has. */
const copiesMax = 256

/** All references of `node` to an attachment. */
export function referencePrefix(hash: Uint8Array, node?: string): Uint8Array {
  return recordKey("reference", hash, node === undefined ? emptyBytes : framed(node))
}

/**
 * What happens at a time: `x` a message expires, `k` an id and `n` a log number are forgotten (and the id
 * that stands under it), `a` a reference ends, `q` evidence or a control that nobody fetched goes.
 */
export type DueSort = "x" | "k" | "n" | "a" | "q"

export function dueKey(at: number, sort: DueSort, subject: Uint8Array): Uint8Array {
  return recordKey("due", u32(at), utf8(sort), subject)
}

const counterKey = recordKey("counter")

/** What `hold` reads for a new message. */
export const newHoldReads: readonly Uint8Array[] = [counterKey]

/** What `hold` and `settle` read for a known message and these recipients. */
export function holdReads(messageId: Uint8Array, nodes: readonly string[]): readonly Uint8Array[] {
  return [
    counterKey,
    holdingKey(messageId),
    messageKey(messageId),
    ...nodes.map((node) => sliceKey(messageId, node)),
  ]
}

export type HeldRecipient = {
  readonly node: string
  readonly leaf: Uint8Array
  readonly path: readonly Uint8Array[]
  /** Where its mail goes: a member's queue here, or the queue towards another relay. */
  readonly queue: string
}

/** One recipient's share that ended: what its tombstone is made of. */
export type Grave = {
  readonly header: Uint8Array
  readonly auth: Uint8Array
  readonly slice: SliceRecord
  readonly step: RelayStep
}

export type HeldMessage = {
  /** Its id is not known here: nothing of it is stored. */
  readonly isNew: boolean
  readonly messageId: Uint8Array
  readonly header: Uint8Array
  readonly auth: Uint8Array
  readonly attachments: readonly AttachmentRef[]
  readonly via: string | null
  readonly recipients: readonly HeldRecipient[]
  readonly body: Uint8Array
  readonly lane: Lane
  readonly expires: number
}

export class Mail {
  readonly #gauge: QueueGauge
  readonly #attachments: AttachmentStore
  readonly #notify: (queue: string) => void
  readonly #unreferenced: (hash: Uint8Array) => void

  constructor(parts: {
    readonly gauge: QueueGauge
    readonly attachments: AttachmentStore
    /** Something new waits in this queue. */
    readonly notify: (queue: string) => void
    /** An attachment may have lost its last reference. */
    readonly unreferenced: (hash: Uint8Array) => void
  }) {
    this.#gauge = parts.gauge
    this.#attachments = parts.attachments
    this.#notify = parts.notify
    this.#unreferenced = parts.unreferenced
  }

  async #nextPosition(draft: Draft): Promise<number> {
    const last = (await draft.get(numberRecord, counterKey))?.value ?? 0
    draft.put(numberRecord, counterKey, { value: last + 1 })
    return last + 1
  }

  #put(draft: Draft, queue: string, lane: number, position: number, item: QueueItem): void {
    const key = queueKey(queue, lane, position)
    draft.put(queueItem, key, item)
    // Messages have their own end.
    if (item.name !== "message")
      draft.putBytes(dueKey(draft.facts.now + limits.idKeepSeconds, "q", key), emptyBytes)
    draft.onCommitted(() => {
      this.#gauge.add(queue, lane, item)
      this.#notify(queue)
    })
  }

  #drop(draft: Draft, key: Uint8Array, queue: string, item: QueueItem): void {
    draft.delete(key)
    draft.onCommitted(() => {
      this.#gauge.remove(queue, parseQueueKey(key).lane, item)
    })
  }

  async enqueue(draft: Draft, queue: string, lane: number, item: QueueItem): Promise<void> {
    this.#put(draft, queue, lane, await this.#nextPosition(draft), item)
  }

  /** Removes an item that is not a message: it was taken, or nobody came for it. */
  async dequeue(draft: Draft, key: Uint8Array): Promise<void> {
    const item = await draft.get(queueItem, key)
    if (item !== undefined) this.#drop(draft, key, parseQueueKey(key).queue, item)
  }

  /**
   * Takes a message into custody for these recipients, one queue item for each queue. `acceptance` is
   * asked for when the commit's entries are final. What is held already is added to.
   */
  async hold(
    draft: Draft,
    held: HeldMessage,
    acceptance: (sealed: Sealed) => Acceptance,
  ): Promise<void> {
    const { messageId, lane, isNew } = held
    const before = isNew ? undefined : await draft.get(holdingRecord, holdingKey(messageId))
    const old = isNew ? undefined : await draft.get(messageRecord, messageKey(messageId))
    // What the sender gave here itself is this relay's own from now on: only that can be forwarded.
    const isOwn = held.via === null
    const via = isOwn || old === undefined ? held.via : old.via
    if (isOwn && typeof old?.via === "string") this.copyAt(draft, messageId, old.via)
    const byQueue = new Map<string, HeldRecipient[]>()
    for (const recipient of held.recipients)
      byQueue.set(recipient.queue, [...(byQueue.get(recipient.queue) ?? []), recipient])
    let added = 0
    for (const [queue, recipients] of byQueue) {
      const position = await this.#nextPosition(draft)
      const nodes = recipients.map(({ node }) => node)
      const item: QueueItem = { name: "message", messageId, nodes, bytes: held.body.length }
      this.#put(draft, queue, lane, position, item)
      for (const { node, leaf, path } of recipients) {
        const key = sliceKey(messageId, node)
        const aside = isNew ? undefined : await draft.get(sliceRecord, key)
        if (aside === undefined) added += 1
        else await this.#leaveQueue(draft, node, aside)
        draft.put(sliceRecord, key, { leaf, path, queue, lane, position })
        for (const attachment of held.attachments) {
          const reference = referenceKey(attachment.hash, node, messageId)
          draft.putBytes(reference, u32(held.expires))
          draft.putBytes(dueKey(held.expires, "a", reference), emptyBytes)
          draft.delete(recordKey("upload", attachment.hash))
        }
      }
    }
    draft.putBytes(dueKey(held.expires, "x", messageId), emptyBytes)
    if (before === undefined)
      draft.body(held.body, (at) => {
        draft.put(holdingRecord, holdingKey(messageId), { ...at, unsettled: added })
      })
    else
      draft.put(holdingRecord, holdingKey(messageId), {
        ...before,
        unsettled: before.unsettled + added,
      })
    const { header, auth, attachments } = held
    draft.onSealed((sealed) => {
      const record: MessageRecord = {
        header,
        auth,
        attachments,
        via,
        acceptance: isOwn ? acceptance(sealed) : (old?.acceptance ?? acceptance(sealed)),
      }
      draft.put(messageRecord, messageKey(messageId), record)
    })
  }

  /** A relay brought what is held here already: it is to hear of the delivery, for it holds a copy. */
  copyAt(draft: Draft, messageId: Uint8Array, relay: string): void {
    draft.putBytes(copyKey(messageId, relay), emptyBytes)
  }

  /** The relays that hold a copy of a message that is held here: who forwarded it first, and who did since. */
  async copiesOf(draft: Draft, messageId: Uint8Array): Promise<readonly string[]> {
    const record = await draft.get(messageRecord, messageKey(messageId))
    if (record === undefined) return []
    const prefix = recordKey("copy", messageId)
    const copies = await draft.range({ gte: prefix, lt: afterPrefix(prefix), limit: copiesMax })
    const later = copies.map(({ key }) => fromUtf8(key.slice(prefix.length)))
    return [...new Set([...(record.via === null ? [] : [record.via]), ...later])]
  }

  /** Takes a node out of the queue item that names it. */
  async #leaveQueue(
    draft: Draft,
    node: string,
    { queue, lane, position }: SliceRecord,
  ): Promise<void> {
    const key = queueKey(queue, lane, position)
    const item = await draft.get(queueItem, key)
    if (item?.name !== "message") return
    const nodes = item.nodes.filter((other) => other !== node)
    if (nodes.length === 0) this.#drop(draft, key, queue, item)
    else {
      const rest = { ...item, nodes }
      draft.put(queueItem, key, rest)
      draft.onCommitted(() => {
        this.#gauge.remove(queue, lane, item)
        this.#gauge.add(queue, lane, rest)
      })
    }
  }

  /** Moves one recipient's share to another queue. False when it is not held. */
  async move(draft: Draft, messageId: Uint8Array, node: string, queue: string): Promise<boolean> {
    const slice = await draft.get(sliceRecord, sliceKey(messageId, node))
    const holding = await draft.get(holdingRecord, holdingKey(messageId))
    if (slice === undefined || holding === undefined) return false
    if (slice.queue === queue) return true
    await this.#leaveQueue(draft, node, slice)
    const position = await this.#nextPosition(draft)
    const item: QueueItem = { name: "message", messageId, nodes: [node], bytes: holding.length }
    this.#put(draft, queue, slice.lane, position, item)
    draft.put(sliceRecord, sliceKey(messageId, node), { ...slice, queue, position })
    return true
  }

  /**
   * One recipient is done with: its share goes, and with the last one message and body. False when
   * it was done before. Large attachments stay until FETCHED or expiry.
   */
  async settle(draft: Draft, messageId: Uint8Array, node: string): Promise<boolean> {
    const key = sliceKey(messageId, node)
    const slice = await draft.get(sliceRecord, key)
    if (slice === undefined) return false
    await this.#leaveQueue(draft, node, slice)
    draft.delete(key)
    const record = await draft.get(messageRecord, messageKey(messageId))
    for (const { hash, length } of record?.attachments ?? [])
      if (length <= limits.attachmentEagerBytesMax) this.fetched(draft, hash, node, messageId)
    const holding = await draft.get(holdingRecord, holdingKey(messageId))
    if (holding === undefined) return true
    if (holding.unsettled > 1)
      draft.put(holdingRecord, holdingKey(messageId), {
        ...holding,
        unsettled: holding.unsettled - 1,
      })
    else {
      for (const relay of await this.copiesOf(draft, messageId))
        draft.delete(copyKey(messageId, relay))
      draft.delete(holdingKey(messageId))
      draft.delete(messageKey(messageId))
      draft.release(holding)
    }
    return true
  }

  /** The recipient has the attachment: its reference ends. */
  fetched(draft: Draft, hash: Uint8Array, node: string, messageId: Uint8Array): void {
    draft.delete(referenceKey(hash, node, messageId))
    draft.onCommitted(() => {
      this.#unreferenced(hash)
    })
  }

  endReference(draft: Draft, reference: Uint8Array): void {
    draft.delete(reference)
    const hash = reference.slice(1, 33)
    draft.onCommitted(() => {
      this.#unreferenced(hash)
    })
  }

  /** Forgets an attachment that neither a reference nor an upload names. */
  async sweepAttachment(draft: Draft, hash: Uint8Array): Promise<void> {
    const prefix = referencePrefix(hash)
    const held = await draft.range({ gte: prefix, lt: afterPrefix(prefix), limit: 1 })
    if (held.length === 0 && !(await draft.has(recordKey("upload", hash))))
      await this.#attachments.remove(hash)
  }

  /** Whether the node may have this attachment: a message for it names it. */
  async mayFetch(draft: Draft, hash: Uint8Array, node: string): Promise<boolean> {
    const prefix = referencePrefix(hash, node)
    return (await draft.range({ gte: prefix, lt: afterPrefix(prefix), limit: 1 })).length > 0
  }

  /** Queues receipts of others for a sender, in items of a bounded size, however many came at once. */
  async passOn(
    draft: Draft,
    queue: string,
    from: string,
    items: readonly ReceiptItem[],
    acceptance: (sealed: Sealed) => Acceptance | null,
  ): Promise<void> {
    for (const part of partBySize(items)) {
      const position = await this.#nextPosition(draft)
      draft.onSealed((sealed) => {
        this.#put(draft, queue, evidenceLane, position, {
          name: "evidence",
          from,
          items: part,
          acceptance: acceptance(sealed),
        })
      })
    }
  }

  /** Signs steps of the relay's own, and queues them for the sender where a queue leads to it. Needs `draft.time`. */
  async tell(
    draft: Draft,
    told: { readonly self: string; readonly sender: string; readonly queue: string | undefined },
    steps: readonly RelayStep[],
  ): Promise<void> {
    if (steps.length === 0) return
    const range = draft.sign(steps)
    const { queue } = told
    if (queue !== undefined) await this.#evidence(draft, range, { ...told, queue }, steps)
  }

  /**
   * Messages ended here: their sender is told as in `tell`, and each recipient gets a tombstone into the
   * queue in which its share waited. Needs `draft.time`.
   */
  async entomb(
    draft: Draft,
    told: { readonly self: string; readonly sender: string; readonly queue: string | undefined },
    graves: readonly Grave[],
  ): Promise<void> {
    if (graves.length === 0) return
    const steps = graves.map(({ step }) => step)
    const range = draft.sign(steps)
    const { queue } = told
    if (queue !== undefined) await this.#evidence(draft, range, { ...told, queue }, steps)
    const placed: (Grave & { readonly position: number })[] = []
    for (const grave of graves) placed.push({ ...grave, position: await this.#nextPosition(draft) })
    draft.onSealed((sealed) => {
      const { receipts } = sealed.steps(range)
      for (const [i, { header, auth, slice, step, position }] of placed.entries()) {
        const signed = receipts[i]
        if (signed === undefined) throw new RangeError("a receipt for each step")
        const { leaf, path } = slice
        const { receipt, auth: receiptAuth } = signed
        const tombstone = encodeTombstone({ header, auth, leaf, path, receipt, receiptAuth })
        const item = { name: "tombstone", to: step.recipientNode, tombstone } as const
        this.#put(draft, slice.queue, evidenceLane, position, item)
      }
    })
  }

  async #evidence(
    draft: Draft,
    range: StepRange,
    told: { readonly self: string; readonly sender: string; readonly queue: string },
    steps: readonly RelayStep[],
  ): Promise<void> {
    const position = await this.#nextPosition(draft)
    draft.onSealed((sealed) => {
      const { receipts, acceptance } = sealed.steps(range)
      const items = receipts.map(({ receipt, auth }, i) => ({
        to: told.sender,
        messageId: steps[i]?.messageId ?? null,
        receipt,
        auth,
      }))
      this.#put(draft, told.queue, evidenceLane, position, {
        name: "evidence",
        from: told.self,
        items,
        acceptance,
      })
    })
  }
}

function partBySize(items: readonly ReceiptItem[]): readonly (readonly ReceiptItem[])[] {
  const parts: ReceiptItem[][] = []
  let bytes = 0
  for (const item of items) {
    const more = receiptBytesOf(item)
    let last = parts.at(-1)
    if (last === undefined || bytes + more > relayLimits.evidenceBytesMax) {
      parts.push((last = []))
      bytes = 0
    }
    last.push(item)
    bytes += more
  }
  return parts
}
