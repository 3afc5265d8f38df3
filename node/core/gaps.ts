// Missing numbers: noticed when a later one is here, asked for from the sender again and again, through
// one relay after another, and shown until a message or a tombstone settles them.
// docs/PROTOCOL.md, "Channels".

import { type Infer, record, uint } from "../../protocol/codec.ts"
import { type Lane, precedences, time } from "../../protocol/envelope.ts"
import { nodeLimits } from "../limits.ts"
import type { Span } from "./channel.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { Change } from "./ports.ts"
import { type Records, type Table, numberKey, walk } from "./records.ts"

const u32 = uint(0xffff_ffff)
const storedGap = record({ first: u32, last: u32, since: time, asked: u32 })
type StoredGap = Infer<typeof storedGap>

/** Numbers that are missing in a channel that has later ones. */
export type MissingRange = {
  readonly sender: string
  readonly incarnation: number
  readonly lane: Lane
  readonly first: number
  readonly last: number
}

/** `since`: when it was noticed. `asked`: how often. */
export type Gap = MissingRange & { readonly since: number; readonly asked: number }

type OpenGap = StoredGap & { askedMs: number; nextMs: number; isStored: boolean }

export class Gaps {
  readonly #records: Records
  readonly #table: Table<StoredGap>
  readonly #clock: NetworkClock
  readonly #askFor: (missing: MissingRange, attempt: number) => void
  /** By channel, in the order of the numbers. */
  readonly #open = new Map<string, readonly OpenGap[]>()

  constructor(
    records: Records,
    clock: NetworkClock,
    /** Asks the sender; the attempt's number says through which relay. */
    askFor: (missing: MissingRange, attempt: number) => void,
  ) {
    this.#records = records
    this.#table = records.table("gap", storedGap)
    this.#clock = clock
    this.#askFor = askFor
  }

  /** Every channel with a gap that was asked for before. */
  async load(): Promise<readonly string[]> {
    for await (const { key, item } of walk(this.#table)) {
      const channel = key.slice(0, key.lastIndexOf("/"))
      const open = { ...item, askedMs: -Infinity, nextMs: this.#soon(), isStored: true }
      this.#open.set(channel, [...(this.#open.get(channel) ?? []), open])
    }
    return [...this.#open.keys()]
  }

  has(channel: string): boolean {
    return this.#open.has(channel)
  }

  /** These numbers are missing in the channel now; what is no longer among them is closed. */
  async see(channel: string, spans: readonly Span[]): Promise<void> {
    const before = this.#open.get(channel) ?? []
    const now = spans.map((span) => this.#following(span, before))
    if (now.length === 0) this.#open.delete(channel)
    else this.#open.set(channel, now)
    const kept = new Set(now.map(({ first }) => first))
    const changes: Change[] = [
      ...before
        .filter(({ first, isStored }) => isStored && !kept.has(first))
        .map(({ first }) => this.#table.remove(gapKey(channel, first))),
      // A short gap mostly fills by itself: what was never asked for is not written down.
      ...now.filter(({ isStored }) => !isStored).flatMap((gap) => this.#stored(channel, gap)),
    ]
    if (changes.length > 0) await this.#records.commit(changes)
  }

  /** What was noticed of these numbers before goes on; where some of them came, the rest is asked for soon. */
  #following(span: Span, before: readonly OpenGap[]): OpenGap {
    const old = before.find(({ first, last }) => first <= span.last && span.first <= last)
    if (old === undefined)
      return {
        ...span,
        since: this.#clock.now(),
        asked: 0,
        askedMs: -Infinity,
        nextMs: this.#soon(),
        isStored: false,
      }
    if (old.first === span.first && old.last === span.last) return old
    return { ...old, ...span, nextMs: Math.min(old.nextMs, this.#soon()), isStored: false }
  }

  #stored(channel: string, gap: OpenGap): readonly Change[] {
    if (gap.asked === 0) return []
    gap.isStored = true
    const { first, last, since, asked } = gap
    return [this.#table.put(gapKey(channel, first), { first, last, since, asked })]
  }

  #soon(): number {
    return this.#clock.monotonicMs() + nodeLimits.gapPatienceMs
  }

  /** A link came up: what is missing may be had through it. */
  linkUp(): void {
    for (const gaps of this.#open.values())
      for (const gap of gaps.filter(({ asked }) => asked > 0))
        gap.nextMs = Math.min(gap.nextMs, gap.askedMs + nodeLimits.gapRepeatMs)
  }

  /** Asks for what is due, a bounded number at once. */
  async ask(): Promise<void> {
    const nowMs = this.#clock.monotonicMs()
    const due = [...this.#open].flatMap(([channel, gaps]) =>
      gaps.filter(({ nextMs }) => nextMs <= nowMs).map((gap) => ({ channel, gap })),
    )
    const changes: Change[] = []
    for (const { channel, gap } of due.slice(0, nodeLimits.gapAsksPerTick)) {
      const place = channelOf(channel)
      if (place === undefined) continue
      const { first, last } = gap
      this.#askFor({ ...place, first, last }, gap.asked)
      const { gapRepeatMs, gapRepeatMsMax } = nodeLimits
      const wait = Math.min(gapRepeatMs * 2 ** gap.asked, gapRepeatMsMax)
      const asked = gap.asked + 1
      const next = { ...gap, asked, askedMs: nowMs, nextMs: nowMs + wait }
      const others = this.#open.get(channel) ?? []
      this.#open.set(
        channel,
        others.map((one) => (one === gap ? next : one)),
      )
      changes.push(...this.#stored(channel, next))
    }
    if (changes.length > 0) await this.#records.commit(changes)
  }

  /** What is missing, the longest first. */
  list(): readonly Gap[] {
    const gaps = [...this.#open].flatMap(([channel, open]) => {
      const place = channelOf(channel)
      return place === undefined
        ? []
        : open.map(({ first, last, since, asked }) => ({ ...place, first, last, since, asked }))
    })
    return gaps.toSorted((a, b) => a.since - b.since)
  }
}

function gapKey(channel: string, first: number): string {
  return `${channel}/${numberKey(first)}`
}

function channelOf(
  channel: string,
): Pick<MissingRange, "sender" | "incarnation" | "lane"> | undefined {
  const [sender = "", incarnation = "", lane = ""] = channel.split("/")
  const number = Number(lane)
  return isLane(number) ? { sender, incarnation: Number(incarnation), lane: number } : undefined
}

function isLane(lane: number): lane is Lane {
  return lane >= 0 && lane < precedences.length
}
