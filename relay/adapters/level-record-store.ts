// Records in LevelDB, every batch synced. RELIABILITY rules: a new database counts only after a synced
// write and a synced folder; after any error the handle is not used again.

import { type FileHandle, open, readFile, readdir, rename } from "node:fs/promises"
import { dirname, join } from "node:path"
import { Level } from "level"
import { sha256 } from "../../keys/crypto.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { type FolderReader, scrubLevel } from "../../protocol/level-check.ts"
import {
  type StoreState,
  encodeFormat,
  encodeMark,
  judgeStore,
} from "../../protocol/store-format.ts"
import type { RecordOp, RecordRange, RecordStore, StoredRecord } from "../core/ports.ts"
import { recordKey } from "../core/tables.ts"
import { relayLimits } from "../limits.ts"
import { codeOf, isMissing, makeFolder, onDisk, replaceFile, syncFolder } from "./durable-files.ts"

type Database = Level<Uint8Array, Uint8Array>

const readyKey = recordKey("ready")

/** Refused: `locked` while another process has it open, `damaged`, `newer-format`, `storage`. */
export async function openLevelRecordStore(path: string): Promise<RecordStore> {
  return onDisk("opening the database", async () => {
    await makeFolder(path)
    const state = await judge(path)
    if (state.kind === "unfinished") await setAside(path)
    const database: Database = new Level(path, { keyEncoding: "view", valueEncoding: "view" })
    try {
      await database.open()
    } catch (cause) {
      throw openError(cause)
    }
    let sequence = state.kind === "whole" ? state.lastSequence : 0
    if (sequence === 0) {
      await database.put(readyKey, Uint8Array.of(1), { sync: true })
      sequence = 1
      await syncFolder(path)
    }
    const mark = await openMark(path, sequence)
    if (state.kind !== "whole" || state.format === 1) {
      await replaceFile(join(dirname(path), "format"), encodeFormat())
      await syncFolder(dirname(path))
    }
    return new LevelRecordStore(path, database, mark, sequence)
  })
}

async function judge(path: string): Promise<StoreState> {
  const files = {
    folder: folderReader(path),
    format: await readIfThere(join(dirname(path), "format")),
    mark: await readIfThere(markPath(path)),
  }
  return judgeStore(files, sha256, relayLimits.startCheckBytesMax)
}

function markPath(path: string): string {
  return `${path}.mark`
}

async function openMark(path: string, sequence: number): Promise<FileHandle> {
  if ((await readIfThere(markPath(path))) === undefined) {
    await replaceFile(markPath(path), encodeMark(sha256, sequence))
    await syncFolder(dirname(path))
  }
  return open(markPath(path), "r+")
}

/** What was never finished stays, for somebody who wants to know why. */
async function setAside(path: string): Promise<void> {
  for (let n = 1; ; n++) {
    const aside = `${path}.unfinished-${n}`
    if ((await namesIn(aside)) !== undefined) continue
    await rename(path, aside)
    return makeFolder(path)
  }
}

async function namesIn(path: string): Promise<readonly string[] | undefined> {
  try {
    return await readdir(path)
  } catch (cause) {
    if (isMissing(cause)) return undefined
    throw cause
  }
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return Uint8Array.from(await readFile(path))
  } catch (cause) {
    if (isMissing(cause)) return undefined
    throw cause
  }
}

/** The files of a folder, for reading only. */
export function folderReader(path: string): FolderReader {
  return {
    names: async () => (await namesIn(path)) ?? [],
    read: async (name) => readIfThere(join(path, name)),
  }
}

function openError(cause: unknown): ChappeError {
  const inner = cause instanceof Error ? cause.cause : undefined
  if (codeOf(inner) === "LEVEL_LOCKED") return new ChappeError("locked", undefined, { cause })
  return new ChappeError("storage", "the database does not open", { cause })
}

type Asked = {
  readonly key: Uint8Array
  readonly resolve: (value: Uint8Array | undefined) => void
  readonly reject: (why: unknown) => void
}

class LevelRecordStore implements RecordStore {
  readonly #path: string
  readonly #database: Database
  readonly #mark: FileHandle
  /** Number of the last change. */
  #sequence: number
  #asked: Asked[] = []
  #isReading = false
  #failure: ChappeError | undefined
  #isClosed = false

  constructor(path: string, database: Database, mark: FileHandle, sequence: number) {
    this.#path = path
    this.#database = database
    this.#mark = mark
    this.#sequence = sequence
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
          this.#database.getMany(asked.map(({ key }) => key)),
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

  async range({ gte, lt, limit, reverse = false }: RecordRange): Promise<readonly StoredRecord[]> {
    if (this.#failure !== undefined) throw this.#failure
    const entries = await this.#run("reading", async () =>
      this.#database.iterator({ gte, lt, limit, reverse }).all(),
    )
    return entries.map(([key, value]) => ({
      key: new Uint8Array(key),
      value: new Uint8Array(value),
    }))
  }

  async commit(ops: readonly RecordOp[]): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    if (ops.length === 0) return
    await this.#run("a synced write", async () => {
      // Built call by call, a batch costs a fifth of one made from an array.
      const batch = this.#database.batch()
      for (const op of ops)
        if (op.type === "put") batch.put(op.key, op.value)
        else batch.del(op.key)
      await batch.write({ sync: true })
      this.#sequence += ops.length
      const mark = encodeMark(sha256, this.#sequence)
      await this.#mark.write(mark, 0, mark.length, 0)
    })
  }

  async *verify(): AsyncGenerator<number> {
    const files = scrubLevel(folderReader(this.#path))
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure
      const next = await this.#run("reading", async () => files.next())
      if (next.done === true) return
      yield next.value
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    // A failed sync is not tried again, and a failed store is left as it is.
    if (this.#failure === undefined) await this.#run("a sync", async () => this.#mark.sync())
    await this.#mark.close()
    await this.#database.close()
  }

  async #run<T>(what: string, run: () => Promise<T>): Promise<T> {
    try {
      return await run()
    } catch (cause) {
      this.#failure = storageFailure(cause, what)
      throw this.#failure
    }
  }
}

/** LevelDB says what the system said in words only. */
function storageFailure(cause: unknown, what: string): ChappeError {
  if (cause instanceof ChappeError) return cause
  const texts = [cause, cause instanceof Error ? cause.cause : undefined].map(String).join(" ")
  const isFull = /no space left|file too large|quota/iu.test(texts)
  return new ChappeError(isFull ? "disk-full" : "storage", `${what} of the database failed`, {
    cause,
  })
}
