// What a node need not know any more: ids that were answered, the receipts that it signed for them, and
// courier's files that were taken in, 90 days after by network time. Mail itself, what proves it, and what
// proves that somebody cheated stay. docs/operator.md, "What is kept, and how long".

import { limits } from "../../protocol/limits.ts"
import { nodeLimits } from "../limits.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { Change, Log } from "./ports.ts"
import type { Records, Table } from "./records.ts"

/** What removes the records of a page that are too old, and its last key; undefined at the table's end. */
export type Aged = { readonly changes: readonly Change[]; readonly last: string | undefined }

/** A table of which records lose their use with time. */
export interface Ageing {
  /** Looks at the page after a key (undefined: the first); too old is what was made before `before`. */
  aged(before: number, after: string | undefined): Promise<Aged>
}

/** Of one table with a time in each record. */
export async function agedIn<T>(
  table: Table<T>,
  isOld: (item: T) => boolean,
  after: string | undefined,
): Promise<Aged> {
  const limit = nodeLimits.retentionRecords
  const page = await table.list({ limit, ...(after === undefined ? {} : { after }) })
  const changes = page.filter(({ item }) => isOld(item)).map(({ key }) => table.remove(key))
  return { changes, last: page.length < limit ? undefined : page.at(-1)?.key }
}

export class Retention {
  readonly #records: Records
  readonly #clock: NetworkClock
  readonly #log: Log
  readonly #tables: readonly Ageing[]
  #at: { readonly table: number; readonly after: string | undefined } | undefined
  #removed = 0
  #nextMs = 0

  constructor(options: {
    readonly records: Records
    readonly clock: NetworkClock
    readonly log: Log
    readonly tables: readonly Ageing[]
  }) {
    this.#records = options.records
    this.#clock = options.clock
    this.#log = options.log
    this.#tables = options.tables
  }

  /**
   * Goes on where it stopped, a bounded number of records at once; a round a day, and after it the disk gets
   * its room back. To be called while network time is confirmed.
   */
  async step(): Promise<void> {
    const nowMs = this.#clock.monotonicMs()
    if (this.#at === undefined && nowMs < this.#nextMs) return
    this.#at ??= { table: 0, after: undefined }
    const { table, after } = this.#at
    const ageing = this.#tables[table]
    if (ageing === undefined) {
      this.#at = undefined
      this.#nextMs = nowMs + nodeLimits.retentionEveryMs
      await this.#records.compact()
      if (this.#removed > 0) this.#log.info("forgotten", { records: this.#removed })
      this.#removed = 0
      return
    }
    const before = this.#clock.now() - limits.idKeepSeconds
    const { changes, last } = await ageing.aged(before, after)
    if (changes.length > 0) await this.#records.commit(changes)
    this.#removed += changes.length
    this.#at = last === undefined ? { table: table + 1, after: undefined } : { table, after: last }
  }
}
