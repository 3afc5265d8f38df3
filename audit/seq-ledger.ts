// Which sequence numbers each key has used in one log: each once, and none missing for long.
// docs/PROTOCOL.md, "Log entries".

import { ChappeError } from "../protocol/errors.ts"
import { limits } from "../protocol/limits.ts"
import type { SeqRecord } from "./audit-state.ts"

export class SeqLedger {
  readonly #records: Map<string, SeqRecord>
  /** Keys whose first numbers stood in entries that were pruned: the lowest number seen. */
  readonly #lowest = new Map<string, number>()
  readonly #startsLate: boolean

  /** `startsLate`: earlier entries were pruned, so a key's first numbers may be unknown. */
  constructor(since: ReadonlyMap<string, SeqRecord>, startsLate: boolean) {
    this.#startsLate = startsLate
    this.#records = new Map(
      [...since].map(([key, { allUpTo, later }]) => [key, { allUpTo, later: new Map(later) }]),
    )
  }

  /** Refused: `seq-used`. `key` in hex; `time` of the entry. */
  use(key: string, seq: number, time: number): void {
    const record = this.#records.get(key) ?? this.#begin(key, seq)
    if (seq <= record.allUpTo || record.later.has(seq))
      throw new ChappeError("seq-used", `key ${key} uses ${seq} twice`)
    const lowest = this.#lowest.get(key)
    if (lowest !== undefined && seq < lowest) this.#lowest.set(key, seq)
    record.later.set(seq, time)
    while (record.later.delete(record.allUpTo + 1)) record.allUpTo += 1
  }

  #begin(key: string, seq: number): SeqRecord {
    // Frames overtake each other by so many at most: lower numbers may still come.
    const allUpTo = this.#startsLate ? Math.max(0, seq - 1 - limits.seqAheadMax) : 0
    if (this.#startsLate) this.#lowest.set(key, seq)
    const record: SeqRecord = { allUpTo, later: new Map() }
    this.#records.set(key, record)
    return record
  }

  /** In words, the numbers that are still missing an hour after a later one was used. `now` in seconds. */
  *overdue(now: number): Generator<string> {
    for (const [key, { allUpTo, later }] of this.#settled()) {
      const used = [...later].toSorted(([a], [b]) => b - a)
      let earliest = Number.POSITIVE_INFINITY
      for (const [i, [seq, time]] of used.entries()) {
        earliest = Math.min(earliest, time)
        const before = used[i + 1]?.[0] ?? allUpTo
        if (before + 1 === seq || earliest + limits.seqGapSeconds >= now) continue
        const missing = before + 2 === seq ? `${seq - 1}` : `${before + 1} to ${seq - 1}`
        yield `key ${key} has used ${seq}, but ${missing} is missing`
      }
    }
  }

  /** What the next audit goes on from. */
  records(): ReadonlyMap<string, SeqRecord> {
    return this.#settled()
  }

  #settled(): Map<string, SeqRecord> {
    for (const [key, lowest] of this.#lowest) {
      const record = this.#records.get(key)
      if (record === undefined || record.allUpTo >= lowest) continue
      record.allUpTo = lowest - 1
      while (record.later.delete(record.allUpTo + 1)) record.allUpTo += 1
    }
    return this.#records
  }
}
