// Records in level (LevelDB). Every write is synced; a new database counts only once its first synced
// write and its directory are on disk (LevelDB loses the first manifest in a power cut otherwise).

import { mkdir, open } from "node:fs/promises"
import { dirname, join } from "node:path"
import { Level } from "level"
import { ChappeError } from "../../protocol/errors.ts"
import type { Change, KeyRange, RecordStore, StoredRecord } from "../core/ports.ts"

const readyKey = "~ready"

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, "r")
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function codeOf(error: unknown): unknown {
  return typeof error === "object" && error !== null && "code" in error ? error.code : undefined
}

/** Refused: `locked` when another process has it open, `disk-full`, `storage`. */
function storageError(cause: unknown): ChappeError {
  const inner = cause instanceof Error ? cause.cause : undefined
  if (codeOf(inner) === "LEVEL_LOCKED")
    return new ChappeError("locked", "another process has this directory open", { cause })
  const said = `${String(cause)} ${String(inner)}`
  if (/no space left|ENOSPC|disk full/iu.test(said))
    return new ChappeError("disk-full", "the records cannot be written", { cause })
  return new ChappeError("storage", "the records cannot be read or written", { cause })
}

export async function openLevelRecordStore(path: string): Promise<RecordStore> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 })
    const level = new Level<string, Uint8Array>(path, { valueEncoding: "view" })
    await level.open()
    if ((await level.get(readyKey)) === undefined) {
      await level.put(readyKey, Uint8Array.of(1), { sync: true })
      await syncDirectory(path)
      await syncDirectory(dirname(path))
    }
    return new LevelRecordStore(level)
  } catch (cause) {
    throw storageError(cause)
  }
}

/** Where a node's records stand inside its data directory. */
export function recordsPath(dataDirectory: string): string {
  return join(dataDirectory, "records")
}

class LevelRecordStore implements RecordStore {
  readonly #level: Level<string, Uint8Array>
  #failure: ChappeError | undefined

  constructor(level: Level<string, Uint8Array>) {
    this.#level = level
  }

  get(key: string): Promise<Uint8Array | undefined> {
    return this.#guard(async () => await this.#level.get(key))
  }

  list(range: KeyRange): Promise<readonly StoredRecord[]> {
    return this.#guard(async () => {
      const { from, to, limit, reverse = false } = range
      const found = await this.#level.iterator({ gte: from, lt: to, limit, reverse }).all()
      return found.map(([key, value]) => ({ key, value }))
    })
  }

  commit(changes: readonly Change[]): Promise<void> {
    return this.#guard(async () => {
      const operations = changes.map((change) =>
        change.kind === "put"
          ? { type: "put" as const, key: change.key, value: change.value }
          : { type: "del" as const, key: change.key },
      )
      await this.#level.batch(operations, { sync: true })
    })
  }

  async close(): Promise<void> {
    await this.#level.close()
  }

  /** A failed write may have lost pages that the kernel calls clean: this handle is of no more use. */
  async #guard<T>(task: () => Promise<T>): Promise<T> {
    if (this.#failure !== undefined) throw this.#failure
    try {
      return await task()
    } catch (cause) {
      this.#failure = storageError(cause)
      throw this.#failure
    }
  }
}
