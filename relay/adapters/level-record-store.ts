// Records in LevelDB, every batch synced. RELIABILITY rules: a new database counts only after a synced
// write and a synced folder; after any error the handle is not used again.

import { access } from "node:fs/promises"
import { dirname, join } from "node:path"
import { Level } from "level"
import { ChappeError } from "../../protocol/errors.ts"
import type { RecordOp, RecordRange, RecordStore, StoredRecord } from "../core/ports.ts"
import { recordKey } from "../core/tables.ts"
import { codeOf, makeFolder, storageError, syncFolder } from "./durable-files.ts"

type Database = Level<Uint8Array, Uint8Array>

const readyKey = recordKey("ready")

/** Refused: `locked` while another process has it open, `storage`. */
export async function openLevelRecordStore(path: string): Promise<RecordStore> {
  await makeFolder(path).catch((cause: unknown) => {
    throw storageError(cause, "making the database folder")
  })
  const isNew = await access(join(path, "CURRENT")).then(
    () => false,
    () => true,
  )
  const database: Database = new Level(path, { keyEncoding: "view", valueEncoding: "view" })
  try {
    await database.open()
  } catch (cause) {
    throw openError(cause)
  }
  if (isNew) {
    await database.put(readyKey, Uint8Array.of(1), { sync: true })
    await syncFolder(path)
    await syncFolder(dirname(path))
  }
  return new LevelRecordStore(database)
}

function openError(cause: unknown): ChappeError {
  const inner = cause instanceof Error ? cause.cause : undefined
  if (codeOf(inner) === "LEVEL_LOCKED") return new ChappeError("locked", undefined, { cause })
  return new ChappeError("storage", "the database does not open", { cause })
}

class LevelRecordStore implements RecordStore {
  readonly #database: Database
  #failure: ChappeError | undefined

  constructor(database: Database) {
    this.#database = database
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    if (this.#failure !== undefined) throw this.#failure
    const value: Uint8Array | undefined = await this.#run("reading", async () =>
      this.#database.get(key),
    )
    return value === undefined ? undefined : Uint8Array.from(value)
  }

  async range({ gte, lt, limit, reverse = false }: RecordRange): Promise<readonly StoredRecord[]> {
    if (this.#failure !== undefined) throw this.#failure
    const entries = await this.#run("reading", async () =>
      this.#database.iterator({ gte, lt, limit, reverse }).all(),
    )
    return entries.map(([key, value]) => ({
      key: Uint8Array.from(key),
      value: Uint8Array.from(value),
    }))
  }

  async commit(ops: readonly RecordOp[]): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    await this.#run("a synced write", async () => this.#database.batch([...ops], { sync: true }))
  }

  async close(): Promise<void> {
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
  const texts = [cause, cause instanceof Error ? cause.cause : undefined].map(String).join(" ")
  const isFull = /no space left|file too large|quota/iu.test(texts)
  return new ChappeError(isFull ? "disk-full" : "storage", `${what} of the database failed`, {
    cause,
  })
}
