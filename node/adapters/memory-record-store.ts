// Records in memory, for tests and simulations: a commit is on the disk or it is not, and any call can be
// made to fail, before or after the disk has it.

import { ChappeError } from "../../protocol/errors.ts"
import { compareText } from "../../protocol/bytes.ts"
import type { Change, KeyRange, RecordStore, StoredRecord } from "../core/ports.ts"

/** What survives a power cut; a later handle begins with it. */
export type DurableRecords = Map<string, Uint8Array>

/** The commit, counted from 1, that fails; `after`: the disk has it, but nobody is told. */
export type PlannedFailure = { readonly commit: number; readonly when: "before" | "after" }

export class MemoryRecordStore implements RecordStore {
  readonly #durable: DurableRecords
  readonly #failure: PlannedFailure | undefined
  #commits = 0
  #isBroken = false

  constructor(durable: DurableRecords = new Map(), failure?: PlannedFailure) {
    this.#durable = durable
    this.#failure = failure
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    this.#requireWhole()
    return this.#durable.get(key)?.slice()
  }

  async list({ from, to, limit, reverse = false }: KeyRange): Promise<readonly StoredRecord[]> {
    this.#requireWhole()
    const keys = [...this.#durable.keys()]
      .filter((key) => compareText(from, key) <= 0 && compareText(key, to) < 0)
      .toSorted(compareText)
    const wanted = (reverse ? keys.toReversed() : keys).slice(0, limit)
    return wanted.flatMap((key) => {
      const value = this.#durable.get(key)
      return value === undefined ? [] : [{ key, value: value.slice() }]
    })
  }

  async *snapshot(limit: number): AsyncGenerator<readonly StoredRecord[], void, void> {
    this.#requireWhole()
    const all = [...this.#durable]
      .toSorted(([a], [b]) => compareText(a, b))
      .map(([key, value]) => ({ key, value: value.slice() }))
    for (let at = 0; at < all.length; at += limit) yield all.slice(at, at + limit)
  }

  async commit(changes: readonly Change[]): Promise<void> {
    this.#requireWhole()
    this.#commits += 1
    const isPlanned = this.#failure?.commit === this.#commits
    if (isPlanned && this.#failure.when === "before") this.#break()
    for (const change of changes)
      if (change.kind === "put") this.#durable.set(change.key, change.value.slice())
      else this.#durable.delete(change.key)
    if (isPlanned) this.#break()
  }

  async compact(): Promise<void> {
    this.#requireWhole()
  }

  async close(): Promise<void> {
    this.#isBroken = true
  }

  #requireWhole(): void {
    if (this.#isBroken) throw new ChappeError("storage", "the records are closed")
  }

  #break(): never {
    this.#isBroken = true
    throw new ChappeError("storage", "a planned failure")
  }
}
