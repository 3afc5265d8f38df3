// Repair of a stopped node's or relay's data folder: what can be read goes into a new database, what was
// there before is moved aside and stays. docs/operator.md, "Damage".

import { createHash } from "node:crypto"
import { createReadStream } from "node:fs"
import { mkdir, open, readFile, readdir, rename, rm } from "node:fs/promises"
import { basename, dirname, join } from "node:path"
import { pipeline } from "node:stream/promises"
import { Level } from "level"
import { sha256 } from "../../keys/crypto.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { type FolderReader, checkLevel } from "../../protocol/level-check.ts"
import { salvageLevel } from "../../protocol/level-salvage.ts"
import { encodeFormat, encodeMark, judgeStore } from "../../protocol/store-format.ts"
import { systemCode } from "../failure.ts"
import { cliLimits } from "../limits.ts"

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return new Uint8Array(await readFile(path))
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined
    throw error
  }
}

async function namesIn(path: string): Promise<readonly string[]> {
  try {
    return await readdir(path)
  } catch (error) {
    if (systemCode(error) === "ENOENT") return []
    throw error
  }
}

function readerOf(path: string): FolderReader {
  return {
    names: async () => namesIn(path),
    read: async (name) => readIfThere(join(path, name)),
  }
}

/** What is wrong with the database, in words; undefined where nothing is. Refused: `newer-format`. */
export async function databaseFault(data: string): Promise<string | undefined> {
  const path = join(data, "records")
  const files = {
    folder: readerOf(path),
    format: await readIfThere(join(data, "format")),
    mark: await readIfThere(`${path}.mark`),
  }
  try {
    await judgeStore(files, sha256, Number.MAX_SAFE_INTEGER)
    return undefined
  } catch (error) {
    if (error instanceof ChappeError && error.code === "damaged") return error.message
    throw error
  }
}

/** Whether every change that was written can be read: only what stands beside the database is damaged. */
export async function isDatabaseWhole(data: string): Promise<boolean> {
  const folder = readerOf(join(data, "records"))
  const { findings, isEmpty } = await checkLevel(folder, Number.MAX_SAFE_INTEGER)
  return findings.length === 0 && !isEmpty
}

/** Writes mark and format anew for a database that is whole in itself. */
export async function renewMark(data: string): Promise<void> {
  const path = join(data, "records")
  const { lastSequence } = await checkLevel(readerOf(path), 0)
  await writeSynced(`${path}.mark`, encodeMark(sha256, lastSequence))
  await writeSynced(join(data, "format"), encodeFormat())
}

/** A new database from what can be read; the old one is moved to `aside`. The number of records kept. */
export async function rebuildDatabase(data: string, aside: string): Promise<number> {
  const path = join(data, "records")
  const mended = `${path}.mended`
  // What an earlier attempt left unfinished.
  await rm(mended, { recursive: true, force: true })
  await mkdir(mended, { recursive: true, mode: 0o700 })
  const view = { keyEncoding: "view", valueEncoding: "view" } as const
  const database = new Level<Uint8Array, Uint8Array>(mended, view)
  let kept = 0
  await database.open()
  try {
    let batch: { readonly type: "put"; readonly key: Uint8Array; readonly value: Uint8Array }[] = []
    for await (const { key, value } of salvageLevel(readerOf(path))) {
      kept += 1
      batch.push({ type: "put", key, value })
      if (batch.length < cliLimits.repairBatch) continue
      await database.batch(batch, { sync: true })
      batch = []
    }
    if (batch.length > 0) await database.batch(batch, { sync: true })
  } finally {
    await database.close()
  }
  await syncFolder(mended)
  await moveAside(path, aside)
  await rename(mended, path)
  await syncFolder(data)
  await renewMark(data)
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

async function writeSynced(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(`${path}.new`, "w", 0o600)
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(`${path}.new`, path)
  await syncFolder(dirname(path))
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r")
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
