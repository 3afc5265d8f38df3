// How much waits in each queue and lane, for whom and by whom: for bounds and for operators. Counted from the
// store at start, then kept.

import { openRecord, recordKey, afterPrefix, tables } from "./tables.ts"
import type { RecordStore } from "./ports.ts"
import { type QueueItem, queueItem, queueNames } from "./records.ts"
import type { ReceiptItem } from "../../protocol/link-messages.ts"
import { concat, toName, utf8 } from "../../protocol/bytes.ts"

export type Depth = { items: number; bytes: number }

const pageItems = 512

/** What a queue item means on the wire and on the disk, about. */
export function bytesOf(item: QueueItem): number {
  switch (item.name) {
    case "message":
      return item.bytes
    case "evidence":
      return item.items.reduce((bytes, one) => bytes + receiptBytesOf(one), 0)
    case "control":
      return item.control.length
    case "tombstone":
      return item.tombstone.length
  }
}

/** Names, ids and frames of a receipt item, at most. */
const receiptFrameBytes = 80

export function receiptBytesOf({ receipt, auth }: ReceiptItem): number {
  return receiptFrameBytes + receipt.length + (auth?.length ?? 0)
}

const nothing: Readonly<Depth> = { items: 0, bytes: 0 }

export class QueueGauge {
  readonly #depths = new Map<string, Depth>()
  readonly #lanes = new Map<string, Depth>()
  readonly #shares = new Map<string, Depth>()

  static async count(store: RecordStore): Promise<QueueGauge> {
    const gauge = new QueueGauge()
    const prefix = recordKey("queue")
    let gte = prefix
    for (;;) {
      const records = await store.range({ gte, lt: afterPrefix(prefix), limit: pageItems })
      for (const { key, value } of records) {
        const { queue, lane } = parseQueueKey(key)
        gauge.add(queue, lane, queueItem.decode(openRecord(key, value)))
      }
      const last = records.at(-1)
      if (last === undefined || records.length < pageItems) return gauge
      gte = concat(last.key, Uint8Array.of(0))
    }
  }

  add(queue: string, lane: number, item: QueueItem): void {
    this.#change(queue, lane, item, 1)
  }

  remove(queue: string, lane: number, item: QueueItem): void {
    this.#change(queue, lane, item, -1)
  }

  #change(queue: string, lane: number, item: QueueItem, sign: 1 | -1): void {
    change(this.#depths, queue, sign, sign * bytesOf(item))
    change(this.#lanes, laneName(queue, lane), sign, sign * bytesOf(item))
    if (!isWaiting(queue)) return
    for (const [share, bytes] of sharesOf(item)) change(this.#shares, share, sign, sign * bytes)
  }

  /** Bytes of bodies that wait for a member here and towards other relays. */
  mailFor(member: string): number {
    return this.#bytesOf(shareNames.mailFor(member))
  }

  /** Bytes of controls and tombstones that wait for a member here and towards other relays. */
  wordsFor(member: string): number {
    return this.#bytesOf(shareNames.wordsFor(member))
  }

  /** Bytes of receipts that a member gave and that wait for others. */
  receiptsOf(member: string): number {
    return this.#bytesOf(shareNames.receiptsOf(member))
  }

  #bytesOf(share: string): number {
    return this.#shares.get(share)?.bytes ?? 0
  }

  depth(queue: string): Readonly<Depth> {
    return this.#depths.get(queue) ?? nothing
  }

  laneDepth(queue: string, lane: number): Readonly<Depth> {
    return this.#lanes.get(laneName(queue, lane)) ?? nothing
  }

  all(): ReadonlyMap<string, Readonly<Depth>> {
    return this.#depths
  }
}

const shareNames = {
  mailFor: (member: string): string => `mail ${member}`,
  wordsFor: (member: string): string => `words ${member}`,
  receiptsOf: (member: string): string => `receipts ${member}`,
} as const

/** Of whose shares an item is a part, and its bytes in each. */
function sharesOf(item: QueueItem): readonly (readonly [share: string, bytes: number])[] {
  switch (item.name) {
    case "message":
      return item.nodes.map((node) => [shareNames.mailFor(node), item.bytes])
    case "evidence":
      return [[shareNames.receiptsOf(item.from), bytesOf(item)]]
    case "control":
    case "tombstone":
      return [[shareNames.wordsFor(item.to), bytesOf(item)]]
  }
}

/** What another relay has in custody, and what was set aside, waits for nobody here. */
function isWaiting(queue: string): boolean {
  return !queue.startsWith(queueNames.awaiting("")) && queue !== queueNames.aside
}

function laneName(queue: string, lane: number): string {
  return `${queue} ${lane}`
}

function change(depths: Map<string, Depth>, name: string, items: number, bytes: number): void {
  const before = depths.get(name) ?? nothing
  const after = { items: before.items + items, bytes: before.bytes + bytes }
  if (after.items <= 0) depths.delete(name)
  else depths.set(name, after)
}

/** `q ‖ u8 length ‖ queue ‖ u8 lane ‖ u64 position`. Queue names are ASCII. */
export function parseQueueKey(key: Uint8Array): {
  readonly queue: string
  readonly lane: number
  readonly position: number
} {
  const start = utf8(tables.queue).length + 1
  const length = key[start - 1] ?? 0
  const queue = toName(key.slice(start, start + length))
  const rest = key.slice(start + length)
  const view = new DataView(rest.buffer, rest.byteOffset)
  return { queue, lane: view.getUint8(0), position: Number(view.getBigUint64(1)) }
}
