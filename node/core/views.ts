// What officers' scripts see of messages: the fields of the command line's contract. Times are seconds
// since 1970, ids hex.

import { fromUtf8, toHex, utf8 } from "../../protocol/bytes.ts"
import { type Document, statedColour } from "../../protocol/document.ts"
import { decodeEntry } from "../../protocol/entry.ts"
import { precedences } from "../../protocol/envelope.ts"
import {
  type EvidenceDirectory,
  type EvidenceReceipt,
  type LoggedEvidence,
  formatEvidenceFile,
} from "../../protocol/evidence-file.ts"
import { ChappeError } from "../../protocol/errors.ts"
import type { Acceptance } from "../../protocol/link-messages.ts"
import { parsePromiseText } from "../../protocol/promise.ts"
import { decodeReceipt, stepName } from "../../protocol/receipt.ts"
import { parseNote } from "../../protocol/signed-note.ts"
import { type ShownMessage, shownType } from "./correspondence.ts"
import type { DirectoryFollower } from "./directory-follower.ts"
import type { Escalation } from "./escalations.ts"
import { type Evidence, signerOf } from "./evidence.ts"
import { type Json, jsonOfMap } from "./form-value.ts"
import type { Gap } from "./gaps.ts"
import type { InboxItem } from "./inbox-records.ts"
import { isFailure, overall } from "./ladder.ts"
import type { LogStatements, StoredStatement } from "./log-statements.ts"
import type { Outbox } from "./outbox.ts"
import type { OutboxItem } from "./outbox-records.ts"
import type { Proofs } from "./proofs.ts"

export type JsonObject = { readonly [key: string]: Json }

export function inboxView(item: InboxItem): JsonObject {
  return {
    id: toHex(item.id),
    from: item.from,
    type: shownType(item.type),
    subject: item.subject,
    precedence: precedences[item.lane],
    created: item.created,
    received: item.received,
    channel: {
      incarnation: item.channel.incarnation,
      seq: item.channel.seq,
      prev: toHex(item.channel.prev),
    },
    attachments: item.attachments.map(({ name, plainLength, plainHash }) => ({
      name,
      size: plainLength,
      sha256: toHex(plainHash),
    })),
    state: item.state,
    warnings: item.marks,
  }
}

/** Numbers of a sender's channel that are missing. */
export function gapView({ sender, incarnation, lane, first, last, since, asked }: Gap): JsonObject {
  return { from: sender, precedence: precedences[lane], incarnation, first, last, since, asked }
}

/** What the desk sees of a deadline that a member's message has missed. */
export function escalationView({ from, at, report }: Escalation): JsonObject {
  const { id, messageId, recipient, lane, created, deadline, expires, relays, outcome } = report
  return {
    from,
    recipient,
    id: toHex(id),
    messageId: messageId === null ? null : toHex(messageId),
    precedence: precedences[lane],
    created,
    deadline,
    expires,
    relays,
    heard: at,
    outcome: outcome === null ? null : { ...outcome },
  }
}

function documentView(document: Document): JsonObject {
  return {
    text: document.text,
    document: document.form === undefined ? null : jsonOfMap(document.form),
    label: { ...document.label },
    to: document.to,
    info: document.info,
    ourRef: document.ourRef ?? null,
    yourRef: document.yourRef ?? null,
    inReplyTo: document.inReplyTo === undefined ? null : toHex(document.inReplyTo.id),
  }
}

/** A message as its reader sees it; a publication shows the words of the notice that it quotes. */
export function shownView(shown: ShownMessage): JsonObject {
  const { item, document, content, quoted } = shown
  const words = quoted?.document ?? document
  const view = documentView(document)
  return {
    ...inboxView(item),
    ...view,
    text: words.text,
    document: words.form === undefined ? null : jsonOfMap(words.form),
    officer: content.officer,
    messageId: toHex(item.messageId),
    quoted:
      quoted === undefined
        ? null
        : {
            from: quoted.content.intended.sender,
            id: toHex(quoted.content.intended.id),
            officer: quoted.content.officer,
            colour: colourOf(quoted.document),
          },
    warnings: shown.warnings,
  }
}

function colourOf(document: Document): string | null {
  const colour = statedColour(document)
  return typeof colour === "string" ? colour : null
}

export function outboxView(item: OutboxItem): JsonObject {
  return {
    id: toHex(item.id),
    type: shownType(item.type),
    subject: item.subject,
    precedence: precedences[item.lane],
    officer: item.officer,
    created: item.created,
    expires: item.expires,
    state: overall(item.recipients.map(({ rung }) => rung)),
    recipients: item.recipients.map((state) => ({
      member: state.member,
      step: state.rung,
      at: state.at,
      reason: state.reason,
      reducedForwardSecrecy: state.reducedSecrecy,
    })),
  }
}

/** What `send` answers. */
export function sentView(item: OutboxItem): JsonObject {
  const state = overall(item.recipients.map(({ rung }) => rung))
  return {
    id: toHex(item.id),
    state: isFailure(state) || state === "queued" ? state : "custody",
    recipients: item.recipients.map(({ member }) => member),
  }
}

/** One's own message, read again. */
export function sentMessageView(item: OutboxItem, document: Document): JsonObject {
  return { ...outboxView(item), ...documentView(document), from: item.officer.split("/")[0] ?? "" }
}

type LogPlace = { readonly origin: string; readonly index: number }

function placeOf(acceptance: Acceptance | null): LogPlace | null {
  if (acceptance === null) return null
  const { origin } = parsePromiseText(parseNote(utf8(acceptance.promise)).text)
  return { origin, index: acceptance.index }
}

export type Sources = {
  readonly me: string
  readonly outbox: Outbox
  readonly statements: LogStatements
  readonly evidence: Evidence
  readonly proofs: Proofs
  readonly follower: DirectoryFollower
}

type Step = {
  readonly step: string
  readonly by: string
  readonly at: number
  readonly recipient: string | null
  readonly log: LogPlace | null
  readonly reason: string | null
}

/** Every step that is known, in the order of time; each with where it was logged. */
export async function traceOf(item: OutboxItem, sources: Sources): Promise<JsonObject> {
  const steps: Step[] = []
  for (const messageId of item.envelopes) {
    for (const made of await sources.statements.statementsOf(messageId))
      steps.push(...submitSteps(item, made, sources.me))
    for (const { item: stored } of await sources.evidence.of(messageId)) {
      const receipt = decodeReceipt(stored.receipt)
      steps.push({
        step: stepName(receipt.step),
        by: receipt.by ?? signerOf(receipt, sources.me),
        at: receipt.at,
        recipient: receipt.recipientNode,
        log: placeOf(stored.acceptance),
        reason: receipt.reason,
      })
    }
  }
  return { id: toHex(item.id), steps: steps.toSorted((a, b) => a.at - b.at) }
}

function submitSteps(item: OutboxItem, made: StoredStatement, me: string): readonly Step[] {
  const submitted = { by: me, recipient: null, reason: null } as const
  const { acceptance } = made
  if (acceptance === null) return [{ ...submitted, step: "submitted", at: item.created, log: null }]
  const log = placeOf(acceptance)
  const entry = decodeEntry(acceptance.entry)
  const relay = log?.origin.slice(0, log.origin.indexOf("/")) ?? ""
  return [
    { ...submitted, step: "submitted", at: item.created, log },
    { step: "custody", by: relay, at: entry.time, recipient: null, log, reason: null },
  ]
}

/** The evidence file of a sent message: its first logged envelope and every logged receipt for it. */
export async function evidenceFileOf(
  item: OutboxItem,
  isDisclosed: boolean,
  sources: Sources,
): Promise<string> {
  for (const messageId of item.envelopes) {
    const [made] = (await sources.statements.statementsOf(messageId)).filter(
      ({ acceptance }) => acceptance !== null,
    )
    const head = await sources.outbox.headOf(messageId)
    const draft = await sources.outbox.draftOf(item)
    if (made?.acceptance === undefined || made.acceptance === null || head === undefined) continue
    const receipts: EvidenceReceipt[] = []
    for (const { item: stored } of await sources.evidence.of(messageId)) {
      const { acceptance, receipt, auth } = stored
      if (acceptance === null) continue
      receipts.push({ receipt, auth, ...(await logged(acceptance, sources)) })
    }
    return formatEvidenceFile({
      header: head.header,
      auth: head.auth,
      logged: await logged(made.acceptance, sources),
      receipts,
      directories: await directoriesOf(sources),
      disclosure:
        isDisclosed && draft !== undefined
          ? { ...draft, contentCommitKey: head.contentCommitKey }
          : undefined,
    })
  }
  throw new ChappeError("not-ready", "no relay has logged the message yet")
}

async function logged(acceptance: Acceptance, sources: Sources): Promise<LoggedEvidence> {
  const place = placeOf(acceptance)
  const proof = place === null ? undefined : await sources.proofs.proofOf(place.origin, place.index)
  return { acceptance, proof }
}

async function directoriesOf({ follower }: Sources): Promise<readonly EvidenceDirectory[]> {
  const directories: EvidenceDirectory[] = []
  for (const origin of follower.origins()) {
    const verified = follower.verifiedOf(origin)
    if (verified === undefined || verified.checkpoint.length === 0) continue
    const entries = await follower.entriesOf(origin, verified.head.size)
    directories.push({ origin, checkpoint: fromUtf8(verified.checkpoint), entries })
  }
  return directories
}
