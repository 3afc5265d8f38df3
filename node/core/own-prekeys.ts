// The node's own prekeys: published four weeks ahead, each day's secret erased by network time.
// docs/PROTOCOL.md, "Prekeys".

import { sha256 } from "../../keys/crypto.ts"
import {
  type PrekeyPeriod,
  dayKeyPair,
  dayOf,
  erasePastDays,
  newPrekeyPeriod,
  publicKeysOf,
} from "../../keys/prekey-period.ts"
import { toHex } from "../../protocol/bytes.ts"
import { type Infer, bytes, list, nullable, record, uint } from "../../protocol/codec.ts"
import type { Directory } from "../../protocol/directory.ts"
import { suites } from "../../protocol/envelope.ts"
import { linkLanes } from "../../protocol/frames.ts"
import { keyId, typedKeyHash } from "../../protocol/key-id.ts"
import { limits } from "../../protocol/limits.ts"
import { ask } from "./ask.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { OwnChain } from "./own-chain.ts"
import type { Random, RelayLink } from "./ports.ts"
import { type Records, type Table, numberKey, walk } from "./records.ts"

const day = uint(0xffff_ffff)
const storedPeriod = record({
  firstDay: day,
  seedDay: day,
  seed: bytes(32),
  publicKeys: list(bytes(1_216), limits.prekeyPeriodDays, limits.prekeyPeriodDays),
  /** The day on which a newer period was published. */
  newerSince: nullable(day),
})
type StoredPeriod = Infer<typeof storedPeriod>

/** A period handed over by whoever founded the node. */
export type HandedPeriod = { readonly firstPublicKey: Uint8Array; readonly seed: Uint8Array }

export class OwnPrekeys {
  readonly #me: string
  readonly #directory: Directory
  readonly #chain: OwnChain
  readonly #records: Records
  readonly #table: Table<StoredPeriod>
  readonly #clock: NetworkClock
  readonly #random: Random
  readonly #periods = new Map<number, StoredPeriod>()
  /** By hex key id: which day of which period. */
  readonly #days = new Map<string, { readonly firstDay: number; readonly day: number }>()

  constructor(options: {
    readonly me: string
    readonly directory: Directory
    readonly chain: OwnChain
    readonly records: Records
    readonly clock: NetworkClock
    readonly random: Random
  }) {
    this.#me = options.me
    this.#directory = options.directory
    this.#chain = options.chain
    this.#records = options.records
    this.#table = options.records.table("prekeys", storedPeriod)
    this.#clock = options.clock
    this.#random = options.random
  }

  async load(): Promise<void> {
    for await (const { item } of walk(this.#table)) this.#keep(item)
  }

  /** Stores seeds made elsewhere whose statements stand in the own chain; synced when it resolves. */
  async adopt(handed: readonly HandedPeriod[]): Promise<void> {
    const statements = this.#directory.station(this.#me)?.keys.flatMap(({ prekeys }) => prekeys)
    for (const { firstPublicKey, seed } of handed) {
      const hash = toHex(typedKeyHash(sha256, "prekey", firstPublicKey))
      const named = statements?.find(({ hashes }) => hashes.some((one) => toHex(one) === hash))
      if (named === undefined || this.#periods.has(named.firstDay)) continue
      await this.#store(newPrekeyPeriod(named.firstDay, seed))
    }
  }

  /** X-Wing secret of a key of ours, or undefined once it is erased. */
  secret(id: Uint8Array): Uint8Array | undefined {
    const place = this.#days.get(toHex(id))
    const period = place === undefined ? undefined : this.#periods.get(place.firstDay)
    return place === undefined || period === undefined
      ? undefined
      : dayKeyPair(period, place.day)?.secret
  }

  /** Secrets to try for what names no key: today's, tomorrow's, then back in time. */
  *secretsAround(today: number, days: number): Generator<Uint8Array, void, void> {
    for (const at of [today, today + 1, ...back(today - 1, days)]) {
      for (const period of this.#periods.values()) {
        const pair = dayKeyPair(period, at)
        if (pair !== undefined) yield pair.secret
      }
    }
    // A sender that was away uses the last key that it knew of.
    for (const period of this.#periods.values()) {
      const last = period.firstDay + limits.prekeyPeriodDays - 1
      const pair = last < today - days ? dayKeyPair(period, last) : undefined
      if (pair !== undefined) yield pair.secret
    }
  }

  /** Publishes what is missing and erases what has passed. Needs a valid node key. */
  async keepUp(): Promise<void> {
    const today = dayOf(this.#clock.now())
    for (;;) {
      const covered = this.#coveredUntil()
      if (covered >= today + limits.prekeyAheadDays) break
      await this.#publish(Math.max(covered + 1, today), today)
    }
    if (this.#clock.isConfirmed) await this.#erase(today)
  }

  /** Gives the relay the keys that the chain names by hash. */
  async provide(link: RelayLink): Promise<void> {
    const today = dayOf(this.#clock.now())
    for (const { firstDay, publicKeys } of this.#periods.values()) {
      if (firstDay + limits.prekeyPeriodDays + limits.prekeyKeepDays < today) continue
      const request = { name: "prekeysPut", member: this.#me, keys: publicKeys } as const
      await ask(link, linkLanes.routine, request, "done")
    }
  }

  /** The last day for which a published key is held. */
  #coveredUntil(): number {
    const published = this.#directory.station(this.#me)?.keys.flatMap(({ prekeys }) => prekeys)
    const held = published?.filter(({ firstDay }) => this.#periods.has(firstDay)) ?? []
    return Math.max(-1, ...held.map(({ firstDay }) => firstDay + limits.prekeyPeriodDays - 1))
  }

  async #publish(firstDay: number, today: number): Promise<void> {
    const period = newPrekeyPeriod(firstDay, this.#random(32))
    const item = storedOf(period)
    const hashes = item.publicKeys.map((key) => typedKeyHash(sha256, "prekey", key))
    const superseded = [...this.#periods.values()]
      .filter(({ newerSince }) => newerSince === null)
      .map((older) => ({ ...older, newerSince: today }))
    await this.#chain.append(
      "prekeys",
      { firstDay, suites: [suites.one], hashes },
      {
        changes: [item, ...superseded].map((one) => this.#table.put(numberKey(one.firstDay), one)),
      },
    )
    for (const one of [item, ...superseded]) this.#keep(one)
  }

  async #store(period: PrekeyPeriod): Promise<void> {
    const item = storedOf(period)
    await this.#records.commit([this.#table.put(numberKey(item.firstDay), item)])
    this.#keep(item)
  }

  /** A later period handed over at the founding supersedes the one before it on its own first day. */
  async #erase(today: number): Promise<void> {
    const periods = [...this.#periods.values()].toSorted((a, b) => a.firstDay - b.firstDay)
    for (const [i, period] of periods.entries()) {
      const next = periods[i + 1]
      const newerSince = period.newerSince ?? next?.firstDay
      const left = erasePastDays(period, today, newerSince)
      if (left !== undefined && left.seedDay === period.seedDay) continue
      const key = numberKey(period.firstDay)
      const item = left === undefined ? undefined : { ...period, ...left }
      await this.#records.commit([
        item === undefined ? this.#table.remove(key) : this.#table.put(key, item),
      ])
      if (item === undefined) this.#periods.delete(period.firstDay)
      else this.#keep(item)
    }
  }

  #keep(item: StoredPeriod): void {
    this.#periods.set(item.firstDay, item)
    item.publicKeys.forEach((key, i) => {
      const id = toHex(keyId(sha256, "prekey", key))
      this.#days.set(id, { firstDay: item.firstDay, day: item.firstDay + i })
    })
  }
}

function storedOf(period: PrekeyPeriod): StoredPeriod {
  return { ...period, publicKeys: publicKeysOf(period), newerSince: null }
}

function* back(from: number, days: number): Generator<number, void, void> {
  for (let at = from; at > from - days; at--) yield at
}
