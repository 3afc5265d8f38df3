// Goes through queues page by page, the highest lane first, past what was shown before: what cannot be moved
// keeps nothing behind it back, and a flash that comes later is still next.

import { concat } from "../../protocol/bytes.ts"
import { laneKey } from "./mail.ts"
import type { RecordStore } from "./ports.ts"
import { parseQueueKey } from "./queue-gauge.ts"
import { type QueueItem, queueItem, queueLanes } from "./records.ts"
import { afterPrefix, openRecord, position as positionKey } from "./tables.ts"

export type Walked = { readonly key: Uint8Array; readonly lane: number; readonly item: QueueItem }

export class QueueWalk {
  readonly #store: Pick<RecordStore, "range">
  /** By queue and lane: the position up to which the lane was shown. */
  readonly #cursors = new Map<string, Map<number, number>>()

  constructor(store: Pick<RecordStore, "range">) {
    this.#store = store
  }

  /**
   * Up to `limit` items of one lane that this walk has not shown. Empty at the end of the queue: the next
   * call begins again. Refused: `tampered`.
   */
  async next(queue: string, limit: number): Promise<readonly Walked[]> {
    const cursors = this.#cursors.get(queue) ?? new Map<number, number>()
    this.#cursors.set(queue, cursors)
    for (const lane of queueLanes) {
      const prefix = laneKey(queue, lane)
      const gte = concat(prefix, positionKey((cursors.get(lane) ?? 0) + 1))
      const records = await this.#store.range({ gte, lt: afterPrefix(prefix), limit })
      const last = records.at(-1)
      if (last === undefined) continue
      cursors.set(lane, parseQueueKey(last.key).position)
      return records.map(({ key, value }) => ({
        key,
        lane,
        item: queueItem.decode(openRecord(key, value)),
      }))
    }
    this.#cursors.delete(queue)
    return []
  }
}
