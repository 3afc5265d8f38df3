// A relay that stays away must not hold mail: what waits for it, and what it took into custody and has not
// delivered, goes to the next home that can be reached. A recipient that gets a message twice answers with
// its stored receipt. docs/PROTOCOL.md, "Delivery".

import { relayLimits } from "../limits.ts"
import type { Committer } from "./committer.ts"
import type { Links } from "./links.ts"
import type { Mail } from "./mail.ts"
import type { RecordStore } from "./ports.ts"
import { type QueueGauge, parseQueueKey } from "./queue-gauge.ts"
import { queueItem, queueNames } from "./records.ts"
import type { Routes } from "./routes.ts"
import { afterPrefix, framed, openRecord, recordKey } from "./tables.ts"

export class Retargeting {
  readonly #store: RecordStore
  readonly #committer: Committer
  readonly #mail: Mail
  readonly #gauge: QueueGauge
  readonly #routes: Routes
  readonly #links: Links

  constructor(parts: {
    readonly store: RecordStore
    readonly committer: Committer
    readonly mail: Mail
    readonly gauge: QueueGauge
    readonly routes: Routes
    readonly links: Links
  }) {
    this.#store = parts.store
    this.#committer = parts.committer
    this.#mail = parts.mail
    this.#gauge = parts.gauge
    this.#routes = parts.routes
    this.#links = parts.links
  }

  /** Moves a bounded number of items of each relay that has been away too long, removed ones too. */
  async sweep(): Promise<void> {
    const relays = [...this.#gauge.all().keys()].flatMap((queue) => relayOf(queue) ?? [])
    for (const relay of new Set(relays)) {
      if (relay === this.#routes.self) continue
      if (this.#links.downMs(relay) < relayLimits.forwardPatienceMs) continue
      await this.#around(relay, queueNames.forward(relay))
      await this.#around(relay, queueNames.awaiting(relay))
    }
  }

  async #around(relay: string, queue: string): Promise<void> {
    if (this.#gauge.depth(queue).items === 0) return
    const prefix = recordKey("queue", framed(queue))
    const limit = relayLimits.retargetItems
    const records = await this.#store.range({ gte: prefix, lt: afterPrefix(prefix), limit })
    await this.#committer.commit(async (draft) => {
      for (const { key, value } of records) {
        const item = queueItem.decode(openRecord(key, value))
        if (item.name === "message") {
          for (const node of item.nodes) {
            const around = this.#routes.queueAround(relay, node)
            if (around !== undefined) await this.#mail.move(draft, item.messageId, node, around)
          }
          continue
        }
        const to = item.name === "evidence" ? item.items[0]?.to : item.to
        const around = to === undefined ? undefined : this.#routes.queueAround(relay, to)
        if (around === undefined) continue
        await this.#mail.dequeue(draft, key)
        await this.#mail.enqueue(draft, around, parseQueueKey(key).lane, item)
      }
      return () => undefined
    })
  }
}

/** The relay that a queue is for, or that has its messages in custody. */
function relayOf(queue: string): string | undefined {
  const prefixes = [queueNames.forward(""), queueNames.awaiting("")]
  const prefix = prefixes.find((one) => queue.startsWith(one))
  return prefix === undefined ? undefined : queue.slice(prefix.length)
}
