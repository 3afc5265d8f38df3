// A relay that is being emptied: it takes no new submits, asks its peers to spare it, goes on delivering and
// forwarding, and hands what waits for members who are away to another home of theirs. Kept across restarts.
// docs/PROTOCOL.md, "Delivery".

import type { Directory } from "../../protocol/directory.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { linkLanes } from "../../protocol/frames.ts"
import { relayLimits } from "../limits.ts"
import type { Committer } from "./committer.ts"
import type { Links, Peer } from "./links.ts"
import { type Mail, laneKey, messageKey } from "./mail.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { Clock, RecordStore } from "./ports.ts"
import type { QueueGauge } from "./queue-gauge.ts"
import { QueueWalk } from "./queue-walk.ts"
import {
  type QueueItem,
  type RecordCodec,
  evidenceLane,
  messageRecord,
  numberRecord,
  queueItem,
  queueNames,
} from "./records.ts"
import type { Routes } from "./routes.ts"
import { framed, openRecord, recordKey } from "./tables.ts"

/** What a relay that is being emptied still has. */
export type Remainder = {
  /** Items for members and towards other relays that are nowhere else. */
  readonly items: number
  /** Messages that another relay forwarded and holds until they are delivered. */
  readonly heldElsewhere: number
  /** Active members who have no other active home. */
  readonly onlyHomeOf: readonly string[]
}

export type DrainingParts = {
  readonly self: string
  readonly directory: Directory
  readonly store: RecordStore
  readonly committer: Committer
  readonly mail: Mail
  readonly gauge: QueueGauge
  readonly routes: Routes
  readonly links: Links
  readonly network: NetworkClock
  readonly clock: Clock
}

const key = recordKey("draining")

/** Since when the relay is being emptied, as it was stored. */
export async function loadDraining(store: RecordStore): Promise<number | undefined> {
  const value = await store.get(key)
  return value === undefined ? undefined : numberRecord.decode(openRecord(key, value)).value
}

export class Draining {
  readonly #parts: DrainingParts
  readonly #walk: QueueWalk
  #since: number | undefined
  /** When each peer was asked to spare us; monotonic. */
  readonly #toldMs = new WeakMap<Peer, number>()

  /** `since`: of `loadDraining`. */
  constructor(parts: DrainingParts, since: number | undefined) {
    this.#parts = parts
    this.#walk = new QueueWalk(parts.store)
    this.#since = since
  }

  /** Network time at which it began; undefined while the relay works as usual. */
  get since(): number | undefined {
    return this.#since
  }

  /** Begins, or goes on. Refused: `no-relay` while no other relay is there to take over. */
  async begin(): Promise<void> {
    const { committer, links, network } = this.#parts
    if (this.#since !== undefined) return
    if (!links.all("relay").some(({ name }) => links.isOpen(name)))
      throw new ChappeError("no-relay", "no other relay that takes mail is linked")
    const since = network.now
    await committer.commit(async (draft) => {
      draft.put(numberRecord, key, { value: since })
      return () => undefined
    })
    this.#since = since
    for (const peer of links.all()) this.tell(peer)
  }

  async end(): Promise<void> {
    const { committer, links } = this.#parts
    if (this.#since === undefined) return
    await committer.commit(async (draft) => {
      draft.delete(key)
      return () => undefined
    })
    this.#since = undefined
    for (const peer of links.all()) this.#ask(peer, false)
  }

  /** To be called for each new link. */
  tell(peer: Peer): void {
    if (this.#since === undefined) return
    this.#toldMs.set(peer, this.#parts.clock.monotonicMs())
    this.#ask(peer, true)
  }

  #ask(peer: Peer, isOn: boolean): void {
    peer.request(linkLanes.control, { name: "draining", isOn }).catch((cause: unknown) => {
      // It finds out by our refusals.
      if (!(cause instanceof ChappeError)) throw cause
    })
  }

  /**
   * Refused: `draining`. What a node had under way when it was asked is taken still, so that no number of
   * our log stays unused.
   */
  demandOpen(peer: Peer): void {
    if (this.#since === undefined) return
    const told = this.#toldMs.get(peer)
    const nowMs = this.#parts.clock.monotonicMs()
    if (told === undefined || nowMs - told > relayLimits.drainGraceMs)
      throw new ChappeError("draining")
  }

  /** Hands a bounded number of items of each member who is away to another home. */
  async sweep(): Promise<void> {
    const { gauge, links, routes } = this.#parts
    if (this.#since === undefined) return
    for (const queue of gauge.all().keys()) {
      const member = memberOf(queue)
      if (member === undefined || links.isLinked(member)) continue
      const away = routes.queueAway(member)
      if (away !== undefined) await this.#moveAll(member, queue, away)
    }
  }

  async #moveAll(member: string, queue: string, away: string): Promise<void> {
    const { committer, mail } = this.#parts
    for (let page = 0; page < relayLimits.retargetPages; page++) {
      const items = await this.#walk.next(queue, relayLimits.retargetItems)
      if (items.length === 0) return
      await committer.commit(async (draft) => {
        for (const { key: at, lane, item } of items) {
          // It may have gone since it was read.
          if (!(await draft.has(at))) continue
          if (item.name === "message") {
            if (await isHeldElsewhere(async (codec, of) => draft.get(codec, of), item)) continue
            await mail.move(draft, item.messageId, member, away)
          } else {
            await mail.dequeue(draft, at)
            await mail.enqueue(draft, away, lane, item)
          }
        }
        return () => undefined
      })
    }
  }

  /** What is left, counted up to a bound for each queue. */
  async remainder(): Promise<Remainder> {
    const { directory, gauge, self } = this.#parts
    let items = 0
    let heldElsewhere = 0
    for (const queue of gauge.all().keys()) {
      if (memberOf(queue) === undefined) {
        if (queue.startsWith(queueNames.forward(""))) items += gauge.depth(queue).items
        continue
      }
      const elsewhere = await this.#heldElsewhere(queue)
      heldElsewhere += elsewhere
      items += gauge.depth(queue).items - elsewhere
    }
    const onlyHomeOf = directory
      .activeMembers()
      .map(({ node }) => node)
      .filter((member) => {
        const homes = directory.homes(member)
        return homes.length > 0 && homes.every((home) => home === self)
      })
    return { items, heldElsewhere, onlyHomeOf }
  }

  /** How many messages of a queue another relay holds too, looked at up to a bound. */
  async #heldElsewhere(queue: string): Promise<number> {
    const { store, committer } = this.#parts
    const gte = recordKey("queue", framed(queue))
    const limit = relayLimits.searchItemsMax
    // Receipts and controls wait above the messages.
    const records = await store.range({ gte, lt: laneKey(queue, evidenceLane), limit })
    let found = 0
    for (const { key: at, value } of records) {
      const item = queueItem.decode(openRecord(at, value))
      if (await isHeldElsewhere(async (codec, of) => committer.read(codec, of), item)) found += 1
    }
    return found
  }
}

type Read = <T>(codec: RecordCodec<T>, key: Uint8Array) => Promise<T | undefined>

/** Whether it came by another relay, which holds its copy: at most one hop. */
async function isHeldElsewhere(read: Read, item: QueueItem): Promise<boolean> {
  if (item.name !== "message") return false
  const record = await read(messageRecord, messageKey(item.messageId))
  return record !== undefined && record.via !== null
}

function memberOf(queue: string): string | undefined {
  const prefix = queueNames.member("")
  return queue.startsWith(prefix) ? queue.slice(prefix.length) : undefined
}
