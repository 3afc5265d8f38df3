// `chappe audit verify`: both logs of a relay, from its URL or a copied directory, with nothing but a
// trust file, and against the state that an earlier audit left. docs/PROTOCOL.md, "Auditing".

import { openAcceptance } from "../keys/accepted-entry.ts"
import { equalBytes, fromUtf8, toBase64, toHex, utf8 } from "../protocol/bytes.ts"
import { type OpenedCheckpoint, openCheckpoint } from "../protocol/checkpoint.ts"
import type { Crypto } from "../protocol/crypto-ports.ts"
import type { Directory } from "../protocol/directory.ts"
import { ChappeError, type ErrorCode } from "../protocol/errors.ts"
import { limits } from "../protocol/limits.ts"
import { deadlineOf, parsePromiseText } from "../protocol/promise.ts"
import type { TrustAnchor } from "../protocol/roster.ts"
import { parseNote } from "../protocol/signed-note.ts"
import { leafHashFromTiles } from "../protocol/tile-proofs.ts"
import { type TreeEdge, edgeRoot, emptyEdge } from "../protocol/tile-writer.ts"
import { parseTilePath } from "../protocol/tiles.ts"
import { type Policy, cosigners, isQuorum, parsePolicy } from "../protocol/tlog-policy.ts"
import { leafHash } from "../protocol/tree.ts"
import { type VerifierKey, parseVerifierKey } from "../protocol/verifier-key.ts"
import type { AuditState, LogState } from "./audit-state.ts"
import { type AuditedDirectory, type Claim, auditDirectory, readClaim } from "./directory-audit.ts"
import { type Verifiers, doubleChecked } from "./double-check.ts"
import type { Finding, Report } from "./finding.ts"
import { auditLimits } from "./limits.ts"
import { checkLogFiles, checkStrayTiles, firstBundleEntry, readTreeEdge } from "./log-files.ts"
import { LogFork, demandContinued, tileReader } from "./log-fork.ts"
import type { LogSource } from "./log-source.ts"
import { type HandedIn, judgePromise } from "./promise-audit.ts"
import { TrafficAudit } from "./traffic-audit.ts"

export type RelayAudit = {
  /** The log below this prefix of the relay: `directory`, `traffic/2027`. */
  readonly sourceOf: (prefix: string) => LogSource
  /** Whose logs these must be; undefined to take them for what they say. */
  readonly relay: string | undefined
  readonly anchor: TrustAnchor
  readonly since: AuditState
  /** Of 256 signed entries, how many are verified by points too. */
  readonly sample: number
  /** Seconds since 1970 for a live relay, whose heads must be fresh; undefined for a copy. */
  readonly liveAt: number | undefined
  /** Promises that others hold, to be checked against this relay's logs. */
  readonly handedIn: readonly HandedIn[]
  readonly verifiers: Verifiers
  readonly onFinding: (finding: Finding) => void
  readonly onProgress: (origin: string, done: number, size: number) => void
  readonly onLog: (log: AuditedLog) => void
}

/** `reached`: by the policy that the roster names; `none`: it asks for none; `missing`: too few cosigned. */
export type Quorum = "reached" | "none" | "missing"

/** `entries`: read now. `cosigned`: names; `newestCosignature` in seconds since 1970. */
export type AuditedLog = {
  readonly origin: string
  readonly size: number
  readonly root: string
  readonly entries: number
  readonly prunedEntries: number
  readonly signatures: number
  readonly sampled: number
  readonly consistentSince: number | null
  readonly quorum: Quorum
  readonly cosigned: readonly string[]
  readonly newestCosignature: number | null
}

/** What could not be checked; it says nothing against the relay. */
export type Doubt = { readonly code: ErrorCode; readonly origin: string; readonly message: string }

export type PromiseCount = { readonly kept: number; readonly pending: number }

export type AuditReport = {
  readonly verdict: "ok" | "tampering" | "unverified"
  readonly relay: string
  readonly roster: number
  readonly quorum: Quorum
  readonly logs: readonly AuditedLog[]
  /** Logs that the relay's root has named and that are not there: not begun yet. */
  readonly absent: readonly string[]
  readonly promises: PromiseCount
  /** The first ones; `findingCount` counts all. */
  readonly findings: readonly Finding[]
  readonly findingCount: number
  readonly doubts: readonly Doubt[]
  /** For the next audit; unchanged unless the verdict is ok. */
  readonly state: AuditState
  /** Two heads that exclude each other, if a log was caught at that: `fork.chappe`. */
  readonly fork: Uint8Array | undefined
}

/** Never refused for what the source holds or lacks: that is in the report. */
export async function auditRelay(audit: RelayAudit): Promise<AuditReport> {
  const run = new AuditRun(audit)
  await run.whole()
  return run.result()
}

/** What is said against the source, not against the log. */
function isDoubt(code: ErrorCode): boolean {
  return code === "unverified" || code === "stale" || code === "quorum"
}

type TrafficHead = { readonly origin: string; readonly note: Uint8Array | undefined }

class AuditRun {
  readonly #audit: RelayAudit
  readonly #crypto: Crypto
  readonly #findings: Finding[] = []
  readonly #doubts: Doubt[] = []
  readonly #logs: AuditedLog[] = []
  readonly #absent: string[] = []
  readonly #state: Map<string, LogState>
  #findingCount = 0
  #fork: Uint8Array | undefined
  #relay = ""
  #roster = 0
  #quorum: Quorum = "none"
  #promises: PromiseCount = { kept: 0, pending: 0 }
  /** What is being judged: where a finding without an entry belongs. */
  #origin = "directory"

  constructor(audit: RelayAudit) {
    this.#audit = audit
    this.#state = new Map(audit.since)
    this.#crypto = doubleChecked(audit.verifiers, (key) =>
      this.#report(
        new ChappeError("tampering", `the two verifiers differ about a signature by ${key}`),
        this.#origin,
        null,
      ),
    )
  }

  readonly #report: Report = (error, origin, index) => {
    const { code, message } = error
    if (isDoubt(code)) {
      this.#doubts.push({ code, origin, message })
      return
    }
    if (error instanceof LogFork) this.#fork ??= error.file
    this.#findingCount += 1
    if (this.#findings.length >= auditLimits.findingsMax) return
    const finding = { code, origin, index, message }
    this.#findings.push(finding)
    this.#audit.onFinding(finding)
  }

  /** A log that cannot be believed as a whole does not keep the others from being judged. */
  async #attempt<T>(origin: string, work: () => Promise<T>): Promise<T | undefined> {
    this.#origin = origin
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof ChappeError)) throw error
      this.#report(error, this.#origin, null)
      return undefined
    }
  }

  async whole(): Promise<void> {
    const { sourceOf } = this.#audit
    const source = sourceOf("directory")
    const isLive = this.#audit.liveAt !== undefined
    const known = await this.#attempt("directory", async () => {
      const first = await this.#directory(await readClaim(source, isLive))
      // The directory log may grow while it is read. Traffic heads are read first, then it once more:
      // so it reaches as far as anything that they lead to.
      const traffic = await this.#trafficHeads(first.known)
      const claim = await readClaim(source, isLive)
      const isSame = claim.size === first.known.state.range.size
      const last = isSame ? first : await this.#directory(claim)
      for (const [error, origin, index] of last.reports) this.#report(error, origin, index)
      return { ...last.known, traffic }
    })
    if (known === undefined) return
    await this.#attempt(known.state.origin, () => this.#concludeDirectory(source, known))
    for (const { origin, note } of known.traffic)
      await this.#attempt(origin, () => this.#traffic(origin, note, known))
    await this.#attempt(known.state.origin, () => this.#heads(known))
    for (const item of this.#audit.handedIn)
      await this.#attempt("handed in", () => this.#promise(item, known))
  }

  result(): AuditReport {
    const isUnverified = this.#doubts.length > 0 ? "unverified" : "ok"
    const verdict = this.#findingCount > 0 ? "tampering" : isUnverified
    return {
      verdict,
      relay: this.#relay,
      roster: this.#roster,
      quorum: this.#quorum,
      logs: this.#logs,
      absent: this.#absent,
      promises: this.#promises,
      findings: this.#findings,
      findingCount: this.#findingCount,
      doubts: this.#doubts,
      // A log that is not to be believed must not become what the next audit starts from.
      state: verdict === "ok" ? this.#state : this.#audit.since,
      fork: this.#fork,
    }
  }

  // ---- The directory log

  /** Its findings are held back: it may be read once more. */
  async #directory(claim: Claim): Promise<{
    readonly known: AuditedDirectory
    readonly reports: readonly Parameters<Report>[]
  }> {
    const { origin } = claim
    this.#origin = origin
    this.#relay = origin.slice(0, Math.max(0, origin.indexOf("/")))
    const { relay, anchor, sourceOf } = this.#audit
    if (relay !== undefined && relay !== this.#relay)
      throw new ChappeError("note", `this is the log ${origin}, not one of ${relay}`)
    const source = sourceOf("directory")
    const since = this.#audit.since.get(origin)
    if (since !== undefined) await this.#demandContinued(source, claim, since)
    const reports: Parameters<Report>[] = []
    const known = await auditDirectory({
      source,
      claim,
      crypto: this.#crypto,
      anchor,
      report: (...report) => reports.push(report),
      onProgress: this.#audit.onProgress,
    })
    return { known, reports }
  }

  async #concludeDirectory(source: LogSource, known: AuditedDirectory): Promise<void> {
    const { state, statements } = known
    const { size } = state.range
    this.#roster = known.directory.roster().number
    await this.#strays(source, size, 0)
    const since = this.#audit.since.get(state.origin)
    const seen = since === undefined ? undefined : known.roots[since.range.size]
    if (since !== undefined && (seen === undefined || !equalBytes(seen, since.root)))
      throw new ChappeError("log-file", "the source shows other tiles each time")
    this.#conclude(known, state, {
      entries: size,
      prunedEntries: 0,
      signatures: statements,
      sampled: statements,
    })
  }

  // ---- Traffic logs

  async #trafficHeads(known: AuditedDirectory): Promise<readonly TrafficHead[]> {
    const named = known.directory.station(this.#relay)?.logs.map(({ origin }) => origin) ?? []
    const prefix = `${this.#relay}/traffic/`
    const heads: TrafficHead[] = []
    for (const origin of new Set(named.filter((one) => one.startsWith(prefix))))
      heads.push({
        origin,
        note: await this.#sourceOf(origin).read("checkpoint", limits.noteBytesMax),
      })
    return heads
  }

  #sourceOf(origin: string): LogSource {
    return this.#audit.sourceOf(origin.slice(this.#relay.length + 1))
  }

  async #traffic(
    origin: string,
    note: Uint8Array | undefined,
    known: AuditedDirectory,
  ): Promise<void> {
    const since = this.#audit.since.get(origin)
    if (note === undefined) {
      // A shard that was named beforehand and has not begun is no fault.
      if (since === undefined) this.#absent.push(origin)
      else throw new ChappeError("rollback", `${origin} was there before`)
      return
    }
    const head = this.#openHead(known.directory, origin, note)
    const source = this.#sourceOf(origin)
    const { fast } = this.#audit.verifiers
    if (since !== undefined) await this.#demandContinued(source, { ...head, note }, since)
    const start = await this.#startOf(source, since, head.size)
    const minimumIndex = await firstBundleEntry(source, head.size, start.size)
    const judgedTo = since?.range.size ?? 0
    const traffic = new TrafficAudit({
      origin,
      root: head.root,
      known,
      heads: known.heads,
      verifiers: this.#audit.verifiers,
      sample: this.#audit.sample,
      since,
      startsLate: minimumIndex > judgedTo,
      report: this.#report,
    })
    const files = await checkLogFiles({
      source,
      sha256: fast.sha256,
      size: head.size,
      root: head.root,
      minimumIndex,
      start,
      onBundle: async (first, entries) => {
        entries.forEach((entry, i) => {
          if (first + i < judgedTo) traffic.recall(entry)
          else traffic.take(first + i, entry)
        })
        this.#audit.onProgress(origin, first + entries.length, head.size)
        await Promise.resolve()
      },
    })
    if (minimumIndex > start.size && traffic.prunedTo < minimumIndex)
      throw new ChappeError(
        "log-file",
        `bundles before entry ${minimumIndex} are missing, and no retention entry allows it`,
      )
    await this.#strays(source, head.size, minimumIndex)
    const state: LogState = {
      origin,
      vkey: head.vkey,
      note: fromUtf8(note),
      range: files.range,
      root: head.root,
      ...traffic.finish(this.#audit.liveAt ?? 0),
    }
    this.#conclude(known, state, {
      entries: traffic.entries,
      prunedEntries: files.prunedEntries,
      signatures: traffic.signatures,
      sampled: traffic.sampled,
    })
  }

  /**
   * Where reading begins. From a live relay only what is new is fetched; a copy lies at hand, so all of its
   * files are hashed again, though its entries are judged only once.
   */
  async #startOf(source: LogSource, since: LogState | undefined, size: number): Promise<TreeEdge> {
    if (since === undefined || this.#audit.liveAt === undefined) return emptyEdge
    const start = await readTreeEdge(source, since.range.size, size)
    if (!equalBytes(edgeRoot(this.#crypto.sha256, start), since.root))
      throw new ChappeError("log-file", "the source shows other tiles each time")
    return start
  }

  #openHead(
    directory: Directory,
    origin: string,
    note: Uint8Array,
  ): OpenedCheckpoint & { readonly vkey: string } {
    const log = directory.log(origin)
    if (log === undefined) throw new ChappeError("note", `no relay has named ${origin}`)
    const key = parseVerifierKey(this.#crypto, log.logVkey)
    return { ...openCheckpoint(this.#crypto.verify, note, { log: key }), vkey: log.logVkey }
  }

  // ---- Both

  /** Before anything else: what is shown now must continue what was seen before. */
  async #demandContinued(
    source: LogSource,
    shown: Pick<Claim, "size" | "root" | "note">,
    since: LogState,
  ): Promise<void> {
    const { size, root, note } = shown
    const key = parseVerifierKey(this.#crypto, since.vkey)
    await demandContinued(
      this.#crypto,
      { size, root, note, readTile: tileReader(source) },
      { size: since.range.size, root: since.root, note: utf8(since.note), key },
    )
  }

  /** Partial tiles of earlier sizes lie about in a copy; they must tell the same history. */
  async #strays(source: LogSource, size: number, minimumIndex: number): Promise<void> {
    const paths = await source.tilePaths()
    // What is no tile at all is nothing that anybody reads: a file that a live relay is just writing.
    const tiles = paths?.filter((path) => isTilePath(path))
    if (tiles !== undefined) await checkStrayTiles({ source, size, minimumIndex }, tiles)
  }

  #conclude(
    known: AuditedDirectory,
    state: LogState,
    counts: Pick<AuditedLog, "entries" | "prunedEntries" | "signatures" | "sampled">,
  ): void {
    const { origin } = state
    this.#state.set(origin, state)
    const judged = this.#judgeCosignatures(known.directory, state)
    if (judged.quorum === "missing")
      this.#report(
        new ChappeError("quorum", `${origin} lacks cosignatures at size ${state.range.size}`),
        origin,
        null,
      )
    if (this.#quorum !== "missing") this.#quorum = judged.quorum
    const log: AuditedLog = {
      origin,
      size: state.range.size,
      root: toBase64(state.root),
      ...counts,
      consistentSince: this.#audit.since.get(origin)?.range.size ?? null,
      ...judged,
    }
    this.#logs.push(log)
    this.#audit.onLog(log)
  }

  /** Who cosigned a log's head, whether they suffice, and whether a live relay shows it lately enough. */
  #judgeCosignatures(
    directory: Directory,
    state: LogState,
  ): Pick<AuditedLog, "quorum" | "cosigned" | "newestCosignature"> {
    const policy = this.#policy(directory, state.origin)
    const named = [...(policy?.witnesses ?? []), ...memberWitnesses(this.#crypto, directory)]
    const witnesses = named.filter(
      ({ key }, i) =>
        named.findIndex((one) => toHex(one.key.publicKey) === toHex(key.publicKey)) === i,
    )
    const log = parseVerifierKey(this.#crypto, state.vkey)
    const keys = { log, witnesses: witnesses.map(({ key }) => key) }
    const head = openCheckpoint(this.#crypto.verify, utf8(state.note), keys)
    const cosigned = witnesses
      .filter(({ key }) => head.cosignatures.some((one) => one.key === key))
      .map(({ name }) => name)
    const times = head.cosignatures.map(({ time }) => time)
    const newestCosignature = times.length === 0 ? null : Math.max(...times)
    if (policy === undefined) return { quorum: "missing", cosigned, newestCosignature }
    if (policy.quorum === undefined) return { quorum: "none", cosigned, newestCosignature }
    const since = quorumTime(policy, head)
    if (since === undefined) return { quorum: "missing", cosigned, newestCosignature }
    const { liveAt } = this.#audit
    if (liveAt !== undefined && since + limits.checkpointAgeSecondsMax < liveAt)
      this.#report(
        new ChappeError("stale", `${state.origin} was last cosigned ${liveAt - since} s ago`),
        state.origin,
        null,
      )
    return { quorum: "reached", cosigned, newestCosignature }
  }

  #policy(directory: Directory, origin: string): Policy | undefined {
    const file = directory.policyFile("witnessPolicy")
    if (file !== undefined) return parsePolicy(this.#crypto, file)
    this.#report(
      new ChappeError("unverified", "the log does not hold the witness policy of its roster"),
      origin,
      null,
    )
    return undefined
  }

  /** What entries show of this relay's own logs must be what the logs are; others may have larger ones. */
  async #heads(known: AuditedDirectory): Promise<void> {
    for (const { origin } of known.directory.station(this.#relay)?.logs ?? []) {
      const shown = this.#logs.find((log) => log.origin === origin)
      const state = this.#state.get(origin)
      if (shown === undefined || state === undefined) continue
      const readTile = tileReader(this.#sourceOf(origin))
      const { root } = state
      for (const head of known.heads.of(origin)) {
        if (head.size < (shown.consistentSince ?? 0)) continue
        const note = utf8(state.note)
        const now = { size: shown.size, root, note, readTile }
        if (head.size > shown.size && (await this.#hasGrown(known.directory, head))) continue
        await this.#attempt(origin, () => demandContinued(this.#crypto, now, head))
      }
    }
    for (const [origin, { range, root, note, vkey }] of this.#audit.since) {
      const head = known.heads.of(origin).find(({ size }) => size === range.size)
      if (head === undefined || this.#logs.some((log) => log.origin === origin)) continue
      const key = parseVerifierKey(this.#crypto, vkey)
      const before = { size: range.size, root, note: utf8(note), key }
      const readTile = tileReader(this.#sourceOf(origin))
      await this.#attempt(origin, () =>
        demandContinued(this.#crypto, { ...head, readTile }, before),
      )
    }
    for (const origin of this.#absent)
      if (known.heads.of(origin).some(({ size }) => size > 0))
        this.#report(new ChappeError("rollback", `${origin} is not there any more`), origin, null)
  }

  /** A live log may have grown since its head was read: it must reach this one by now. */
  async #hasGrown(
    directory: Directory,
    { origin, size }: { readonly origin: string; readonly size: number },
  ): Promise<boolean> {
    const note = await this.#sourceOf(origin).read("checkpoint", limits.noteBytesMax)
    return note !== undefined && this.#openHead(directory, origin, note).size >= size
  }

  /** A promise of one of this relay's logs; others are passed over. */
  async #promise({ acceptance, subject }: HandedIn, known: AuditedDirectory): Promise<void> {
    const promise = parsePromiseText(parseNote(utf8(acceptance.promise)).text)
    const log = this.#logs.find(({ origin }) => origin === promise.origin)
    if (log === undefined) return
    const { index } = openAcceptance(known.directory, acceptance, subject)
    const { sha256 } = this.#crypto
    this.#origin = promise.origin
    const tree = { sha256, size: log.size, readTile: tileReader(this.#sourceOf(promise.origin)) }
    const verdict = judgePromise(
      { index, leaf: leafHash(sha256, acceptance.entry), deadline: deadlineOf(promise) },
      {
        size: log.size,
        leaf: index < log.size ? await leafHashFromTiles(tree, index) : undefined,
        cosignedAt: log.newestCosignature,
      },
    )
    const { kept, pending } = this.#promises
    switch (verdict.kind) {
      case "kept":
        this.#promises = { kept: kept + 1, pending }
        break
      case "pending":
        this.#promises = { kept, pending: pending + 1 }
        break
      case "broken":
        this.#report(
          new ChappeError("proof", `a promise is broken: ${verdict.why}`),
          promise.origin,
          index,
        )
        break
    }
  }
}

function isTilePath(path: string): boolean {
  try {
    parseTilePath(path)
    return true
  } catch (error) {
    if (error instanceof ChappeError) return false
    throw error
  }
}

type Witness = { readonly name: string; readonly key: VerifierKey }

/** The members' own witness keys: without a policy their lines are reported, and decide nothing. */
function memberWitnesses(crypto: Crypto, directory: Directory): readonly Witness[] {
  return directory.activeMembers().flatMap(({ node }) => {
    const newest = directory.station(node)?.witnesses.at(-1)
    return newest === undefined ? [] : [{ name: node, key: parseVerifierKey(crypto, newest.vkey) }]
  })
}

/**
 * The latest time at which a quorum had cosigned; undefined without one. Not simply the newest
 * cosignature: one witness that is ahead of time must not make an old view look fresh.
 */
function quorumTime(policy: Policy, head: OpenedCheckpoint): number | undefined {
  const newestFirst = head.cosignatures.toSorted((a, b) => b.time - a.time)
  for (const [i, { time }] of newestFirst.entries()) {
    const cosignatures = newestFirst.slice(0, i + 1)
    if (isQuorum(policy, cosigners(policy, { ...head, cosignatures }))) return time
  }
  return undefined
}
