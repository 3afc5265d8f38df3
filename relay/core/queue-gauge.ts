// How much waits in each queue: for quotas and for operators. Counted from the store at start, then kept.

import { openRecord, recordKey, afterPrefix, tables } from "./tables.ts"
import type { RecordStore } from "./ports.ts"
import { type QueueItem, queueItem } from "./records.ts"
import { utf8 } from "../../protocol/bytes.ts"

export type Depth = { items: number; bytes: number }

const pageItems = 512

export function bytesOf(item: QueueItem): number {
  return item.name === "message" ? item.bytes : 0
}

export class QueueGauge {
  readonly #depths = new Map<string, Depth>()

  static async count(store: RecordStore): Promise<QueueGauge> {
    const gauge = new QueueGauge()
    const prefix = recordKey("queue")
    let gte = prefix
    for (;;) {
      const records = await store.range({ gte, lt: afterPrefix(prefix), limit: pageItems })
      for (const { key, value } of records) {
        const { queue } = parseQueueKey(key)
        gauge.add(queue, queueItem.decode(openRecord(key, value)))
      }
      const last = records.at(-1)
      if (last === undefined || records.length < pageItems) return gauge
      gte = Uint8Array.of(...last.key, 0)
    }
  }

  add(queue: string, item: QueueItem): void {
    const depth = this.#depths.get(queue) ?? { items: 0, bytes: 0 }
    this.#depths.set(queue, { items: depth.items + 1, bytes: depth.bytes + bytesOf(item) })
  }

  remove(queue: string, item: QueueItem): void {
    const depth = this.#depths.get(queue)
    if (depth === undefined) return
    const items = depth.items - 1
    if (items <= 0) this.#depths.delete(queue)
    else this.#depths.set(queue, { items, bytes: depth.bytes - bytesOf(item) })
  }

  depth(queue: string): Readonly<Depth> {
    return this.#depths.get(queue) ?? { items: 0, bytes: 0 }
  }

  all(): ReadonlyMap<string, Readonly<Depth>> {
    return this.#depths
  }
}

const decoder = (bytes: Uint8Array): string => String.fromCharCode(...bytes)

/** `q ‖ u8 length ‖ queue ‖ u8 lane ‖ u64 position`. Queue names are ASCII. */
export function parseQueueKey(key: Uint8Array): {
  readonly queue: string
  readonly lane: number
  readonly position: number
} {
  const start = utf8(tables.queue).length + 1
  const length = key[start - 1] ?? 0
  const queue = decoder(key.slice(start, start + length))
  const rest = key.slice(start + length)
  const view = new DataView(rest.buffer, rest.byteOffset)
  return { queue, lane: view.getUint8(0), position: Number(view.getBigUint64(1)) }
}
