// `chappe evidence verify`: what an evidence file proves, offline, with nothing but a trust file and
// without any key that opens mail. docs/PROTOCOL.md, "Evidence file".

import { openAcceptance } from "../keys/accepted-entry.ts"
import { crypto as fastCrypto } from "../keys/crypto.ts"
import { type Judged, judgeContent, judgeLogged } from "../keys/open-envelope.ts"
import { BatchVerifier, batchRoot, decodeAuth } from "../protocol/batch.ts"
import { equalBytes, toHex, utf8 } from "../protocol/bytes.ts"
import { openCheckpoint, parseCheckpointText } from "../protocol/checkpoint.ts"
import type { Crypto } from "../protocol/crypto-ports.ts"
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
import { decodeReceipt, receiptIdOf, receiptSteps, stepName } from "../protocol/receipt.ts"
import type { TrustAnchor } from "../protocol/roster.ts"
import { parseNote } from "../protocol/signed-note.ts"
import { openTlogProof, parseTlogProof } from "../protocol/tlog-proof.ts"
import { emptyRange } from "../protocol/tree.ts"
import { parseVerifierKey } from "../protocol/verifier-key.ts"
import { auditLimits } from "./limits.ts"
import { doubleChecked } from "./double-check.ts"

/** `log`: where the step stands; `proved`: by an inclusion proof, else by the relay's promise only. */
export type ProvedStep = {
  readonly step: string
  readonly by: string
  readonly at: number
  readonly recipient: string | null
  readonly reason: string | null
  readonly log: { readonly origin: string; readonly index: number }
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
    }
  | { readonly ok: false; readonly fault: ErrorCode; readonly message: string }

/** Every signature twice, every hash once; the first thing that does not hold is the fault. */
export async function verifyEvidence(
  file: EvidenceFile,
  anchor: TrustAnchor,
): Promise<EvidenceVerdict> {
  try {
    return await verified(file, anchor)
  } catch (error) {
    if (!(error instanceof ChappeError)) throw error
    return { ok: false, fault: error.code, message: error.message }
  }
}

async function verified(file: EvidenceFile, anchor: TrustAnchor): Promise<EvidenceVerdict> {
  const differences: string[] = []
  const crypto = doubleChecked((key) => differences.push(key))
  const directory = await readDirectories(crypto, anchor, file.directories)
  const facts = { directory, batches: new BatchVerifier(crypto, auditLimits.batchesRemembered) }
  const shown = { header: file.header, auth: file.auth, acceptance: file.logged.acceptance }
  const judged = judgeLogged(shown, facts)
  const opened =
    file.disclosure === undefined ? null : judgeContent(judged, file.disclosure, directory)
  const { core } = judged.header
  const steps = [
    submittedStep(judged, directory, file.logged),
    ...file.receipts.map((receipt) => receiptStep(receipt, judged, facts)),
  ]
  if (differences.length > 0)
    throw new ChappeError("tampering", "the two verifiers differ about a signature")
  return {
    ok: true,
    id: toHex(core.id),
    messageId: toHex(judged.messageId),
    from: core.senderNode,
    to: core.recipients.map(({ node }) => node),
    created: core.created,
    precedence: precedences[core.precedence],
    steps: steps.toSorted((a, b) => a.at - b.at),
    disclosed:
      opened === null
        ? null
        : {
            type: opened.content.type,
            officer: opened.content.officer,
            subject: opened.document.subject,
            text: opened.document.text,
          },
  }
}

/** The directory as the relays' logs show it, each statement placed where it stands. */
async function readDirectories(
  crypto: Crypto,
  anchor: TrustAnchor,
  logs: readonly EvidenceDirectory[],
): Promise<Directory> {
  const directory = new Directory(crypto, anchor)
  const heads = []
  for (const log of logs) {
    const note = utf8(log.checkpoint)
    const claim = parseCheckpointText(parseNote(note).text)
    if (claim.origin !== log.origin || claim.size !== log.entries.length)
      throw new ChappeError("log-file", `${log.origin} is not whole`)
    const { statements } = await readDirectoryTail({
      sha256: crypto.sha256,
      held: emptyRange,
      head: claim,
      fetch: (from) => Promise.resolve(log.entries.slice(from)),
    })
    takeIn(directory, log.origin, statements)
    heads.push({ origin: log.origin, note })
  }
  // Only now are the logs' keys known.
  for (const { origin, note } of heads) {
    const named = directory.log(origin)
    if (named === undefined) throw new ChappeError("note", `no relay has named ${origin}`)
    openCheckpoint(crypto.verify, note, { log: parseVerifierKey(crypto, named.logVkey) })
  }
  return directory
}

function takeIn(
  directory: Directory,
  origin: string,
  statements: readonly LoggedStatement[],
): void {
  directory.applyInOrder(statements)
  for (const { index, kind, statement } of statements)
    directory.place(origin, index, directory.idOf(kind, statement))
}

/** Whether the entry lies under a checkpoint; refused when a proof is there and does not hold. */
function isProved(
  directory: Directory,
  origin: string,
  { acceptance, proof }: LoggedEvidence,
): boolean {
  if (proof === undefined) return false
  const named = directory.log(origin)
  if (named === undefined) throw new ChappeError("note", `no relay has named ${origin}`)
  const key = parseVerifierKey(directory.crypto, named.logVkey)
  const parsed = parseTlogProof(utf8(proof))
  if (parsed.index !== acceptance.index)
    throw new ChappeError("proof", "the proof is one of another entry")
  openTlogProof(directory.crypto, parsed, acceptance.entry, { log: key })
  return true
}

function submittedStep(
  { accepted }: Judged,
  directory: Directory,
  logged: LoggedEvidence,
): ProvedStep {
  return {
    step: "custody",
    by: accepted.relay,
    at: accepted.entry.time,
    recipient: null,
    reason: null,
    log: { origin: accepted.origin, index: accepted.index },
    proved: isProved(directory, accepted.origin, logged),
  }
}

function receiptStep(
  item: EvidenceReceipt,
  message: Judged & { readonly messageId: Uint8Array },
  facts: { readonly directory: Directory; readonly batches: BatchVerifier },
): ProvedStep {
  const { directory, batches } = facts
  const { sha256 } = fastCrypto
  const receipt = decodeReceipt(item.receipt)
  if (!equalBytes(receipt.messageId, message.messageId))
    throw new ChappeError("recipients", "a receipt is one of another message")
  demandRecipient(message.header.core, receipt.recipientNode)
  const auth = decodeAuth(item.auth)
  const id = receiptIdOf(sha256, item.receipt)
  const root = batchRoot(sha256, auth, id, "message")
  const accepted = openAcceptance(directory, item.acceptance, root)
  const byRelay = isRelayStep(receipt.step)
  const name = byRelay ? (receipt.by ?? "") : receipt.recipientNode
  if (accepted.entry.kind !== (byRelay ? "relay-receipts" : "receipts"))
    throw new ChappeError("entry", `a ${accepted.entry.kind} entry holds no such receipt`)
  const key = directory.requireStationKey(name, receipt.keyId, accepted.place, accepted.entry.time)
  batches.check({
    signer: { name, keyId: receipt.keyId },
    publicKey: key.key,
    auth,
    id,
    purpose: "message",
  })
  return {
    step: stepName(receipt.step),
    by: receipt.by ?? name,
    at: receipt.at,
    recipient: receipt.recipientNode,
    reason: receipt.reason,
    log: { origin: accepted.origin, index: accepted.index },
    proved: isProved(directory, accepted.origin, item),
  }
}

function isRelayStep(step: number): boolean {
  return (
    step === receiptSteps.custody ||
    step === receiptSteps.forwarded ||
    step === receiptSteps.expired ||
    step === receiptSteps.undelivered
  )
}

function demandRecipient(core: Core, name: string): void {
  if (!core.recipients.some(({ node }) => node === name))
    throw new ChappeError("recipients", `${name} is not among the recipients`)
}
