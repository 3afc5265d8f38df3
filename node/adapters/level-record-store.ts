// Records in level (LevelDB). Every write is synced; a new database counts only once its first synced
// write and its directory are on disk (LevelDB loses the first manifest in a power cut otherwise).

import { type FileHandle, mkdir, open, readFile, readdir, rename } from "node:fs/promises"
import { dirname, join } from "node:path"
import { Level } from "level"
import { sha256 } from "../../keys/crypto.ts"
import { ChappeError } from "../../protocol/errors.ts"
import type { FolderReader } from "../../protocol/level-check.ts"
import {
  type StoreState,
  encodeFormat,
  encodeMark,
  judgeStore,
} from "../../protocol/store-format.ts"
import type { Change, KeyRange, RecordStore, StoredRecord } from "../core/ports.ts"
import { nodeLimits } from "../limits.ts"

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
  if (cause instanceof ChappeError) return cause
  const inner = cause instanceof Error ? cause.cause : undefined
  if (codeOf(inner) === "LEVEL_LOCKED")
    return new ChappeError("locked", "another process has this directory open", { cause })
  const said = `${String(cause)} ${String(inner)}`
  if (/no space left|ENOSPC|EDQUOT|EFBIG|disk full|file too large|quota/iu.test(said))
    return new ChappeError("disk-full", "the records cannot be written", { cause })
  return new ChappeError("storage", "the records cannot be read or written", { cause })
}

/** Refused: `locked` while another process has it open, `damaged`, `newer-format`, `disk-full`, `storage`. */
export async function openLevelRecordStore(path: string): Promise<RecordStore> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 })
    const state = await judge(path)
    if (state.kind === "unfinished") await setAside(path)
    const level = new Level<string, Uint8Array>(path, { valueEncoding: "view" })
    await level.open()
    let sequence = state.kind === "whole" ? state.lastSequence : 0
    if (sequence === 0) {
      await level.put(readyKey, Uint8Array.of(1), { sync: true })
      sequence = 1
      await syncDirectory(path)
    }
    const mark = await openMark(path, sequence)
    if (state.kind !== "whole" || state.format === 1)
      await writeSynced(join(dirname(path), "format"), encodeFormat())
    return new LevelRecordStore(level, mark, sequence)
  } catch (cause) {
    throw storageError(cause)
  }
}

async function judge(path: string): Promise<StoreState> {
  const files = {
    folder: folderReader(path),
    format: await readIfThere(join(dirname(path), "format")),
    mark: await readIfThere(markPath(path)),
  }
  return judgeStore(files, sha256, nodeLimits.startCheckBytesMax)
}

function markPath(path: string): string {
  return `${path}.mark`
}

async function openMark(path: string, sequence: number): Promise<FileHandle> {
  if ((await readIfThere(markPath(path))) === undefined)
    await writeSynced(markPath(path), encodeMark(sha256, sequence))
  return open(markPath(path), "r+")
}

/** What was never finished stays, for somebody who wants to know why. */
async function setAside(path: string): Promise<void> {
  for (let n = 1; ; n++) {
    const aside = `${path}.unfinished-${n}`
    if ((await namesIn(aside)) !== undefined) continue
    await rename(path, aside)
    await mkdir(path, { mode: 0o700 })
    return
  }
}

async function writeSynced(path: string, bytes: Uint8Array): Promise<void> {
  const handle = await open(`${path}.new`, "w", 0o600)
  try {
    await handle.writeFile(bytes)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(`${path}.new`, path)
  await syncDirectory(dirname(path))
}

async function namesIn(path: string): Promise<readonly string[] | undefined> {
  try {
    return await readdir(path)
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return undefined
    throw cause
  }
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return Uint8Array.from(await readFile(path))
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return undefined
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

/** Where a node's records stand inside its data directory. */
export function recordsPath(dataDirectory: string): string {
  return join(dataDirectory, "records")
}

class LevelRecordStore implements RecordStore {
  readonly #level: Level<string, Uint8Array>
  readonly #mark: FileHandle
  /** Number of the last change. */
  #sequence: number
  #failure: ChappeError | undefined
  #isClosed = false

  constructor(level: Level<string, Uint8Array>, mark: FileHandle, sequence: number) {
    this.#level = level
    this.#mark = mark
    this.#sequence = sequence
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

  async *snapshot(limit: number): AsyncGenerator<readonly StoredRecord[], void, void> {
    // An iterator sees the database as it was when it was made.
    const iterator = this.#level.iterator()
    try {
      for (;;) {
        const page = await this.#guard(() => iterator.nextv(limit))
        if (page.length === 0) return
        yield page
          .filter(([key]) => key !== readyKey)
          .map(([key, value]) => ({ key, value: Uint8Array.from(value) }))
      }
    } finally {
      await iterator.close()
    }
  }

  commit(changes: readonly Change[]): Promise<void> {
    if (changes.length === 0) return Promise.resolve()
    return this.#guard(async () => {
      const operations = changes.map((change) =>
        change.kind === "put"
          ? { type: "put" as const, key: change.key, value: change.value }
          : { type: "del" as const, key: change.key },
      )
      await this.#level.batch(operations, { sync: true })
      this.#sequence += operations.length
      const mark = encodeMark(sha256, this.#sequence)
      await this.#mark.write(mark, 0, mark.length, 0)
    })
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    // A failed sync is not tried again, and a failed store is left as it is.
    if (this.#failure === undefined) await this.#guard(async () => this.#mark.sync())
    await this.#mark.close()
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
