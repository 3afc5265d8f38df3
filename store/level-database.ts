// A database in LevelDB that is looked at before it is opened, that syncs each change, and that is not used
// again after an error. RELIABILITY rules: a new database counts only after a synced write and a synced folder
// (LevelDB loses its first manifest in a power cut otherwise); a failed sync is never tried again.

import { type FileHandle, open, rename, rm } from "node:fs/promises"
import { dirname } from "node:path"
import { Level } from "level"
import { equalBytes } from "../protocol/bytes.ts"
import { ChappeError } from "../protocol/errors.ts"
import {
  codeOf,
  folderReader,
  isThere,
  makeFolder,
  readIfThere,
  replaceFile,
  storageError,
  syncFolder,
} from "./durable-files.ts"
import { encodeEnd } from "./clean-end.ts"
import { endOf, scrubLevel } from "./level-check.ts"
import { migrate } from "./migration.ts"
import { type StoreState, encodeFormat, encodeMark, judgeStore } from "./store-format.ts"
import { endPath, formatPath, markPath } from "./store-paths.ts"

/** `compactRange` is LevelDB's own: `level` leaves out of its types what browsers have none of. */
type OpenLevel = Level<Uint8Array, Uint8Array> & {
  compactRange?: (start: Uint8Array, end: Uint8Array) => Promise<void>
}

export type DatabaseOptions = {
  /** Written first into a new database; no record has this key. */
  readonly readyKey: Uint8Array
  /** Of tables that are read before the database is opened, newest first. */
  readonly startCheckBytesMax: number
}

export type DatabaseRecord = { readonly key: Uint8Array; readonly value: Uint8Array }

/** `value` undefined: removed. */
export type DatabaseChange = { readonly key: Uint8Array; readonly value: Uint8Array | undefined }

/** `gte` ≤ key < `lt` in the order of their bytes. */
export type DatabaseRange = {
  readonly gte: Uint8Array
  readonly lt: Uint8Array
  readonly limit: number
  readonly reverse?: boolean
}

type Asked = {
  readonly key: Uint8Array
  readonly resolve: (value: Uint8Array | undefined) => void
  readonly reject: (why: unknown) => void
}

/** What stands beside a database in its folder, as `judgeStore` wants it. */
async function judge(path: string, tableBytesMax: number): Promise<StoreState> {
  const files = {
    folder: folderReader(path),
    format: await readIfThere(formatPath(path)),
    mark: await readIfThere(markPath(path)),
    end: await readIfThere(endPath(path)),
  }
  return judgeStore(files, tableBytesMax)
}

/** What is wrong with a database that nobody has open; undefined where nothing is. Refused: `newer-format`. */
export async function databaseFault(path: string): Promise<string | undefined> {
  try {
    await judge(path, Number.MAX_SAFE_INTEGER)
    return undefined
  } catch (error) {
    if (error instanceof ChappeError && error.code === "damaged") return error.message
    throw error
  }
}

/** Writes mark and format of a database that nobody has open, and whose last change has this number. */
export async function renewMark(path: string, lastSequence: number): Promise<void> {
  await rm(endPath(path), { force: true })
  await replaceFile(markPath(path), encodeMark(lastSequence))
  await replaceFile(formatPath(path), encodeFormat())
  await syncFolder(dirname(path))
}

/** What was never finished stays, for somebody who wants to know why. */
async function setAside(path: string): Promise<void> {
  for (let n = 1; ; n++) {
    const aside = `${path}.unfinished-${n}`
    if (await isThere(aside)) continue
    await rename(path, aside)
    return makeFolder(path)
  }
}

async function openMark(path: string, sequence: number): Promise<FileHandle> {
  if (!(await isThere(markPath(path)))) {
    await replaceFile(markPath(path), encodeMark(sequence))
    await syncFolder(dirname(path))
  }
  return open(markPath(path), "r+")
}

/** LevelDB says what the system said in words only. */
function databaseError(cause: unknown, what: string): ChappeError {
  if (cause instanceof ChappeError) return cause
  const inner = cause instanceof Error ? cause.cause : undefined
  if (codeOf(inner) === "LEVEL_LOCKED")
    return new ChappeError("locked", "another process has this directory open", { cause })
  if (/no space left|file too large|quota/iu.test(`${String(cause)} ${String(inner)}`))
    return new ChappeError("disk-full", `${what} failed`, { cause })
  return storageError(cause, what)
}

export class LevelDatabase {
  readonly #path: string
  readonly #readyKey: Uint8Array
  readonly #level: OpenLevel
  readonly #mark: FileHandle
  /** Number of the last change. */
  #sequence: number
  /** Since the last compaction; what was removed in an earlier life is not known. */
  #removed = 1
  #asked: Asked[] = []
  #isReading = false
  #failure: ChappeError | undefined
  #isClosed = false

  private constructor(
    path: string,
    parts: { readonly level: OpenLevel; readonly mark: FileHandle; readonly readyKey: Uint8Array },
    sequence: number,
  ) {
    this.#path = path
    this.#level = parts.level
    this.#mark = parts.mark
    this.#readyKey = parts.readyKey
    this.#sequence = sequence
  }

  /** Refused: `locked` while another process has it open, `damaged`, `newer-format`, `disk-full`, `storage`. */
  static async open(path: string, options: DatabaseOptions): Promise<LevelDatabase> {
    const { readyKey, startCheckBytesMax } = options
    try {
      await makeFolder(path)
      const state = await judge(path, startCheckBytesMax)
      if (state.kind === "unfinished") await setAside(path)
      if (state.kind === "whole") await migrate(path, state.format, state.lastSequence)
      const view = { keyEncoding: "view", valueEncoding: "view" } as const
      const level: OpenLevel = new Level(path, view)
      await level.open()
      await rm(endPath(path), { force: true })
      let sequence = state.kind === "whole" ? state.lastSequence : 0
      if (sequence === 0) {
        await level.put(readyKey, Uint8Array.of(1), { sync: true })
        sequence = 1
        await syncFolder(path)
      }
      const mark = await openMark(path, sequence)
      if (state.kind !== "whole") {
        await replaceFile(formatPath(path), encodeFormat())
        await syncFolder(dirname(path))
      }
      return new LevelDatabase(path, { level, mark, readyKey }, sequence)
    } catch (cause) {
      throw databaseError(cause, "opening the database")
    }
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    if (this.#failure !== undefined) throw this.#failure
    return new Promise((resolve, reject) => {
      this.#asked.push({ key, resolve, reject })
      if (this.#isReading) return
      this.#isReading = true
      queueMicrotask(() => void this.#readAsked())
    })
  }

  /** One call for everything that was asked meanwhile: a call costs more than the reading. */
  async #readAsked(): Promise<void> {
    while (this.#asked.length > 0) {
      const asked = this.#asked.splice(0)
      try {
        const values: readonly (Uint8Array | undefined)[] = await this.#run("reading", async () =>
          this.#level.getMany(asked.map(({ key }) => key)),
        )
        asked.forEach(({ resolve }, i) => {
          const value = values[i]
          resolve(value === undefined ? undefined : new Uint8Array(value))
        })
      } catch (cause) {
        for (const { reject } of asked) reject(cause)
      }
    }
    this.#isReading = false
  }

  /** A snapshot of the moment of the call. May run while `write` does. */
  async range({ gte, lt, limit, reverse = false }: DatabaseRange): Promise<DatabaseRecord[]> {
    const found = await this.#run("reading", async () =>
      this.#level.iterator({ gte, lt, limit, reverse }).all(),
    )
    return found.map(recordOf)
  }

  /** Every record as it stands at the first step; pages of at most `limit`. */
  async *snapshot(limit: number): AsyncGenerator<readonly DatabaseRecord[], void, void> {
    // An iterator sees the database as it was when it was made.
    const iterator = this.#level.iterator()
    try {
      for (;;) {
        const page = await this.#run("reading", async () => iterator.nextv(limit))
        if (page.length === 0) return
        yield page.map(recordOf).filter(({ key }) => !equalBytes(key, this.#readyKey))
      }
    } finally {
      await iterator.close()
    }
  }

  /** All or nothing, in this order; when it resolves, it survives a power cut. One at a time. */
  async write(changes: readonly DatabaseChange[]): Promise<void> {
    if (changes.length === 0) return
    await this.#run("a synced write", async () => {
      // Built call by call, a batch costs a fifth of one made from an array.
      const batch = this.#level.batch()
      for (const { key, value } of changes)
        if (value === undefined) batch.del(key)
        else batch.put(key, value)
      await batch.write({ sync: true })
      this.#sequence += changes.length
      this.#removed += changes.filter(({ value }) => value === undefined).length
      const mark = encodeMark(this.#sequence)
      await this.#mark.write(mark, 0, mark.length, 0)
    })
  }

  /** Reads what is on the disk again, file by file, and yields the bytes of each. Refused: `damaged`. */
  async *verify(): AsyncGenerator<number> {
    const files = scrubLevel(folderReader(this.#path))
    for (;;) {
      const next = await this.#run("reading", async () => files.next())
      if (next.done === true) return
      yield next.value
    }
  }

  /** Gives back the room of what was removed since the last time. Reading and writing go on meanwhile. */
  async compact(): Promise<void> {
    await this.#run("a compaction", async () => {
      // From before every key to after every key: what was removed may have been the first or the last.
      if (this.#removed > 0) await this.#level.compactRange?.(Uint8Array.of(0), Uint8Array.of(0xff))
      this.#removed = 0
    })
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    // A failed sync is not tried again, and a failed store is left as it is.
    if (this.#failure === undefined) await this.#run("a sync", async () => this.#mark.sync())
    await this.#mark.close()
    await this.#level.close()
    if (this.#failure === undefined) await this.#run("the end", async () => this.#noteEnd())
  }

  async #noteEnd(): Promise<void> {
    const end = await endOf(folderReader(this.#path))
    if (end === undefined) return
    await replaceFile(endPath(this.#path), encodeEnd(end))
    await syncFolder(dirname(this.#path))
  }

  /** A failed write may have lost pages that the kernel calls clean: this handle is of no more use. */
  async #run<T>(what: string, run: () => Promise<T>): Promise<T> {
    if (this.#failure !== undefined) throw this.#failure
    try {
      return await run()
    } catch (cause) {
      this.#failure = databaseError(cause, `${what} of the database`)
      throw this.#failure
    }
  }
}

function recordOf([key, value]: readonly [Uint8Array, Uint8Array]): DatabaseRecord {
  return { key: new Uint8Array(key), value: new Uint8Array(value) }
}
