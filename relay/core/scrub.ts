// Reads everything that is stored again, once a day and from the start on, a bounded amount a second:
// database, bodies, attachments, logs. RELIABILITY rule 4.

import { equalBytes } from "../../protocol/bytes.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { tilePath, tilesOf } from "../../protocol/tiles.ts"
import { relayLimits } from "../limits.ts"
import type { Damage } from "./damage.ts"
import type { Clock, Journal, RecordStore } from "./ports.ts"
import type { PublishedLog } from "./published-log.ts"
import { afterPrefix, openRecord, recordKey } from "./tables.ts"

export type ScrubParts = {
  readonly store: RecordStore
  readonly damage: Damage
  readonly logs: () => readonly PublishedLog[]
  readonly clock: Clock
  readonly journal: Journal
}

export class Scrub {
  readonly #parts: ScrubParts
  #round: AsyncGenerator<number> | undefined
  #nextMs = 0
  /** Of the logs, in the round that runs and in the one before. */
  #found: string[] = []
  #standing: readonly string[] = []

  constructor(parts: ScrubParts) {
    this.#parts = parts
  }

  /** Files of the logs that are damaged; empty where none is known. */
  get findings(): readonly string[] {
    return [...new Set([...this.#standing, ...this.#found])]
  }

  /**
   * Goes on where it stopped, for a bounded number of bytes. Refused: `damaged`, `tampered` for the
   * database, which then must not be used any more.
   */
  async step(): Promise<void> {
    const { clock } = this.#parts
    if (this.#round === undefined) {
      if (clock.monotonicMs() < this.#nextMs) return
      this.#round = this.#all()
    }
    for (let bytes = 0; bytes < relayLimits.scrubStepBytes;) {
      const next = await this.#round.next()
      if (next.done === true) {
        this.#round = undefined
        this.#nextMs = clock.monotonicMs() + relayLimits.scrubEveryMs
        this.#standing = this.#found
        this.#found = []
        return
      }
      // A step that reads nothing has its price too.
      bytes += next.value + relayLimits.scrubItemBytes
    }
  }

  async *#all(): AsyncGenerator<number> {
    for (const log of this.#parts.logs()) yield* this.#log(log)
    yield* this.#parts.store.verify()
    yield* this.#messages()
    yield* this.#records()
  }

  /** Every record opens at its place. */
  async *#records(): AsyncGenerator<number> {
    const lt = Uint8Array.of(0xff)
    for (let gte = Uint8Array.of(0); ;) {
      const page = await this.#parts.store.range({ gte, lt, limit: relayLimits.scrubRecords })
      let bytes = 0
      for (const { key, value } of page) {
        bytes += value.length
        if (!equalBytes(key, recordKey("ready"))) openRecord(key, value)
      }
      yield bytes
      const last = page.at(-1)
      if (last === undefined || page.length < relayLimits.scrubRecords) return
      gte = Uint8Array.of(...last.key, 0)
    }
  }

  async *#messages(): AsyncGenerator<number> {
    const prefix = recordKey("message")
    for (let gte = prefix; ;) {
      const page = await this.#parts.store.range({ gte, lt: afterPrefix(prefix), limit: 1 })
      const [record] = page
      if (record === undefined) return
      yield await this.#parts.damage.scrub(record.key.slice(prefix.length))
      gte = Uint8Array.of(...record.key, 0)
    }
  }

  /** Entries against their hashes, and each full tile against the one above it. */
  async *#log(log: PublishedLog): AsyncGenerator<number> {
    for (const tile of tilesOf(log.head.size)) {
      let why = "is not what the tile above it says"
      try {
        if (await log.holds(tile)) {
          yield tile.width * relayLimits.scrubItemBytes
          continue
        }
      } catch (cause) {
        if (!(cause instanceof ChappeError) || cause.code === "storage") throw cause
        why = cause.message
      }
      const place = `${log.origin}/${tilePath(tile)}`
      this.#found.push(place)
      this.#parts.journal.warn("damaged", { place, why })
      yield 0
    }
  }
}
