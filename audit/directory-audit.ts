// Auditing a directory log: every entry, every statement, every signature twice; the state of keys
// that results is what traffic entries are judged by. docs/PROTOCOL.md, "Auditing".

import { equalBytes, fromUtf8, toHex } from "../protocol/bytes.ts"
import { type Checkpoint, openCheckpoint, parseCheckpointText } from "../protocol/checkpoint.ts"
import type { Crypto } from "../protocol/crypto-ports.ts"
import { Directory } from "../protocol/directory.ts"
import { type LoggedStatement, statementOf } from "../protocol/directory-tail.ts"
import { belongsTo, decodeEntry } from "../protocol/entry.ts"
import { ChappeError } from "../protocol/errors.ts"
import { keyId } from "../protocol/key-id.ts"
import { limits } from "../protocol/limits.ts"
import { decodeMultiSigned } from "../protocol/multi-signed.ts"
import { type TrustAnchor, decodeRoster } from "../protocol/roster.ts"
import { parseNote } from "../protocol/signed-note.ts"
import { type TreeRange, appendToRange, emptyRange, leafHash, rangeRoot } from "../protocol/tree.ts"
import { parseVerifierKey } from "../protocol/verifier-key.ts"
import type { LogState } from "./audit-state.ts"
import type { Report } from "./finding.ts"
import { checkLogFiles } from "./log-files.ts"
import type { LogSource } from "./log-source.ts"
import { ShownHeads } from "./shown-heads.ts"

export type AuditedDirectory = {
  readonly directory: Directory
  /** The tree's root at every size, from 0 on. */
  readonly roots: readonly Uint8Array[]
  readonly statements: number
  /** Heads of logs that its entries show. */
  readonly heads: ShownHeads
  /** Hex ids of the keys of all auditors that a roster has named. */
  readonly auditors: ReadonlySet<string>
  /** Where retention policies stand. */
  readonly retentionPolicies: ReadonlySet<number>
  readonly state: LogState
}

export type Claim = Checkpoint & { readonly note: Uint8Array }

/**
 * The log's checkpoint, unverified: which log is this? Refused: `note`; without any, `log-file` in a copy,
 * while a live relay may just have begun: `unverified`.
 */
export async function readClaim(source: LogSource, isLive: boolean): Promise<Claim> {
  const note = await source.read("checkpoint", limits.noteBytesMax)
  if (note === undefined)
    throw new ChappeError(isLive ? "unverified" : "log-file", "the checkpoint is missing")
  return { note, ...parseCheckpointText(parseNote(note).text) }
}

/** Refused when the log as a whole cannot be believed; what is wrong in single entries is reported. */
export async function auditDirectory(audit: {
  readonly source: LogSource
  readonly claim: Claim
  readonly crypto: Crypto
  readonly anchor: TrustAnchor
  readonly report: Report
  readonly onProgress: (origin: string, done: number, size: number) => void
}): Promise<AuditedDirectory> {
  const { source, crypto, claim } = audit
  const { origin, size } = claim
  const fold = new DirectoryFold(crypto, origin, audit.report)
  const files = await checkLogFiles({
    source,
    sha256: crypto.sha256,
    size,
    root: claim.root,
    onBundle: async (first, entries) => {
      entries.forEach((entry, i) => fold.take(first + i, entry))
      audit.onProgress(origin, first + entries.length, size)
      await Promise.resolve()
    },
  })
  const directory = fold.apply(audit.anchor)
  const log = directory.log(origin)
  if (log === undefined)
    throw new ChappeError("note", `${origin} is not a log that its relay's root has named`)
  const key = parseVerifierKey(crypto, log.logVkey)
  openCheckpoint(crypto.verify, claim.note, { log: key })
  return {
    directory,
    roots: fold.roots,
    statements: fold.statements,
    heads: fold.heads(directory),
    auditors: auditorKeys(crypto, directory),
    retentionPolicies: fold.retentionPolicies,
    state: {
      origin,
      vkey: log.logVkey,
      note: fromUtf8(claim.note),
      range: files.range,
      root: claim.root,
      seqs: new Map(),
      lastTime: fold.lastTime,
      directorySize: size,
      boundSize: size,
    },
  }
}

function auditorKeys({ sha256 }: Crypto, directory: Directory): ReadonlySet<string> {
  const rosters = directory.statements().filter(({ kind }) => kind === "roster")
  const auditors = rosters.flatMap(
    ({ statement }) => decodeRoster(decodeMultiSigned(statement).body).auditors,
  )
  return new Set(auditors.map(({ key }) => toHex(keyId(sha256, "auditor", key))))
}

/** Entries in their order: layout, time, and the statements and heads they hold. */
class DirectoryFold {
  readonly roots: Uint8Array[]
  readonly retentionPolicies = new Set<number>()
  lastTime = 0
  #range: TreeRange = emptyRange
  readonly #logged: LoggedStatement[] = []
  readonly #heads: { readonly index: number; readonly note: Uint8Array }[] = []
  readonly #crypto: Crypto
  readonly #origin: string
  readonly #report: Report

  constructor(crypto: Crypto, origin: string, report: Report) {
    this.#crypto = crypto
    this.#origin = origin
    this.#report = report
    this.roots = [rangeRoot(crypto.sha256, emptyRange)]
  }

  get statements(): number {
    return this.#logged.length
  }

  take(index: number, bytes: Uint8Array): void {
    const { sha256 } = this.#crypto
    this.#range = appendToRange(sha256, this.#range, leafHash(sha256, bytes))
    this.roots.push(rangeRoot(sha256, this.#range))
    this.#reported(index, () => {
      const entry = decodeEntry(bytes)
      if (!belongsTo(entry.kind, "directory"))
        throw new ChappeError("entry-layout", `${entry.kind} does not belong in a directory log`)
      if (entry.kind === "head") this.#heads.push({ index, note: entry.note })
      if (entry.kind === "retention-policy") this.retentionPolicies.add(index)
      const statement = statementOf(entry, index)
      if (statement !== undefined) this.#logged.push(statement)
      if (entry.time < this.lastTime) throw new ChappeError("entry-order", "time falls")
      this.lastTime = entry.time
    })
  }

  /** The directory that the statements give, each placed where it stands. */
  apply(anchor: TrustAnchor): Directory {
    const directory = new Directory(this.#crypto, anchor)
    const first = this.#logged.find(({ kind, statement }) => {
      const id = kind === "roster" ? idOf(directory, { kind, statement }) : undefined
      return id !== undefined && equalBytes(id, anchor.rosterId)
    })
    if (first === undefined)
      throw new ChappeError("roster", "the log does not hold the roster that the trust file names")
    directory.apply("roster", first.statement)
    const seen = new Set<string>()
    for (const { index, kind, statement } of this.#logged)
      this.#reported(index, () => {
        const id = directory.idOf(kind, statement)
        if (seen.has(toHex(id))) throw new ChappeError("statement", "a statement stands twice")
        seen.add(toHex(id))
        if (kind === "roster" && directory.isBeforeAnchor(statement)) return
        directory.apply(kind, statement)
        directory.place(this.#origin, index, id)
      })
    return directory
  }

  /** For after `apply`: the logs' keys are known. */
  heads(directory: Directory): ShownHeads {
    const heads = new ShownHeads(this.#crypto, directory)
    for (const { index, note } of this.#heads)
      this.#reported(index, () => {
        heads.take(note)
      })
    return heads
  }

  #reported(index: number, check: () => void): void {
    try {
      check()
    } catch (error) {
      if (!(error instanceof ChappeError)) throw error
      this.#report(error, this.#origin, index)
    }
  }
}

/** Undefined for bytes that are no statement at all: taking them in says so. */
function idOf(
  directory: Directory,
  { kind, statement }: Pick<LoggedStatement, "kind" | "statement">,
): Uint8Array | undefined {
  try {
    return directory.idOf(kind, statement)
  } catch (error) {
    if (error instanceof ChappeError) return undefined
    throw error
  }
}
