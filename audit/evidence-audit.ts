// `chappe evidence verify`: what an evidence file proves, offline, with nothing but a trust file and
// without any key that opens mail. docs/PROTOCOL.md, "Evidence file".

import { type AcceptedEntry, logStatementId, openAcceptance } from "../keys/accepted-entry.ts"
import { sha256 } from "../keys/crypto.ts"
import { type Judged, judgeContent, judgeLogged } from "../keys/open-envelope.ts"
import { BatchVerifier, batchRoot, decodeAuth } from "../protocol/batch.ts"
import { equalBytes, toHex, utf8 } from "../protocol/bytes.ts"
import { openCheckpoint, parseCheckpointText } from "../protocol/checkpoint.ts"
import { Directory } from "../protocol/directory.ts"
import { type LoggedStatement, readDirectoryTail } from "../protocol/directory-tail.ts"
import { type Core, precedences } from "../protocol/envelope.ts"
import { ChappeError, type ErrorCode } from "../protocol/errors.ts"
import type {
  EvidenceDirectory,
  EvidenceFile,
  EvidenceReceipt,
  LoggedEvidence,
} from "../protocol/evidence-file.ts"
import { isRelayName } from "../protocol/names.ts"
import {
  type Receipt,
  type ReceiptStep,
  decodeReceipt,
  receiptIdOf,
  stepName,
} from "../protocol/receipt.ts"
import type { TrustAnchor } from "../protocol/roster.ts"
import { parseNote } from "../protocol/signed-note.ts"
import { openTlogProof, parseTlogProof } from "../protocol/tlog-proof.ts"
import { withCode } from "../protocol/recode.ts"
import { emptyRange } from "../protocol/tree.ts"
import { type VerifierKey, parseVerifierKey } from "../protocol/verifier-key.ts"
import { auditLimits } from "./limits.ts"
import { type Verifiers, doubleChecked } from "./double-check.ts"

/**
 * `at`: as whoever took the step says; `loggedAt`: by the relay's clock. `proved`: by an inclusion proof,
 * else by the relay's promise only.
 */
export type ProvedStep = {
  readonly step: ReceiptStep
  readonly by: string
  readonly at: number
  readonly recipient: string | null
  readonly reason: string | null
  readonly log: { readonly origin: string; readonly index: number }
  readonly loggedAt: number
  readonly proved: boolean
}

export type EvidenceVerdict =
  | {
      readonly ok: true
      readonly id: string
      readonly messageId: string
      readonly from: string
      readonly to: readonly string[]
      readonly created: number
      readonly precedence: string
      readonly steps: readonly ProvedStep[]
      readonly disclosed: {
        readonly type: string
        readonly officer: string
        readonly subject: string
        readonly text: string
      } | null
      /** What a reader must know, though all of it holds: keys that were revoked later. */
      readonly warnings: readonly string[]
    }
  | { readonly ok: false; readonly fault: ErrorCode; readonly message: string }

/** Every signature twice, every hash once; the first thing that does not hold is the fault. */
export function verifyEvidence(
  file: EvidenceFile,
  anchor: TrustAnchor,
  verifiers: Verifiers,
): Promise<EvidenceVerdict> {
  return judged(() => new EvidenceAudit(anchor, verifiers).verify(file))
}

/** A fault that `work` throws becomes the verdict; `passed` codes say nothing about the evidence. */
export async function judged(
  work: () => Promise<EvidenceVerdict>,
  passed: readonly ErrorCode[] = [],
): Promise<EvidenceVerdict> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof ChappeError) || passed.includes(error.code)) throw error
    return { ok: false, fault: error.code, message: error.message }
  }
}

type Message = Judged & { readonly messageId: Uint8Array }

class EvidenceAudit {
  readonly #directory: Directory
  readonly #batches: BatchVerifier
  readonly #differences: string[] = []
  readonly #warnings = new Set<string>()
  /** Entries of each directory log that the file shows. */
  readonly #sizes = new Map<string, number>()

  constructor(anchor: TrustAnchor, verifiers: Verifiers) {
    const crypto = doubleChecked(verifiers, (key) => this.#differences.push(key))
    this.#directory = new Directory(crypto, anchor)
    this.#batches = new BatchVerifier(crypto, auditLimits.batchesRemembered)
  }

  async verify(file: EvidenceFile): Promise<EvidenceVerdict> {
    await this.#readDirectories(file.directories)
    const shown = { header: file.header, auth: file.auth, acceptance: file.logged.acceptance }
    const facts = { directory: this.#directory, batches: this.#batches }
    const message = judgeLogged(shown, facts)
    const { core } = message.header
    this.#judgeEntry(message.accepted, core.senderNode)
    this.#warnIfRevoked(core.senderNode, core.senderKeyId)
    const opened =
      file.disclosure === undefined ? null : judgeContent(message, file.disclosure, this.#directory)
    const steps = [
      this.#custody(message.accepted, file.logged),
      ...file.receipts.map((receipt) => this.#receipt(receipt, message)),
    ]
    if (this.#differences.length > 0)
      throw new ChappeError("tampering", "the two verifiers differ about a signature")
    return {
      ok: true,
      id: toHex(core.id),
      messageId: toHex(message.messageId),
      from: core.senderNode,
      to: core.recipients.map(({ node }) => node),
      created: core.created,
      precedence: precedences[core.precedence],
      steps: steps.toSorted((a, b) => a.loggedAt - b.loggedAt),
      disclosed:
        opened === null
          ? null
          : {
              type: opened.content.type,
              officer: opened.content.officer,
              subject: opened.document.subject,
              text: opened.document.text,
            },
      warnings: [...this.#warnings],
    }
  }

  /** The directory as the relays' logs show it, each statement placed where it stands. */
  async #readDirectories(logs: readonly EvidenceDirectory[]): Promise<void> {
    const { crypto } = this.#directory
    const notes = new Map<string, Uint8Array>()
    for (const log of logs) {
      const note = utf8(log.checkpoint)
      const claim = parseCheckpointText(parseNote(note).text)
      if (claim.origin !== log.origin || claim.size !== log.entries.length)
        throw new ChappeError("log-file", `${log.origin} is not whole`)
      if (notes.has(log.origin)) throw new ChappeError("log-file", `${log.origin} stands twice`)
      const { statements } = await readDirectoryTail({
        sha256: crypto.sha256,
        held: emptyRange,
        head: claim,
        fetch: (from) => Promise.resolve(log.entries.slice(from)),
      })
      this.#takeIn(log.origin, statements)
      this.#sizes.set(log.origin, claim.size)
      notes.set(log.origin, note)
    }
    // Only now are the logs' keys known.
    for (const [origin, note] of notes)
      openCheckpoint(crypto.verify, note, { log: this.#logKey(origin) })
  }

  #takeIn(origin: string, statements: readonly LoggedStatement[]): void {
    this.#directory.applyInOrder(statements)
    for (const { index, kind, statement } of statements)
      this.#directory.place(origin, index, this.#directory.idOf(kind, statement))
  }

  #logKey(origin: string): VerifierKey {
    const named = this.#directory.log(origin)
    if (named === undefined) throw new ChappeError("note", `no relay has named ${origin}`)
    return parseVerifierKey(this.#directory.crypto, named.logVkey)
  }

  /**
   * The entry's own signature by `name`, and that the file shows the directory as far as the entry
   * names it: a shorter one could hide that a key was revoked.
   */
  #judgeEntry({ entry, origin, place }: AcceptedEntry, name: string): void {
    if ((this.#sizes.get(place.origin) ?? 0) < place.size)
      throw new ChappeError("log-file", `${place.origin} is not shown up to entry ${place.size}`)
    const { kind, commit, keyId, seq, auth } = entry
    const found = this.#directory.stationKeyAt(name, keyId, place, entry.time)
    if (found.kind === "invalid") throw new ChappeError("entry-key", found.why)
    const id = logStatementId({ kind, origin, commit, keyId, seq })
    const signer = { name, keyId }
    withCode("entry-signature", () =>
      this.#batches.check({ signer, publicKey: found.key.key, auth, id, purpose: "log" }),
    )
  }

  #warnIfRevoked(name: string, keyId: Uint8Array): void {
    if (this.#directory.isRevokedAnywhere(name, keyId))
      this.#warnings.add(`${name} has revoked the key ${toHex(keyId)}; this was logged before`)
  }

  /** Whether the entry lies under a checkpoint; refused when a proof is there and does not hold. */
  #isProved(origin: string, { acceptance, proof }: LoggedEvidence): boolean {
    if (proof === undefined) return false
    const parsed = parseTlogProof(utf8(proof))
    if (parsed.index !== acceptance.index)
      throw new ChappeError("proof", "the proof is one of another entry")
    const keys = { log: this.#logKey(origin) }
    openTlogProof(this.#directory.crypto, parsed, acceptance.entry, keys)
    return true
  }

  #custody({ entry, origin, index, relay }: AcceptedEntry, logged: LoggedEvidence): ProvedStep {
    return {
      step: "custody",
      by: relay,
      at: entry.time,
      recipient: null,
      reason: null,
      log: { origin, index },
      loggedAt: entry.time,
      proved: this.#isProved(origin, logged),
    }
  }

  #receipt(item: EvidenceReceipt, message: Message): ProvedStep {
    const receipt = decodeReceipt(item.receipt)
    if (!equalBytes(receipt.messageId, message.messageId))
      throw new ChappeError("recipients", "a receipt is one of another message")
    demandRecipient(message.header.core, receipt.recipientNode)
    const auth = decodeAuth(item.auth)
    const id = receiptIdOf(sha256, item.receipt)
    const root = batchRoot(sha256, auth, id, "message")
    const accepted = openAcceptance(this.#directory, item.acceptance, root)
    const { entry, place, origin, index } = accepted
    const name = signerOf(receipt, accepted, message.header.core.senderNode)
    this.#judgeEntry(accepted, name)
    const key = this.#directory.requireStationKey(name, receipt.keyId, place, entry.time)
    const signer = { name, keyId: receipt.keyId }
    this.#batches.check({ signer, publicKey: key.key, auth, id, purpose: "message" })
    this.#warnIfRevoked(name, receipt.keyId)
    return {
      step: stepName(receipt.step),
      by: receipt.by ?? name,
      at: receipt.at,
      recipient: receipt.recipientNode,
      reason: receipt.reason,
      log: { origin, index },
      loggedAt: entry.time,
      proved: this.#isProved(origin, item),
    }
  }
}

const relaySteps: readonly ReceiptStep[] = [
  "custody",
  "forwarded",
  "rejected",
  "expired",
  "undelivered",
  "erased",
]
const nodeSteps: readonly ReceiptStep[] = [
  "delivered",
  "opened",
  "in-charge",
  "answered",
  "refused",
  "fetched",
  "rejected",
  "erased",
]

/**
 * The station that signs a receipt: a relay for what it did itself, in its own log; the sender where it
 * says that a deadline was missed; else the recipient.
 */
function signerOf(
  { by, step, recipientNode }: Receipt,
  accepted: AcceptedEntry,
  sender: string,
): string {
  if (by === sender && stepName(step) === "undelivered" && accepted.entry.kind === "receipts")
    return sender
  const byRelay = by !== null && isRelayName(by)
  const name = stepName(step)
  if (!(byRelay ? relaySteps : nodeSteps).includes(name))
    throw new ChappeError("entry", `${by ?? recipientNode} cannot say ${name}`)
  const { kind } = accepted.entry
  if (kind !== (byRelay ? "relay-receipts" : "receipts"))
    throw new ChappeError("entry", `a ${kind} entry holds no such receipt`)
  if (!byRelay) return recipientNode
  if (by !== accepted.relay)
    throw new ChappeError("entry", `${accepted.relay} does not log receipts of ${by}`)
  return by
}

function demandRecipient(core: Core, name: string): void {
  if (!core.recipients.some(({ node }) => node === name))
    throw new ChappeError("recipients", `${name} is not among the recipients`)
}
