// Reading on in a relay's directory log: raw entries from any source count only when they fold into the
// root of a signed head. docs/PROTOCOL.md, "Following a directory".

import { equalBytes } from "./bytes.ts"
import type { Sha256 } from "./crypto-ports.ts"
import type { StatementKind } from "./directory.ts"
import { type LogEntry, decodeEntry } from "./entry.ts"
import { ChappeError } from "./errors.ts"
import { type TreeRange, appendToRange, leafHash, rangeRoot } from "./tree.ts"

/** A statement and its place in the log. */
export type LoggedStatement = {
  readonly index: number
  readonly kind: StatementKind
  readonly statement: Uint8Array
}

export type DirectoryTail = {
  readonly range: TreeRange
  readonly statements: readonly LoggedStatement[]
}

/**
 * Reads from `held.size` to `head.size`. `head` must come from a checkpoint whose signature holds.
 * `fetch` gives entries from an index on, at least one. Refused: `rollback` for a head below what is
 * held, `log-fork` for entries that give another root, `entry-layout`, `log-file` for missing entries.
 */
export async function readDirectoryTail(options: {
  readonly sha256: Sha256
  readonly held: TreeRange
  readonly head: { readonly size: number; readonly root: Uint8Array }
  readonly fetch: (from: number) => Promise<readonly Uint8Array[]>
}): Promise<DirectoryTail> {
  const { sha256, held, head } = options
  if (head.size < held.size)
    throw new ChappeError("rollback", `a directory log fell from ${held.size} to ${head.size}`)
  const statements: LoggedStatement[] = []
  let range = held
  while (range.size < head.size) {
    const entries = await options.fetch(range.size)
    if (entries.length === 0)
      throw new ChappeError("log-file", `the directory log has no entry ${range.size}`)
    for (const bytes of entries.slice(0, head.size - range.size)) {
      const statement = statementOf(decodeEntry(bytes), range.size)
      if (statement !== undefined) statements.push(statement)
      range = appendToRange(sha256, range, leafHash(sha256, bytes))
    }
  }
  if (!equalBytes(rangeRoot(sha256, range), head.root))
    throw new ChappeError("log-fork", `the directory log has another root at ${head.size}`)
  return { range, statements }
}

/** The statement that an entry of a directory log holds; none in heads of other logs. */
export function statementOf(entry: LogEntry, index: number): LoggedStatement | undefined {
  switch (entry.kind) {
    case "roster":
    case "chain":
      return { index, kind: entry.kind, statement: entry.body }
    case "witness-policy":
    case "retention-policy":
    case "delivery-policy":
      return { index, kind: "policy", statement: entry.body }
    case "envelope":
    case "receipts":
    case "relay-receipts":
    case "journal":
    case "head":
    case "shard":
    case "access":
    case "retention":
    case "erasure":
      return undefined
  }
}
