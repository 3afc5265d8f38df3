// Auditing a traffic log: layout, order, sequence numbers, commitments, keys as of their place, and
// signatures, in bulk by the fast verifier and by points for a sample. docs/PROTOCOL.md, "Auditing".

import { type Auth, BatchVerifier, batchPae, batchRoot } from "../protocol/batch.ts"
import { concat, equalBytes, fromUtf8, toHex, u64 } from "../protocol/bytes.ts"
import { openCheckpoint } from "../protocol/checkpoint.ts"
import type { Crypto } from "../protocol/crypto-ports.ts"
import { type SignedEntry, belongsTo, decodeEntry, logStatementBody } from "../protocol/entry.ts"
import { ChappeError } from "../protocol/errors.ts"
import { limits } from "../protocol/limits.ts"
import { isRelayName } from "../protocol/names.ts"
import { statementId } from "../protocol/pae.ts"
import { parseNote } from "../protocol/signed-note.ts"
import { parseVerifierKey } from "../protocol/verifier-key.ts"
import type { LogState, SeqRecord } from "./audit-state.ts"
import type { AuditedDirectory } from "./directory-audit.ts"
import type { Report } from "./finding.ts"
import { auditLimits } from "./limits.ts"
import { verifyWithPoints } from "./noble-verifier.ts"

export type TrafficCounts = {
  readonly entries: number
  readonly signatures: number
  readonly sampled: number
}

export class TrafficAudit {
  entries = 0
  signatures = 0
  sampled = 0
  #lastTime: number
  #directorySize: number
  /** Sizes of the own directory that heads in this log have bound to a root. */
  readonly #boundSizes = new Set<number>()
  readonly #seqs: Map<string, SeqRecord>
  readonly #commits = new Set<string>()
  readonly #owners = new Map<string, string | undefined>()
  readonly #batches: BatchVerifier
  readonly #known: AuditedDirectory
  readonly #crypto: Crypto
  readonly #origin: string
  readonly #relay: string
  readonly #root: Uint8Array
  readonly #sample: number
  readonly #report: Report

  constructor(audit: {
    readonly origin: string
    readonly root: Uint8Array
    readonly known: AuditedDirectory
    /** The fast verifier, for bulk. */
    readonly crypto: Crypto
    /** Of 256 entries, how many are verified by points too. */
    readonly sample: number
    readonly since: LogState | undefined
    readonly report: Report
  }) {
    this.#origin = audit.origin
    this.#relay = audit.origin.slice(0, audit.origin.indexOf("/"))
    this.#root = audit.root
    this.#known = audit.known
    this.#crypto = audit.crypto
    this.#sample = audit.sample
    this.#report = audit.report
    this.#batches = new BatchVerifier(audit.crypto, auditLimits.batchesRemembered)
    this.#lastTime = audit.since?.lastTime ?? 0
    this.#directorySize = audit.since?.directorySize ?? 0
    if (audit.since !== undefined) this.#boundSizes.add(audit.since.directorySize)
    this.#seqs = new Map(
      [...(audit.since?.seqs ?? [])].map(([key, { allUpTo, later }]) => [
        key,
        { allUpTo, later: new Map(later) },
      ]),
    )
  }

  /** One entry, in order. */
  take(index: number, bytes: Uint8Array): void {
    this.entries += 1
    try {
      this.#judge(index, bytes)
    } catch (error) {
      if (!(error instanceof ChappeError)) throw error
      this.#report({ code: error.code, origin: this.#origin, index, message: error.message })
    }
  }

  #judge(index: number, bytes: Uint8Array): void {
    const entry = decodeEntry(bytes)
    if (!belongsTo(entry.kind, "traffic"))
      throw new ChappeError("entry-layout", `${entry.kind} does not belong in a traffic log`)
    if (entry.time < this.#lastTime) throw new ChappeError("entry-order", "time falls")
    this.#lastTime = entry.time
    switch (entry.kind) {
      case "envelope":
      case "receipts":
      case "relay-receipts":
      case "journal":
        this.#judgeSigned(index, entry)
        break
      case "head":
        this.#judgeHead(entry.note)
        break
      case "access":
      case "retention":
      case "erasure":
      case "shard":
      case "roster":
      case "chain":
      case "witness-policy":
      case "retention-policy":
      case "delivery-policy":
        break
    }
  }

  /** A head of the relay's own directory binds its size to a root; it must be the root we computed. */
  #judgeHead(note: Uint8Array): void {
    const { origin, vkey } = this.#known.state
    if (!fromUtf8(note).startsWith(`${origin}\n`)) {
      parseNote(note)
      return
    }
    const key = parseVerifierKey(this.#crypto, vkey)
    const head = openCheckpoint(this.#crypto.verify, note, { log: key })
    const root = this.#known.roots[head.size]
    if (root === undefined)
      throw new ChappeError("rollback", `the directory log was once of size ${head.size}`)
    if (!equalBytes(root, head.root))
      throw new ChappeError("log-fork", `the directory log had another root at ${head.size}`)
    this.#boundSizes.add(head.size)
  }

  #judgeSigned(index: number, entry: SignedEntry): void {
    if (entry.directorySize < this.#directorySize)
      throw new ChappeError("entry-order", "the directory size falls")
    if (!this.#boundSizes.has(entry.directorySize))
      throw new ChappeError(
        "entry-order",
        `directory size ${entry.directorySize} is bound by no head`,
      )
    this.#directorySize = entry.directorySize
    const commit = toHex(entry.commit)
    if (this.#commits.has(commit)) throw new ChappeError("seq-used", "a commitment is used twice")
    this.#commits.add(commit)
    this.#useSeq(entry)
    const { name, publicKey } = this.#signer(entry)
    this.#judgeSignature(index, entry, name, publicKey)
  }

  #useSeq({ keyId, seq, time }: SignedEntry): void {
    const key = toHex(keyId)
    const used: SeqRecord = this.#seqs.get(key) ?? { allUpTo: 0, later: new Map<number, number>() }
    this.#seqs.set(key, used)
    if (seq <= used.allUpTo || used.later.has(seq))
      throw new ChappeError("seq-used", `key ${key} uses ${seq} twice`)
    used.later.set(seq, time)
    while (used.later.delete(used.allUpTo + 1)) used.allUpTo += 1
  }

  /** Who signed, if the key was valid at the directory size that the entry names. */
  #signer(entry: SignedEntry): { readonly name: string; readonly publicKey: Uint8Array } {
    const { directory, state } = this.#known
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

  #judgeSignature(index: number, entry: SignedEntry, name: string, publicKey: Uint8Array): void {
    const { sha256 } = this.#crypto
    const { kind, commit, keyId, seq, auth } = entry
    const body = logStatementBody({ kind, origin: this.#origin, commit, keyId, seq })
    const id = statementId(sha256, "entry", body)
    const signer = { name, keyId }
    this.signatures += 1
    const fast = holds(() => this.#batches.check({ signer, publicKey, auth, id, purpose: "log" }))
    const isSampled = (sha256(concat(this.#root, u64(index)))[0] ?? 0) < this.#sample
    if (fast && !isSampled) return
    this.sampled += 1
    const points = this.#holdsByPoints(signer, publicKey, auth, id)
    if (fast !== points)
      throw new ChappeError("tampering", "the two verifiers differ about this signature")
    if (!points) throw new ChappeError("entry-signature")
  }

  #holdsByPoints(
    signer: { readonly name: string; readonly keyId: Uint8Array },
    publicKey: Uint8Array,
    auth: Auth,
    id: Uint8Array,
  ): boolean {
    return holds(() => {
      const root = batchRoot(this.#crypto.sha256, auth, id, "log")
      if (!verifyWithPoints(publicKey, batchPae(signer, auth.size, root), auth.signature))
        throw new ChappeError("signature")
    })
  }

  /** Numbers that are still missing an hour after a later one was used. What the next audit starts from. */
  finish(): Pick<LogState, "seqs" | "lastTime" | "directorySize"> {
    for (const [key, { allUpTo, later }] of this.#seqs) {
      const oldest = Math.min(...later.values())
      if (later.size > 0 && oldest + limits.seqGapSeconds < this.#lastTime)
        this.#report({
          code: "seq-gap",
          origin: this.#origin,
          index: null,
          message: `key ${key} has used ${Math.min(...later.keys())}, but not ${allUpTo + 1}`,
        })
    }
    return {
      seqs: this.#seqs,
      lastTime: this.#lastTime,
      directorySize: this.#directorySize,
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
