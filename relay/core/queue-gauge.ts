// How much waits in each queue and lane: for quotas and for operators. Counted from the store at start, then
// kept.

import { openRecord, recordKey, afterPrefix, tables } from "./tables.ts"
import type { RecordStore } from "./ports.ts"
import { type QueueItem, queueItem } from "./records.ts"
import { concat, toName, utf8 } from "../../protocol/bytes.ts"

export type Depth = { items: number; bytes: number }

const pageItems = 512

export function bytesOf(item: QueueItem): number {
  return item.name === "message" ? item.bytes : 0
}

const nothing: Readonly<Depth> = { items: 0, bytes: 0 }

export class QueueGauge {
  readonly #depths = new Map<string, Depth>()
  readonly #lanes = new Map<string, Depth>()

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
    change(this.#depths, queue, 1, bytesOf(item))
    change(this.#lanes, laneName(queue, lane), 1, bytesOf(item))
  }

  remove(queue: string, lane: number, item: QueueItem): void {
    change(this.#depths, queue, -1, -bytesOf(item))
    change(this.#lanes, laneName(queue, lane), -1, -bytesOf(item))
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
