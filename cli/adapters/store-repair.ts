// Repair of a stopped node's or relay's data folder: what can be read goes into a new database, what was
// there before is moved aside and stays. docs/operator.md, "Damage".

import { createHash } from "node:crypto"
import { createReadStream } from "node:fs"
import { link, mkdir, open, rename, rm } from "node:fs/promises"
import { basename, dirname, join } from "node:path"
import { pipeline } from "node:stream/promises"
import { Level } from "level"
import { ChappeError } from "../../protocol/errors.ts"
import { codeOf, folderReader, isThere, namesIn, syncFolder } from "../../store/durable-files.ts"
import { checkLevel } from "../../store/level-check.ts"
import { databaseFault, renewMark } from "../../store/level-database.ts"
import { salvageLevel } from "../../store/level-salvage.ts"
import { cliLimits } from "../limits.ts"

function databaseOf(data: string): string {
  return join(data, "records")
}

/** What is wrong with the database, in words; undefined where nothing is. Refused: `newer-format`. */
export async function faultOf(data: string): Promise<string | undefined> {
  return databaseFault(databaseOf(data))
}

/** Whether every change that was written can be read: only what stands beside the database is damaged. */
export async function isDatabaseWhole(data: string): Promise<boolean> {
  const folder = folderReader(databaseOf(data))
  const { findings, isEmpty } = await checkLevel(folder, Number.MAX_SAFE_INTEGER)
  return findings.length === 0 && !isEmpty
}

type StoredItem = { readonly key: Uint8Array; readonly value: Uint8Array }

const view = { keyEncoding: "view", valueEncoding: "view" } as const

/**
 * Runs `work` while no process can open the database, damaged as it may be: LevelDB's lock is one of the file,
 * and another database takes it by another name. Refused: `locked` while a process has it open.
 */
export async function withDatabaseLocked<T>(data: string, work: () => Promise<T>): Promise<T> {
  if (!(await isThere(databaseOf(data)))) return work()
  const guard = `${databaseOf(data)}.guard`
  const lock = join(databaseOf(data), "LOCK")
  await rm(guard, { recursive: true, force: true })
  await mkdir(guard, { mode: 0o700 })
  let database: Level<Uint8Array, Uint8Array> | undefined
  try {
    await (await open(lock, "a")).close()
    await link(lock, join(guard, "LOCK"))
    // Made only now: it begins to open by itself.
    database = new Level(guard, view)
    await database.open()
    return await work()
  } catch (cause) {
    if (codeOf(cause instanceof Error ? cause.cause : undefined) === "LEVEL_LOCKED")
      throw new ChappeError("locked", `another process has ${data} open`, { cause })
    throw cause
  } finally {
    await database?.close()
    await rm(guard, { recursive: true, force: true })
  }
}

/** Writes mark and format anew for a database that is whole in itself, and `last` into it first. */
export async function mendMark(data: string, last?: StoredItem): Promise<void> {
  const path = databaseOf(data)
  if (last !== undefined) {
    const database = new Level<Uint8Array, Uint8Array>(path, view)
    await database.open()
    await database.put(last.key, last.value, { sync: true })
    await database.close()
    await syncFolder(path)
  }
  const { lastSequence } = await checkLevel(folderReader(path), 0)
  await renewMark(path, lastSequence)
}

/**
 * A new database from what can be read, and `last`; the old one is moved to `aside`. The number of records
 * kept.
 */
export async function rebuildDatabase(
  data: string,
  aside: string,
  last?: StoredItem,
): Promise<number> {
  const path = databaseOf(data)
  const mended = `${path}.mended`
  // What an earlier attempt left unfinished.
  await rm(mended, { recursive: true, force: true })
  await mkdir(mended, { recursive: true, mode: 0o700 })
  const database = new Level<Uint8Array, Uint8Array>(mended, view)
  let kept = 0
  await database.open()
  try {
    let batch: (StoredItem & { readonly type: "put" })[] = []
    for await (const { key, value } of salvageLevel(folderReader(path))) {
      kept += 1
      batch.push({ type: "put", key, value })
      if (batch.length < cliLimits.repairBatch) continue
      await database.batch(batch, { sync: true })
      batch = []
    }
    if (last !== undefined) batch.push({ type: "put", ...last })
    if (batch.length > 0) await database.batch(batch, { sync: true })
  } finally {
    await database.close()
  }
  await syncFolder(mended)
  await moveAside(path, aside)
  await rename(mended, path)
  await syncFolder(data)
  await mendMark(data)
  return kept
}

/** Files named by the SHA-256 of their content, that do not have it. */
export async function damagedBodies(folder: string): Promise<readonly string[]> {
  const damaged: string[] = []
  for (const name of (await namesIn(folder)).filter((one) => /^[0-9a-f]{64}$/u.test(one))) {
    const hash = createHash("sha256")
    await pipeline(createReadStream(join(folder, name)), hash)
    if (hash.digest("hex") !== name) damaged.push(join(folder, name))
  }
  return damaged
}

export async function moveAside(path: string, aside: string): Promise<void> {
  await mkdir(aside, { recursive: true, mode: 0o700 })
  const taken = new Set(await namesIn(aside))
  let name = basename(path)
  for (let n = 2; taken.has(name); n++) name = `${basename(path)}-${n}`
  await rename(path, join(aside, name))
  await syncFolder(aside)
  await syncFolder(dirname(path))
}
