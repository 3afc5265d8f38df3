// What an auditor remembers of a log: the last checkpoint it saw, where the tree stood, and which
// sequence numbers were used. docs/PROTOCOL.md, "Auditing".

import { equalBytes, fromBase64, fromHex, toBase64, toHex, utf8 } from "../protocol/bytes.ts"
import { parseCheckpointText } from "../protocol/checkpoint.ts"
import type { Sha256 } from "../protocol/crypto-ports.ts"
import { ChappeError } from "../protocol/errors.ts"
import { withCode } from "../protocol/recode.ts"
import { parseNote } from "../protocol/signed-note.ts"
import { type TreeRange, isRange, rangeRoot } from "../protocol/tree.ts"

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
  /** The last one that an entry named, and the largest that a head has bound to a root. */
  readonly directorySize: number
  readonly boundSize: number
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
    boundSize: log.boundSize,
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
      const [first, later] = listOf(item)
      const allUpTo = countOf(first)
      const pairs = listOf(later).map((pair): [number, number] => {
        const [seq, time] = listOf(pair)
        // The next number would have been counted in.
        if (countOf(seq) <= allUpTo + 1) refuse("a sequence number does not stand where it belongs")
        return [countOf(seq), countOf(time)]
      })
      return [toHex(fromHex(key)), { allUpTo, later: new Map(pairs) }]
    }),
  )
}

function logOf(sha256: Sha256, found: unknown): LogState {
  const log = objectOf(found)
  const range = {
    size: countOf(log["size"]),
    roots: listOf(log["range"]).map((root) => fromBase64(textOf(root))),
  }
  const root = fromBase64(textOf(log["root"]))
  if (!isRange(range) || !equalBytes(rangeRoot(sha256, range), root))
    refuse("a range does not fit its size and root")
  const state: LogState = {
    origin: textOf(log["origin"]),
    vkey: textOf(log["vkey"]),
    note: textOf(log["note"]),
    range,
    root,
    seqs: seqsOf(log["seqs"]),
    lastTime: countOf(log["lastTime"]),
    directorySize: countOf(log["directorySize"]),
    boundSize: countOf(log["boundSize"]),
  }
  const head = parseCheckpointText(parseNote(utf8(state.note)).text)
  if (head.origin !== state.origin || head.size !== range.size || !equalBytes(head.root, root))
    refuse("a note is one of another head")
  return state
}

/** Refused: `config`; an auditor who loses the state starts anew, and says so. */
export function parseAuditState(sha256: Sha256, text: string): AuditState {
  return withCode("config", () => {
    const file = objectOf(parseJson(text))
    if (file["version"] !== version) refuse(`its version is not ${version}`)
    const logs = listOf(file["logs"]).map((log) => logOf(sha256, log))
    const state = new Map(logs.map((log) => [log.origin, log]))
    if (state.size !== logs.length) refuse("a log stands twice")
    return state
  })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new ChappeError("config", "audit state: not JSON", { cause })
  }
}
