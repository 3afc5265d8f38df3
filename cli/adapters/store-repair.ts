// Repair of a stopped node's or relay's data folder: what can be read goes into a new database, what was
// there before is moved aside and stays. docs/operator.md, "Damage".

import { createHash } from "node:crypto"
import { createReadStream } from "node:fs"
import { mkdir, rename, rm } from "node:fs/promises"
import { basename, dirname, join } from "node:path"
import { pipeline } from "node:stream/promises"
import { Level } from "level"
import { folderReader, namesIn, syncFolder } from "../../store/durable-files.ts"
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

/** Writes mark and format anew for a database that is whole in itself. */
export async function mendMark(data: string): Promise<void> {
  const path = databaseOf(data)
  const { lastSequence } = await checkLevel(folderReader(path), 0)
  await renewMark(path, lastSequence)
}

/** A new database from what can be read; the old one is moved to `aside`. The number of records kept. */
export async function rebuildDatabase(data: string, aside: string): Promise<number> {
  const path = databaseOf(data)
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
    for await (const { key, value } of salvageLevel(folderReader(path))) {
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
