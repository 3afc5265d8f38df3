// Who sent a message waits a while for custody, so that "custody" can be said at once.

import { toHex } from "../../protocol/bytes.ts"
import { nodeLimits } from "../limits.ts"
import { overall } from "./ladder.ts"
import type { LinkTable } from "./link-table.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { Outbox } from "./outbox.ts"
import type { OutboxItem } from "./outbox-records.ts"

const nothing = (): void => undefined

export class CustodyWait {
  readonly #outbox: Outbox
  readonly #links: LinkTable
  readonly #clock: NetworkClock
  readonly #waiting = new Map<string, Set<(item: OutboxItem) => void>>()

  constructor(outbox: Outbox, links: LinkTable, clock: NetworkClock) {
    this.#outbox = outbox
    this.#links = links
    this.#clock = clock
    outbox.whenChanged((item) => {
      if (isQueued(item)) return
      for (const resolve of this.#waiting.get(toHex(item.id)) ?? []) resolve(item)
    })
  }

  /** The message once it is no longer queued, or as it stands when waiting longer makes no sense. */
  async wait(item: OutboxItem): Promise<OutboxItem> {
    const current = (await this.#outbox.byNumber(item.number)) ?? item
    if (!isQueued(current)) return current
    const bytes = item.attachments.reduce((sum, { length }) => sum + length, 0)
    const wanted = nodeLimits.custodyWaitMs + bytes / nodeLimits.slowestBytesPerMs
    const patience = Math.min(nodeLimits.custodyWaitMsMax, wanted)
    const giveUpAt = this.#clock.monotonicMs() + patience
    const noLinkAt = this.#clock.monotonicMs() + nodeLimits.linkGraceMs
    const name = toHex(item.id)
    return await new Promise((resolve) => {
      const resolvers = this.#waiting.get(name) ?? new Set()
      this.#waiting.set(name, resolvers)
      let cancel = nothing
      const done = (found: OutboxItem): void => {
        cancel()
        resolvers.delete(done)
        if (resolvers.size === 0) this.#waiting.delete(name)
        resolve(found)
      }
      const look = (): void => {
        const now = this.#clock.monotonicMs()
        const isHopeless = this.#links.first() === undefined && now >= noLinkAt
        if (now >= giveUpAt || isHopeless) done(current)
        else cancel = this.#clock.after(nodeLimits.linkGraceMs, look)
      }
      resolvers.add(done)
      look()
    })
  }
}

function isQueued(item: OutboxItem): boolean {
  return overall(item.recipients.map(({ rung }) => rung)) === "queued"
}
