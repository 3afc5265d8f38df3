// What an auditor remembers of a log: the last checkpoint it saw, where the tree stood, and which
// sequence numbers were used. docs/PROTOCOL.md, "Auditing".

import { fromBase64, fromHex, toBase64, toHex } from "../protocol/bytes.ts"
import { ChappeError } from "../protocol/errors.ts"
import { type TreeRange, isRange } from "../protocol/tree.ts"

/** Numbers of one key in one log: all up to `allUpTo`, and those later ones with their entry's time. */
export type SeqRecord = { allUpTo: number; readonly later: Map<number, number> }

export type LogState = {
  readonly origin: string
  readonly vkey: string
  readonly note: string
  readonly range: TreeRange
  readonly root: Uint8Array
  readonly seqs: ReadonlyMap<string, SeqRecord>
  readonly lastTime: number
  readonly directorySize: number
}

/** By origin. */
export type AuditState = ReadonlyMap<string, LogState>

const version = 1

export function formatAuditState(state: AuditState): string {
  const logs = [...state.values()].map((log) => ({
    origin: log.origin,
    vkey: log.vkey,
    note: log.note,
    size: log.range.size,
    root: toBase64(log.root),
    range: log.range.roots.map(toBase64),
    seqs: Object.fromEntries(
      [...log.seqs].map(([key, { allUpTo, later }]) => [key, [allUpTo, [...later]]]),
    ),
    lastTime: log.lastTime,
    directorySize: log.directorySize,
  }))
  return `${JSON.stringify({ version, logs }, null, 1)}\n`
}

function refuse(why: string): never {
  throw new ChappeError("config", `audit state: ${why}`)
}

type Json = Readonly<Record<string, unknown>>

function objectOf(found: unknown): Json {
  if (typeof found !== "object" || found === null || Array.isArray(found)) refuse("not an object")
  return { ...found }
}

function listOf(found: unknown): readonly unknown[] {
  return Array.isArray(found) ? found : refuse("not a list")
}

function textOf(found: unknown): string {
  return typeof found === "string" ? found : refuse("not text")
}

function countOf(found: unknown): number {
  return typeof found === "number" && Number.isSafeInteger(found) && found >= 0
    ? found
    : refuse("not a count")
}

function seqsOf(found: unknown): ReadonlyMap<string, SeqRecord> {
  return new Map(
    Object.entries(objectOf(found)).map(([key, item]) => {
      const [allUpTo, later] = listOf(item)
      const pairs = listOf(later).map((pair): [number, number] => {
        const [seq, time] = listOf(pair)
        return [countOf(seq), countOf(time)]
      })
      return [toHex(fromHex(key)), { allUpTo: countOf(allUpTo), later: new Map(pairs) }]
    }),
  )
}

function logOf(found: unknown): LogState {
  const log = objectOf(found)
  const range = {
    size: countOf(log["size"]),
    roots: listOf(log["range"]).map((root) => fromBase64(textOf(root))),
  }
  if (!isRange(range)) refuse("the range does not fit the size")
  return {
    origin: textOf(log["origin"]),
    vkey: textOf(log["vkey"]),
    note: textOf(log["note"]),
    range,
    root: fromBase64(textOf(log["root"])),
    seqs: seqsOf(log["seqs"]),
    lastTime: countOf(log["lastTime"]),
    directorySize: countOf(log["directorySize"]),
  }
}

/** Refused: `config`; an auditor who loses the state starts anew, and says so. */
export function parseAuditState(text: string): AuditState {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw new ChappeError("config", "audit state: not JSON", { cause })
  }
  const file = objectOf(json)
  if (file["version"] !== version) refuse(`its version is not ${version}`)
  return new Map(
    listOf(file["logs"])
      .map((log) => logOf(log))
      .map((log) => [log.origin, log]),
  )
}
