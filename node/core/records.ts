// Records at rest: each is encrypted and bound to its table and key, so that neither disk nor backup
// tells content, and swapped or moved records are refused. Keys hold ids, names and numbers only.
//
// One writer: changes that arrive while a commit is under way share the next one.

import type { Random } from "../../keys/hedge.ts"
import { openRecord, sealRecord } from "../../keys/sealed-record.ts"
import { utf8 } from "../../protocol/bytes.ts"
import { type Codec, decode, encode } from "../../protocol/codec.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { nodeLimits } from "../limits.ts"
import type { Change, RecordStore } from "./ports.ts"

export type Keyed<T> = { readonly key: string; readonly item: T }

export type TableRange = {
  /** Only keys that begin so. */
  readonly prefix?: string
  /** Only keys after (with `reverse`: before) this one. */
  readonly after?: string
  readonly limit?: number
  readonly reverse?: boolean
}

/** One kind of record. `key` is ASCII; changes take effect with `Records.commit`. */
export interface Table<T> {
  get(key: string): Promise<T | undefined>
  list(range?: TableRange): Promise<readonly Keyed<T>[]>
  put(key: string, item: T): Change
  remove(key: string): Change
}

type Waiting = {
  readonly changes: readonly Change[]
  readonly done: () => void
  readonly failed: (error: unknown) => void
}

export class Records {
  readonly #store: RecordStore
  readonly #dataKey: Uint8Array
  readonly #random: Random
  readonly #onFailure: (error: ChappeError) => void
  #waiting: Waiting[] = []
  #running = false
  #failure: ChappeError | undefined

  constructor(options: {
    readonly store: RecordStore
    readonly dataKey: Uint8Array
    readonly random: Random
    /** The disk failed: nothing more is stored, the process must end. */
    readonly onFailure: (error: ChappeError) => void
  }) {
    this.#store = options.store
    this.#dataKey = options.dataKey
    this.#random = options.random
    this.#onFailure = options.onFailure
  }

  table<T>(name: string, codec: Codec<T>): Table<T> {
    const open = (key: string, value: Uint8Array): T => {
      const place = { table: name, key: utf8(key), position: 0 }
      const plain = openRecord(this.#dataKey, place, value)
      return decode(codec, plain, nodeLimits.recordBytesMax)
    }
    const path = (key: string): string => `${name}/${key}`
    return {
      get: async (key) => {
        const value = await this.#read(() => this.#store.get(path(key)))
        return value === undefined ? undefined : open(key, value)
      },
      list: async (range = {}) => {
        const { prefix = "", after, reverse = false } = range
        const first = path(prefix)
        const end = `${first.slice(0, -1)}${String.fromCharCode(first.charCodeAt(first.length - 1) + 1)}`
        const from = after === undefined || reverse ? first : `${path(after)}\0`
        const to = after === undefined || !reverse ? end : path(after)
        const limit = range.limit ?? nodeLimits.listPage
        const found = await this.#read(() => this.#store.list({ from, to, limit, reverse }))
        return found.map(({ key, value }) => {
          const own = key.slice(name.length + 1)
          return { key: own, item: open(own, value) }
        })
      },
      put: (key, item) => {
        const place = { table: name, key: utf8(key), position: 0 }
        const value = sealRecord(this.#dataKey, place, encode(codec, item), this.#random)
        return { kind: "put", key: path(key), value }
      },
      remove: (key) => ({ kind: "remove", key: path(key) }),
    }
  }

  /** Atomic and synced, in the order of the calls. Refused: `storage`, `disk-full`, then for ever. */
  commit(changes: readonly Change[]): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    return new Promise((done, failed) => {
      this.#waiting.push({ changes, done, failed })
      if (!this.#running) void this.#write()
    })
  }

  /** Gives the disk back the room of what was removed. Refused: as for `commit`. */
  async compact(): Promise<void> {
    await this.#read(() => this.#store.compact())
  }

  async #write(): Promise<void> {
    this.#running = true
    while (this.#waiting.length > 0) {
      const group = this.#takeGroup()
      try {
        await this.#store.commit(group.flatMap(({ changes }) => changes))
        for (const { done } of group) done()
      } catch (cause) {
        const failure = this.#fail(cause)
        for (const { failed } of [...group, ...this.#waiting.splice(0)]) failed(failure)
      }
    }
    this.#running = false
  }

  #takeGroup(): readonly Waiting[] {
    let bytes = 0
    let count = 0
    for (const { changes } of this.#waiting) {
      for (const change of changes) bytes += change.kind === "put" ? change.value.length : 0
      if (count > 0 && bytes > nodeLimits.commitBytesMax) break
      count += 1
    }
    return this.#waiting.splice(0, count)
  }

  async #read<T>(read: () => Promise<T>): Promise<T> {
    if (this.#failure !== undefined) throw this.#failure
    try {
      return await read()
    } catch (cause) {
      throw this.#fail(cause)
    }
  }

  #fail(cause: unknown): ChappeError {
    const isKnown =
      cause instanceof ChappeError && (cause.code === "storage" || cause.code === "disk-full")
    this.#failure ??= isKnown
      ? cause
      : new ChappeError("storage", "the node's records cannot be read or written", { cause })
    this.#onFailure(this.#failure)
    return this.#failure
  }
}

/** Every record of a table, page by page. */
export async function* walk<T>(table: Table<T>, prefix?: string): AsyncGenerator<Keyed<T>> {
  let after: string | undefined
  for (;;) {
    const page = await table.list({
      ...(prefix === undefined ? {} : { prefix }),
      ...(after === undefined ? {} : { after }),
    })
    yield* page
    after = page.at(-1)?.key
    if (page.length < nodeLimits.listPage) return
  }
}

/** Eight hex digits, so that keys sort as numbers do. */
export function numberKey(number: number): string {
  return number.toString(16).padStart(8, "0")
}
