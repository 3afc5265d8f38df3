// Auditing a traffic log: layout, order, sequence numbers, commitments, keys as of their place, and
// signatures, in bulk by the fast verifier and by points for a sample. docs/PROTOCOL.md, "Auditing".

import {
  type Auth,
  type BatchSigner,
  BatchVerifier,
  batchPae,
  batchRoot,
} from "../protocol/batch.ts"
import { concat, equalBytes, toHex, toName, u64 } from "../protocol/bytes.ts"
import {
  type LogEntry,
  type SignedEntry,
  belongsTo,
  decodeEntry,
  entryKinds,
  logStatementBody,
} from "../protocol/entry.ts"
import { ChappeError } from "../protocol/errors.ts"
import { isRelayName } from "../protocol/names.ts"
import { statementId } from "../protocol/pae.ts"
import type { LogState } from "./audit-state.ts"
import type { AuditedDirectory } from "./directory-audit.ts"
import type { Verifiers } from "./double-check.ts"
import type { Report } from "./finding.ts"
import { auditLimits } from "./limits.ts"
import { SeqLedger } from "./seq-ledger.ts"
import type { ShownHeads } from "./shown-heads.ts"

export type TrafficAuditOptions = {
  readonly origin: string
  /** Of the whole log: which entries are sampled depends on it, so that nobody knows beforehand. */
  readonly root: Uint8Array
  readonly known: AuditedDirectory
  /** Of logs that entries show, over both of the relay's logs. */
  readonly heads: ShownHeads
  readonly verifiers: Verifiers
  /** Of 256 signed entries, how many are verified by points too. */
  readonly sample: number
  readonly since: LogState | undefined
  /** Earlier entries were pruned: what they bound and counted is unknown. */
  readonly startsLate: boolean
  readonly report: Report
}

export class TrafficAudit {
  entries = 0
  signatures = 0
  sampled = 0
  /** Up to here kind 6 entries say that bundles go. */
  prunedTo = 0
  #lastTime: number
  /** Named by the last signed entry; undefined before the first of a log whose beginning was pruned. */
  #directorySize: number | undefined
  /** The largest size of the own directory that a head has bound to a root. */
  #boundSize: number
  readonly #seqs: SeqLedger
  readonly #commitments = new Set<string>()
  readonly #owners = new Map<string, string | undefined>()
  readonly #batches: BatchVerifier
  readonly #audit: TrafficAuditOptions
  readonly #relay: string

  constructor(audit: TrafficAuditOptions) {
    this.#audit = audit
    this.#relay = audit.origin.slice(0, audit.origin.indexOf("/"))
    this.#batches = new BatchVerifier(audit.verifiers.fast, auditLimits.batchesRemembered)
    const { since } = audit
    this.#lastTime = since?.lastTime ?? 0
    this.#directorySize = audit.startsLate ? undefined : (since?.directorySize ?? 0)
    this.#boundSize = since?.boundSize ?? 0
    this.#seqs = new SeqLedger(since?.seqs ?? new Map(), audit.startsLate)
  }

  /** One entry, in order. What is wrong with it is reported; the audit goes on. */
  take(index: number, bytes: Uint8Array): void {
    this.entries += 1
    this.#reported(index, () => {
      const entry = decodeEntry(bytes)
      if (!belongsTo(entry.kind, "traffic"))
        throw new ChappeError("entry-layout", `${entry.kind} does not belong in a traffic log`)
      this.#reported(index, () => this.#judgeTime(entry.time))
      this.#judge(index, entry)
    })
  }

  /** An entry that an earlier audit has judged: only what it says about bundles is needed again. */
  recall(bytes: Uint8Array): void {
    if (bytes[1] !== entryKinds.retention) return
    const entry = decodeEntry(bytes)
    if (entry.kind === "retention") this.prunedTo = Math.max(this.prunedTo, entry.to)
  }

  #judge(index: number, entry: LogEntry): void {
    switch (entry.kind) {
      case "envelope":
      case "receipts":
      case "relay-receipts":
      case "journal":
        this.#reported(index, () => this.#judgeDirectorySize(entry.directorySize))
        this.#reported(index, () => this.#judgeCommitment(entry.commit))
        this.#reported(index, () => this.#seqs.use(toHex(entry.keyId), entry.seq, entry.time))
        this.#judgeSignature(index, entry)
        break
      case "head":
        this.#judgeHead(entry.note)
        break
      case "shard":
        if (index > 0) throw new ChappeError("entry-order", "a shard begins with its kind 8 entry")
        this.#audit.heads.take(entry.note)
        break
      case "access":
        this.#demandBefore(index, entry.to)
        if (!this.#audit.known.auditors.has(toHex(entry.keyId)))
          throw new ChappeError("entry-key", "an export names a key that is no auditor's")
        break
      case "retention":
        this.#demandBefore(index, entry.to)
        if (!this.#audit.known.retentionPolicies.has(entry.policyIndex))
          throw new ChappeError("entry-order", `no retention policy stands at ${entry.policyIndex}`)
        // What was pruned before that may have taken its own retention entry along.
        this.prunedTo = Math.max(this.prunedTo, entry.to)
        break
      case "erasure":
        this.#demandBefore(index, entry.index + 1)
        break
      case "roster":
      case "chain":
      case "witness-policy":
      case "retention-policy":
      case "delivery-policy":
        break
    }
  }

  #judgeTime(time: number): void {
    if (time < this.#lastTime) throw new ChappeError("entry-order", "time falls")
    this.#lastTime = time
  }

  #demandBefore(index: number, end: number): void {
    if (end > index)
      throw new ChappeError("entry-order", `an entry speaks of ${end - 1}, which is not before it`)
  }

  /** A head of the relay's own directory binds its size to a root; it must be the root we computed. */
  #judgeHead(note: Uint8Array): void {
    const { known, heads } = this.#audit
    const head = heads.take(note)
    if (head?.origin !== known.state.origin) return
    const root = known.roots[head.size]
    // A larger one than was shown is judged with all heads of that log.
    if (root !== undefined && equalBytes(root, head.root))
      this.#boundSize = Math.max(this.#boundSize, head.size)
  }

  #judgeDirectorySize(size: number): void {
    const before = this.#directorySize
    // What was bound in pruned entries cannot be seen: the first size that is named stands for it.
    if (before === undefined) this.#boundSize = Math.max(this.#boundSize, size)
    if (size < (before ?? 0)) throw new ChappeError("entry-order", "the directory size falls")
    this.#directorySize = size
    if (size > this.#boundSize)
      throw new ChappeError("entry-order", `directory size ${size} is bound by no head`)
  }

  #judgeCommitment(commit: Uint8Array): void {
    const name = toName(commit)
    if (this.#commitments.has(name)) throw new ChappeError("seq-used", "a commitment is used twice")
    this.#commitments.add(name)
  }

  /** Who signed, if the key was valid at the directory size that the entry names. */
  #signer(entry: SignedEntry): { readonly name: string; readonly publicKey: Uint8Array } {
    const { directory, state } = this.#audit.known
    const id = toHex(entry.keyId)
    if (!this.#owners.has(id)) this.#owners.set(id, directory.ownerOf(entry.keyId))
    const name = this.#owners.get(id)
    if (name === undefined) throw new ChappeError("entry-key", `nobody has named key ${id}`)
    const mayBe = entry.kind === "relay-receipts" ? name === this.#relay : !isRelayName(name)
    if (!mayBe) throw new ChappeError("entry-key", `${name} may not sign ${entry.kind}`)
    const place = { origin: state.origin, size: entry.directorySize }
    const found = directory.stationKeyAt(name, entry.keyId, place, entry.time)
    if (found.kind === "invalid") throw new ChappeError("entry-key", found.why)
    return { name, publicKey: found.key.key }
  }

  #judgeSignature(index: number, entry: SignedEntry): void {
    const { origin, root, sample, verifiers } = this.#audit
    const { name, publicKey } = this.#signer(entry)
    const { sha256 } = verifiers.fast
    const { kind, commit, keyId, seq, auth } = entry
    const id = statementId(sha256, "entry", logStatementBody({ kind, origin, commit, keyId, seq }))
    const signer = { name, keyId }
    this.signatures += 1
    const fast = holds(() => this.#batches.check({ signer, publicKey, auth, id, purpose: "log" }))
    const isSampled = (sha256(concat(root, u64(index)))[0] ?? 0) < sample
    if (fast && !isSampled) return
    this.sampled += 1
    const points = this.#holdsByPoints(signer, publicKey, auth, id)
    if (fast !== points)
      throw new ChappeError("tampering", "the two verifiers differ about this signature")
    if (!points) throw new ChappeError("entry-signature")
  }

  #holdsByPoints(signer: BatchSigner, publicKey: Uint8Array, auth: Auth, id: Uint8Array): boolean {
    const { fast, points } = this.#audit.verifiers
    return holds(() => {
      const root = batchRoot(fast.sha256, auth, id, "log")
      if (!points(publicKey, batchPae(signer, auth.size, root), auth.signature))
        throw new ChappeError("signature")
    })
  }

  /**
   * Numbers that are still missing an hour after a later one was used, by the log's own time or by `now`.
   * What the next audit starts from.
   */
  finish(now: number): Pick<LogState, "seqs" | "lastTime" | "directorySize" | "boundSize"> {
    const { origin, report } = this.#audit
    for (const gap of this.#seqs.overdue(Math.max(now, this.#lastTime)))
      report(new ChappeError("seq-gap", gap), origin, null)
    return {
      seqs: this.#seqs.records(),
      lastTime: this.#lastTime,
      directorySize: this.#directorySize ?? 0,
      boundSize: this.#boundSize,
    }
  }

  #reported(index: number, check: () => void): void {
    try {
      check()
    } catch (error) {
      if (!(error instanceof ChappeError)) throw error
      this.#audit.report(error, this.#audit.origin, index)
    }
  }
}

function holds(check: () => void): boolean {
  try {
    check()
    return true
  } catch (error) {
    if (error instanceof ChappeError && error.code === "signature") return false
    throw error
  }
}
