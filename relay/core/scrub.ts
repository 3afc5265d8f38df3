// Reads everything that is stored again, once a day and from the start on, a bounded amount a second:
// database, bodies, attachments, logs. RELIABILITY rule 4.

import { equalBytes } from "../../protocol/bytes.ts"
import { relayLimits } from "../limits.ts"
import type { Damage } from "./damage.ts"
import { LogMending } from "./log-mending.ts"
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

type Places = { readonly damaged: string[]; readonly mended: string[] }

/** Files of the logs, in the round that runs and in the one before. */
export type ScrubFindings = {
  /** That are over. */
  readonly rounds: number
  readonly damaged: readonly string[]
  readonly mended: readonly string[]
}

export class Scrub {
  readonly #parts: ScrubParts
  #steps: AsyncGenerator<number> | undefined
  #nextMs = 0
  #rounds = 0
  /** Of the logs, in the round that runs and in the one before. */
  #round: Places = { damaged: [], mended: [] }
  #before: Places = { damaged: [], mended: [] }

  constructor(parts: ScrubParts) {
    this.#parts = parts
  }

  get findings(): ScrubFindings {
    const both = (state: keyof Places): readonly string[] => [
      ...new Set([...this.#before[state], ...this.#round[state]]),
    ]
    return { rounds: this.#rounds, damaged: both("damaged"), mended: both("mended") }
  }

  /**
   * Goes on where it stopped, for a bounded number of bytes. Refused: `damaged`, `tampered` for the
   * database, which then must not be used any more.
   */
  async step(): Promise<void> {
    const { clock } = this.#parts
    if (this.#steps === undefined) {
      if (clock.monotonicMs() < this.#nextMs) return
      this.#steps = this.#all()
    }
    for (let bytes = 0; bytes < relayLimits.scrubStepBytes;) {
      const next = await this.#steps.next()
      if (next.done === true) {
        this.#steps = undefined
        this.#nextMs = clock.monotonicMs() + relayLimits.scrubEveryMs
        this.#rounds += 1
        this.#before = this.#round
        this.#round = { damaged: [], mended: [] }
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

  /** Every file of a log against the tree above it. */
  async *#log({ files, origin, head }: PublishedLog): AsyncGenerator<number> {
    const { store, journal } = this.#parts
    for await (const { path, state, bytes } of new LogMending({
      files,
      store,
      origin,
      head,
    }).all()) {
      if (state !== "whole") {
        const place = `${origin}/${path}`
        this.#round[state].push(place)
        journal.warn(state, { place })
      }
      yield bytes
    }
  }
}
