// A relay that stays away must not hold mail: what waits for it, and what it took into custody and has not
// delivered, goes to the next home that can be reached. A recipient that gets a message twice answers with
// its stored receipt. docs/PROTOCOL.md, "Delivery".

import type { ReceiptItem } from "../../protocol/link-messages.ts"
import { relayLimits } from "../limits.ts"
import type { Committer } from "./committer.ts"
import type { Draft } from "./draft.ts"
import type { Links } from "./links.ts"
import type { Mail } from "./mail.ts"
import type { RecordStore } from "./ports.ts"
import type { QueueGauge } from "./queue-gauge.ts"
import { QueueWalk, type Walked } from "./queue-walk.ts"
import { type QueueItem, queueNames } from "./records.ts"
import type { Routes } from "./routes.ts"

export class Retargeting {
  readonly #walk: QueueWalk
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
    this.#walk = new QueueWalk(parts.store)
    this.#committer = parts.committer
    this.#mail = parts.mail
    this.#gauge = parts.gauge
    this.#routes = parts.routes
    this.#links = parts.links
  }

  /** Moves a bounded number of items of each relay that has been away too long, removed ones too; the urgent first. */
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
    for (let page = 0; page < relayLimits.retargetPages; page++) {
      const items = await this.#walk.next(queue, relayLimits.retargetItems)
      if (items.length === 0) return
      await this.#committer.commit(async (draft) => {
        for (const walked of items) await this.#move(draft, relay, queue, walked)
        return () => undefined
      })
    }
  }

  async #move(
    draft: Draft,
    relay: string,
    queue: string,
    { key, lane, item }: Walked,
  ): Promise<void> {
    // It may have gone since it was read.
    if (!(await draft.has(key))) return
    if (item.name === "message") {
      for (const node of item.nodes) {
        const around = this.#routes.queueAround(relay, node)
        if (around !== undefined) await this.#mail.move(draft, item.messageId, node, around)
      }
      return
    }
    const parts = partByWay(item, queue, (to) => this.#routes.queueAround(relay, to))
    if (parts.every(({ way }) => way === queue)) return
    await this.#mail.dequeue(draft, key)
    for (const part of parts) await this.#mail.enqueue(draft, part.way, lane, part.item)
  }
}

type Small = Exclude<QueueItem, { readonly name: "message" }>

/** What goes which way: receipts for several members travel together only as far as their ways do. */
export function partByWay(
  item: Small,
  queue: string,
  around: (member: string) => string | undefined,
): readonly { readonly way: string; readonly item: Small }[] {
  if (item.name !== "evidence") return [{ way: around(item.to) ?? queue, item }]
  const parts = new Map<string, ReceiptItem[]>()
  for (const one of item.items) {
    const way = around(one.to) ?? queue
    parts.set(way, [...(parts.get(way) ?? []), one])
  }
  return [...parts].map(([way, items]) => ({ way, item: { ...item, items } }))
}

/** The relay that a queue is for, or that has its messages in custody. */
function relayOf(queue: string): string | undefined {
  const prefixes = [queueNames.forward(""), queueNames.awaiting("")]
  const prefix = prefixes.find((one) => queue.startsWith(one))
  return prefix === undefined ? undefined : queue.slice(prefix.length)
}
