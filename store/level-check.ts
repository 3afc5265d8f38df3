// Whether a LevelDB folder holds everything that was written into it. Each block and log record has a sum;
// the MANIFEST names every table and its length; batches are numbered without a gap. What is missing at the
// very end shows against a number kept elsewhere, the mark.

import { fromUtf8 } from "../protocol/bytes.ts"
import { ChappeError } from "../protocol/errors.ts"
import type { CleanEnd } from "./clean-end.ts"
import {
  type LevelVersion,
  batchEntries,
  readBatchHeader,
  readLog,
  readTable,
  readVersion,
} from "./level-files.ts"

export interface FolderReader {
  /** Names of the files; none when there is no such folder. */
  names(): Promise<readonly string[]>
  /** Undefined when there is no such file. */
  read(name: string): Promise<Uint8Array | undefined>
}

export type LevelFinding = { readonly file: string; readonly says: string }

export type LevelReport = {
  readonly findings: readonly LevelFinding[]
  /** Of the last change that can be read. */
  readonly lastSequence: number
  /** Whether any record was ever written. */
  readonly isEmpty: boolean
}

type Name = { readonly name: string; readonly number: number; readonly sort: "log" | "table" }

const logForm = /^(?<number>[0-9]{6,})\.log$/u
const tableForm = /^(?<number>[0-9]{6,})\.(?:ldb|sst)$/u

function named(names: readonly string[], form: RegExp, sort: Name["sort"]): readonly Name[] {
  return names
    .flatMap((name) => {
      const number = form.exec(name)?.groups?.["number"]
      return number === undefined ? [] : [{ name, number: Number(number), sort }]
    })
    .toSorted((a, b) => a.number - b.number)
}

/** The version that CURRENT and MANIFEST name, or why there is none. */
async function readLevelVersion(
  folder: FolderReader,
): Promise<LevelVersion | LevelFinding | "none"> {
  const names = await folder.names()
  const current = await folder.read("CURRENT")
  if (current === undefined)
    return names.some((name) => name.startsWith("MANIFEST-"))
      ? { file: "CURRENT", says: "is missing" }
      : "none"
  const manifest = /^(MANIFEST-[0-9]{6,})\n$/u.exec(textOf(current))?.[1]
  if (manifest === undefined) return { file: "CURRENT", says: "names no MANIFEST" }
  const bytes = await folder.read(manifest)
  if (bytes === undefined) return { file: manifest, says: "is missing" }
  const { records, beyond, stoppedAt } = readLog(bytes)
  if (beyond.length > 0) return { file: manifest, says: `is damaged at ${stoppedAt ?? 0}` }
  const version = records.length === 0 ? undefined : readVersion(records)
  return version ?? { file: manifest, says: "has no readable list of tables" }
}

function textOf(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes)
  } catch {
    return ""
  }
}

/**
 * Looks at MANIFEST and logs, and at tables from the newest on until `tableBytesMax` were read. To be
 * called while nothing has the database open. `end`: how it was left, where it was closed.
 */
export async function checkLevel(
  folder: FolderReader,
  tableBytesMax: number,
  end?: CleanEnd,
): Promise<LevelReport> {
  const version = await readLevelVersion(folder)
  if (version === "none") return { findings: [], lastSequence: 0, isEmpty: true }
  if ("file" in version) {
    const names = await folder.names()
    const isEmpty = named(names, tableForm, "table").length === 0 && !(await hasBatches(folder))
    return { findings: [version], lastSequence: 0, isEmpty }
  }
  const tables = await checkTables(folder, version, tableBytesMax)
  const logs = await checkLogs(folder, version)
  return {
    findings: [...tables, ...logs.findings, ...(await checkEnd(folder, version, end))],
    lastSequence: logs.lastSequence,
    isEmpty: version.tables.size === 0 && logs.lastSequence === 0,
  }
}

async function hasBatches(folder: FolderReader): Promise<boolean> {
  for (const { name } of named(await folder.names(), logForm, "log")) {
    const { records, beyond } = readLog((await folder.read(name)) ?? new Uint8Array(0))
    if (records.length + beyond.length > 0) return true
  }
  return false
}

function tableName(number: number): string {
  return `${String(number).padStart(6, "0")}.ldb`
}

/** What is wrong with one table; undefined where nothing is. */
async function checkTable(
  folder: FolderReader,
  number: number,
  length: number,
): Promise<LevelFinding | undefined> {
  const file = tableName(number)
  const bytes = await folder.read(file)
  if (bytes === undefined) return { file, says: "is missing" }
  if (bytes.length !== length)
    return { file, says: `has ${bytes.length} bytes instead of ${length}` }
  const [fault] = readTable(bytes).faults
  return fault === undefined ? undefined : { file, says: `is damaged: ${fault}` }
}

async function checkTables(
  folder: FolderReader,
  { tables }: LevelVersion,
  bytesMax: number,
): Promise<readonly LevelFinding[]> {
  const names = new Set(await folder.names())
  const findings: LevelFinding[] = []
  let read = 0
  for (const [number, length] of [...tables].toSorted(([a], [b]) => b - a)) {
    const file = tableName(number)
    if (!names.has(file)) findings.push({ file, says: "is missing" })
    else if (read < bytesMax) {
      const finding = await checkTable(folder, number, length)
      if (finding !== undefined) findings.push(finding)
      read += length
    }
  }
  return findings
}

async function checkLogs(
  folder: FolderReader,
  version: LevelVersion,
): Promise<{ readonly findings: readonly LevelFinding[]; readonly lastSequence: number }> {
  const logs = named(await folder.names(), logForm, "log").filter(
    ({ number }) => number >= version.logNumber || number === version.prevLogNumber,
  )
  if (version.logNumber > 0 && !logs.some(({ number }) => number === version.logNumber)) {
    const file = logName(version.logNumber)
    return { findings: [{ file, says: "is missing" }], lastSequence: version.lastSequence }
  }
  const findings: LevelFinding[] = []
  const first = version.lastSequence + 1
  let next: number | undefined
  let isTorn = false
  for (const { name } of logs) {
    const { records, beyond, stoppedAt } = readLog((await folder.read(name)) ?? new Uint8Array(0))
    if (beyond.length > 0 || (isTorn && records.length > 0))
      findings.push({ file: name, says: `is damaged at ${stoppedAt ?? 0}` })
    isTorn ||= stoppedAt !== undefined
    for (const record of records) {
      const batch = readBatchHeader(record)
      const entries = [...batchEntries(record)].length
      if (batch === undefined || entries !== batch.count)
        findings.push({ file: name, says: "has a batch of no known form" })
      else if (next === undefined ? batch.sequence > first : batch.sequence !== next)
        findings.push({ file: name, says: `lacks changes from ${next ?? first} on` })
      if (batch !== undefined) next = batch.sequence + batch.count
    }
  }
  // Every change that the MANIFEST counts was synced before: what tables do not hold stands in these logs.
  // Where they hold none at all, nothing was written since the last table, as far as this can tell.
  const last = next === undefined ? version.lastSequence : next - 1
  const [{ name } = { name: "its log" }] = logs.slice(-1)
  if (findings.length === 0 && last < version.lastSequence)
    findings.push({
      file: name,
      says: `ends early: changes ${last + 1} to ${version.lastSequence} are missing`,
    })
  return { findings, lastSequence: Math.max(version.lastSequence, last) }
}

/** Whether the log is as long as it was when the database was closed. */
async function checkEnd(
  folder: FolderReader,
  { logNumber }: LevelVersion,
  end: CleanEnd | undefined,
): Promise<readonly LevelFinding[]> {
  // One of an earlier life says nothing any more.
  if (end === undefined || end.log < logNumber) return []
  const file = logName(end.log)
  const length = (await folder.read(file))?.length
  if (length === end.bytes) return []
  return [{ file, says: `has ${length ?? "no"} bytes instead of ${end.bytes}` }]
}

function logName(number: number): string {
  return `${String(number).padStart(6, "0")}.log`
}

/** The newest log, and how long it is; undefined where there is none. */
export async function endOf(folder: FolderReader): Promise<CleanEnd | undefined> {
  const [last] = named(await folder.names(), logForm, "log").slice(-1)
  const bytes = last && (await folder.read(last.name))
  return last && bytes && { log: last.number, bytes: bytes.length }
}

/**
 * Reads the tables of a database that is in use, one after another, and yields the bytes of each. What
 * was written meanwhile is no concern of this round. Refused: `damaged`.
 */
export async function* scrubLevel(folder: FolderReader): AsyncGenerator<number> {
  const began = await readLevelVersion(folder)
  if (began === "none") return
  if ("file" in began) throw new ChappeError("damaged", `${began.file} ${began.says}`)
  for (const [number, length] of began.tables) {
    const finding = await checkTable(folder, number, length)
    yield length
    if (finding === undefined) continue
    // It may have gone in between: compaction writes others in its place.
    const now = await readLevelVersion(folder)
    if (now !== "none" && !("file" in now) && !now.tables.has(number)) continue
    throw new ChappeError("damaged", `${finding.file} ${finding.says}`)
  }
}
