// `chappe audit verify`: both logs of a relay, from its URL or a copied directory, with nothing but a
// trust file, and against the state that an earlier audit left. docs/PROTOCOL.md, "Auditing".

import { crypto as fastCrypto } from "../keys/crypto.ts"
import { equalBytes, fromUtf8, toBase64, utf8 } from "../protocol/bytes.ts"
import { openCheckpoint } from "../protocol/checkpoint.ts"
import { ChappeError } from "../protocol/errors.ts"
import { encodeForkFile } from "../protocol/fork-file.ts"
import { consistencyPathFromTiles, rootFromTiles } from "../protocol/tile-proofs.ts"
import { encodeTile } from "../protocol/tiles.ts"
import { isQuorum, cosigners, parsePolicy } from "../protocol/tlog-policy.ts"
import type { TrustAnchor } from "../protocol/roster.ts"
import { limits } from "../protocol/limits.ts"
import { parseVerifierKey } from "../protocol/verifier-key.ts"
import type { AuditState, LogState } from "./audit-state.ts"
import { type AuditedDirectory, auditDirectory } from "./directory-audit.ts"
import { doubleChecked } from "./double-check.ts"
import type { Finding, Report } from "./finding.ts"
import { checkLogFiles, readTreeEdge } from "./log-files.ts"
import type { LogSource } from "./log-source.ts"
import { readItems } from "./log-tiles.ts"
import { TrafficAudit } from "./traffic-audit.ts"

export type RelayAudit = {
  /** The log below this prefix of the relay: `directory`, `traffic/2027`. */
  readonly sourceOf: (prefix: string) => LogSource
  readonly anchor: TrustAnchor
  readonly since: AuditState
  /** Of 256 signed entries, how many are verified by points too. */
  readonly sample: number
  /** Seconds since 1970 for a live relay, whose heads must be fresh; undefined for a copy. */
  readonly liveAt: number | undefined
  readonly onFinding: Report
  readonly onProgress: (origin: string, done: number, size: number) => void
}

export type AuditedLog = {
  readonly origin: string
  readonly size: number
  readonly root: string
  readonly entries: number
  readonly signatures: number
  readonly sampled: number
  readonly consistentSince: number | null
  readonly cosigned: readonly string[]
  readonly newestCosignature: number | null
}

export type AuditReport = {
  readonly ok: boolean
  readonly relay: string
  readonly roster: number
  readonly quorum: "reached" | "none"
  readonly logs: readonly AuditedLog[]
  readonly findings: readonly Finding[]
  readonly state: AuditState
  /** Two checkpoints that exclude each other, if the log was caught at that: `fork.chappe`. */
  readonly fork: Uint8Array | undefined
}

/**
 * Audits a relay. Findings are in the report, `ok` false; refused with `unverified` or `stale` when the
 * source cannot be read or judged, which says nothing against the relay.
 */
export async function auditRelay(audit: RelayAudit): Promise<AuditReport> {
  const run = new AuditRun(audit)
  try {
    return await run.whole()
  } catch (error) {
    if (!(error instanceof ChappeError)) throw error
    if (error.code === "unverified" || error.code === "stale") throw error
    return run.broken(error)
  }
}

class AuditRun {
  readonly #audit: RelayAudit
  readonly #findings: Finding[] = []
  readonly #logs: AuditedLog[] = []
  readonly #state: Map<string, LogState>
  #fork: Uint8Array | undefined
  #relay = ""
  #roster = 0
  #quorum: AuditReport["quorum"] = "none"
  #origin = "directory"

  constructor(audit: RelayAudit) {
    this.#audit = audit
    this.#state = new Map(audit.since)
  }

  readonly #report = (finding: Finding): void => {
    this.#findings.push(finding)
    this.#audit.onFinding(finding)
  }

  async whole(): Promise<AuditReport> {
    const known = await this.#directory()
    for (const { origin } of known.directory.station(this.#relay)?.logs ?? [])
      if (origin.startsWith(`${this.#relay}/traffic/`)) await this.#traffic(origin, known)
    return this.#result()
  }

  broken(error: ChappeError): AuditReport {
    this.#report({ code: error.code, origin: this.#origin, index: null, message: error.message })
    return this.#result()
  }

  #result(): AuditReport {
    return {
      ok: this.#findings.length === 0,
      relay: this.#relay,
      roster: this.#roster,
      quorum: this.#quorum,
      logs: this.#logs,
      findings: this.#findings,
      // A log that is not to be believed must not become what the next audit starts from.
      state: this.#findings.length === 0 ? this.#state : this.#audit.since,
      fork: this.#fork,
    }
  }

  async #directory(): Promise<AuditedDirectory> {
    const source = this.#audit.sourceOf("directory")
    const crypto = doubleChecked((key) =>
      this.#report({
        code: "tampering",
        origin: this.#origin,
        index: null,
        message: `the two verifiers differ about a signature by ${key}`,
      }),
    )
    const known = await auditDirectory({
      source,
      crypto,
      anchor: this.#audit.anchor,
      report: this.#report,
      onProgress: (done, size) => this.#audit.onProgress("directory", done, size),
    })
    const { origin, size } = known.checkpoint
    this.#origin = origin
    this.#relay = origin.slice(0, origin.indexOf("/"))
    this.#roster = known.directory.roster().number
    const since = this.#audit.since.get(origin)
    if (since !== undefined) await this.#demandConsistent(source, since, known.state, known.roots)
    this.#state.set(origin, known.state)
    this.#logs.push({
      ...this.#judgeHead(known, known.state),
      size,
      entries: size,
      signatures: known.statements,
      sampled: known.statements,
      consistentSince: since?.range.size ?? null,
    })
    return known
  }

  async #traffic(origin: string, known: AuditedDirectory): Promise<void> {
    this.#origin = origin
    const source = this.#audit.sourceOf(origin.slice(this.#relay.length + 1))
    const note = await source.read("checkpoint", limits.noteBytesMax)
    // A shard that was named beforehand and has not begun is no fault.
    if (note === undefined && this.#audit.since.get(origin) === undefined) return
    if (note === undefined) throw new ChappeError("rollback", `${origin} was there before`)
    const log = known.directory.log(origin)
    if (log === undefined) throw new ChappeError("note", `${origin} is not named`)
    const key = parseVerifierKey(known.directory.crypto, log.logVkey)
    const head = openCheckpoint(known.directory.crypto.verify, note, { log: key })
    const since = this.#audit.since.get(origin)
    if (since !== undefined)
      await this.#demandConsistent(source, since, {
        note: fromUtf8(note),
        root: head.root,
        range: { size: head.size },
      })
    const traffic = new TrafficAudit({
      origin,
      root: head.root,
      known,
      crypto: fastCrypto,
      sample: this.#audit.sample,
      since,
      report: this.#report,
    })
    const files = await checkLogFiles({
      source,
      sha256: fastCrypto.sha256,
      size: head.size,
      root: head.root,
      ...(since === undefined ? {} : { start: await readTreeEdge(source, since.range.size) }),
      onBundle: async (first, entries) => {
        entries.forEach((entry, i) => traffic.take(first + i, entry))
        this.#audit.onProgress(origin, first + entries.length, head.size)
        await Promise.resolve()
      },
    })
    const state: LogState = {
      origin,
      vkey: log.logVkey,
      note: fromUtf8(note),
      range: files.range,
      root: head.root,
      ...traffic.finish(),
    }
    this.#state.set(origin, state)
    this.#logs.push({
      ...this.#judgeHead(known, state),
      size: head.size,
      entries: traffic.entries,
      signatures: traffic.signatures,
      sampled: traffic.sampled,
      consistentSince: since?.range.size ?? null,
    })
  }

  /** Whether what is shown now continues what was seen before; if not, the proof is kept. */
  async #demandConsistent(
    source: LogSource,
    before: LogState,
    now: {
      readonly note: string
      readonly root: Uint8Array
      readonly range: { readonly size: number }
    },
    roots?: readonly Uint8Array[],
  ): Promise<void> {
    const { size } = before.range
    if (now.range.size < size)
      throw new ChappeError("rollback", `the log had ${size} entries and shows ${now.range.size}`)
    const tree = {
      sha256: fastCrypto.sha256,
      size: now.range.size,
      readTile: async (tile: Parameters<typeof readItems>[1]) =>
        encodeTile(await readItems(source, tile)),
    }
    const prefixRoot = roots?.[size] ?? (await rootFromTiles(tree, size))
    if (equalBytes(prefixRoot, before.root)) return
    this.#fork = encodeForkFile({
      small: utf8(before.note),
      large: utf8(now.note),
      prefixRoot,
      path: size === now.range.size ? [] : await consistencyPathFromTiles(tree, size),
    })
    throw new ChappeError("log-fork", `the first ${size} entries are not those seen before`)
  }

  /** Quorum and age of a log's head; a relay that is asked now must have signed lately. */
  #judgeHead(
    known: AuditedDirectory,
    state: LogState,
  ): Pick<AuditedLog, "origin" | "root" | "cosigned" | "newestCosignature"> {
    const { directory } = known
    const file = directory.policyFile("witnessPolicy")
    const policy = file === undefined ? undefined : parsePolicy(directory.crypto, file)
    const witnesses = policy?.witnesses.map(({ key }) => key) ?? []
    const key = parseVerifierKey(directory.crypto, state.vkey)
    const head = openCheckpoint(directory.crypto.verify, utf8(state.note), { log: key, witnesses })
    if (policy !== undefined && !isQuorum(policy, cosigners(policy, head)))
      throw new ChappeError("quorum", `${state.origin} lacks cosignatures at ${head.size}`)
    if (policy?.quorum !== undefined) this.#quorum = "reached"
    const times = head.cosignatures.map(({ time }) => time)
    const newest = times.length === 0 ? null : Math.max(...times)
    const { liveAt } = this.#audit
    if (liveAt !== undefined && newest !== null && newest + limits.checkpointAgeSecondsMax < liveAt)
      throw new ChappeError("stale", `${state.origin} was last cosigned ${liveAt - newest} s ago`)
    return {
      origin: state.origin,
      root: toBase64(state.root),
      cosigned: policy === undefined ? [] : [...cosigners(policy, head)],
      newestCosignature: newest,
    }
  }
}
