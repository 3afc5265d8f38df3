// Other members' KEM keys, found by the hashes that their chains name. Kept ahead of time, so that
// sealing needs no relay; where the day's own key is missing the last known one serves, and it shows.

import { dayOf } from "../../keys/prekey-period.ts"
import { sha256 } from "../../keys/crypto.ts"
import { isUsableKemKey } from "../../keys/hpke.ts"
import { equalBytes } from "../../protocol/bytes.ts"
import { type Infer, bytes, record, uint } from "../../protocol/codec.ts"
import type { Directory } from "../../protocol/directory.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { linkLanes } from "../../protocol/frames.ts"
import { typedKeyHash } from "../../protocol/key-id.ts"
import { limits } from "../../protocol/limits.ts"
import { nodeLimits } from "../limits.ts"
import { ask } from "./ask.ts"
import type { LinkTable } from "./link-table.ts"
import type { RelayLink } from "./ports.ts"
import { type Records, type Table, numberKey, walk } from "./records.ts"

const kemKey = record({ day: uint(0xffff_ffff), hash: bytes(32), key: bytes(1_216) })
type KemKey = Infer<typeof kemKey>

/** `exact`: the key of that very day; else forward secrecy is reduced. */
export type ChosenKemKey = { readonly key: Uint8Array; readonly exact: boolean }

type Wanted = { readonly member: string; readonly day: number; readonly hash: Uint8Array }

export class KemKeys {
  readonly #me: string
  readonly #directory: Directory
  readonly #links: LinkTable
  readonly #records: Records
  readonly #table: Table<KemKey>
  /** By member, then by day; days before today go as new ones come. */
  readonly #keys = new Map<string, Map<number, KemKey>>()

  constructor(me: string, directory: Directory, links: LinkTable, records: Records) {
    this.#me = me
    this.#directory = directory
    this.#links = links
    this.#records = records
    this.#table = records.table("kem-key", kemKey)
  }

  async load(): Promise<void> {
    for await (const { key, item } of walk(this.#table))
      this.#keep(key.slice(0, key.indexOf("/")), item)
  }

  /** Fetches the keys of the coming days that are not here yet. */
  async prefetch(link: RelayLink, now: number): Promise<void> {
    const today = dayOf(now)
    const wanted = this.#directory
      .activeMembers()
      .filter(({ node }) => node !== this.#me)
      .flatMap(({ node }) => this.#missing(node, today, nodeLimits.prekeyPrefetchDays))
    for (let i = 0; i < wanted.length; i += limits.recipientsMax)
      await this.#fetch(link, wanted.slice(i, i + limits.recipientsMax))
    await this.#forgetBefore(today)
  }

  /**
   * A key to seal to `member` with on that day, asked for at the relays when it is not here.
   * Refused: `no-prekey`.
   */
  async choose(member: string, seconds: number): Promise<ChosenKemKey> {
    const day = dayOf(seconds)
    const named = this.#directory.prekeyFor(member, day)
    if (named !== undefined) {
      const held = this.#held(member, named)
      if (held !== undefined) return { key: held.key, exact: named.exact }
      const fetched = await this.#fetchAnywhere({ member, day: named.day, hash: named.hash })
      if (fetched !== undefined) return { key: fetched.key, exact: named.exact }
    }
    const last = [...(this.#keys.get(member)?.values() ?? [])]
      .filter((one) => one.day <= day)
      .toSorted((a, b) => b.day - a.day)[0]
    if (last === undefined) throw new ChappeError("no-prekey", `no key of ${member} is known`)
    return { key: last.key, exact: false }
  }

  #held(
    member: string,
    named: { readonly day: number; readonly hash: Uint8Array },
  ): KemKey | undefined {
    const held = this.#keys.get(member)?.get(named.day)
    return held !== undefined && equalBytes(held.hash, named.hash) ? held : undefined
  }

  #missing(member: string, today: number, days: number): readonly Wanted[] {
    const wanted: Wanted[] = []
    for (let day = today; day < today + days; day++) {
      const named = this.#directory.prekeyFor(member, day)
      if (named === undefined || this.#held(member, named) !== undefined) continue
      if (wanted.some((one) => one.day === named.day)) continue
      wanted.push({ member, day: named.day, hash: named.hash })
    }
    return wanted
  }

  async #fetchAnywhere(wanted: Wanted): Promise<KemKey | undefined> {
    for (const link of this.#links.inOrder()) {
      try {
        const [found] = await this.#fetch(link, [wanted])
        if (found !== undefined) return found
      } catch (cause) {
        if (!(cause instanceof ChappeError)) throw cause
      }
    }
    return undefined
  }

  /** Takes only what has the hash that the member's chain names, and what can be sealed to. */
  async #fetch(link: RelayLink, wanted: readonly Wanted[]): Promise<readonly KemKey[]> {
    if (wanted.length === 0) return []
    const request = { name: "prekeysGet", hashes: wanted.map(({ hash }) => hash) } as const
    const part = await ask(link, linkLanes.control, request, "prekeysPart")
    const found: { readonly member: string; readonly item: KemKey }[] = []
    wanted.forEach(({ member, day, hash }, i) => {
      const key = part.keys[i]
      if (key === undefined || key === null) return
      if (!equalBytes(typedKeyHash(sha256, "prekey", key), hash) || !isUsableKemKey(key)) return
      found.push({ member, item: { day, hash, key } })
    })
    await this.#records.commit(
      found.map(({ member, item }) => this.#table.put(`${member}/${numberKey(item.day)}`, item)),
    )
    for (const { member, item } of found) this.#keep(member, item)
    return found.map(({ item }) => item)
  }

  #keep(member: string, item: KemKey): void {
    const days = this.#keys.get(member) ?? new Map<number, KemKey>()
    this.#keys.set(member, days)
    days.set(item.day, item)
  }

  /** Keeps each member's newest past key: it may be the last one that ever comes. */
  async #forgetBefore(today: number): Promise<void> {
    for (const [member, days] of this.#keys) {
      const past = [...days.keys()].filter((day) => day < today).toSorted((a, b) => b - a)
      const gone = past.slice(1)
      for (const day of gone) days.delete(day)
      await this.#records.commit(
        gone.map((day) => this.#table.remove(`${member}/${numberKey(day)}`)),
      )
    }
  }
}
