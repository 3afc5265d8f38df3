// Submits: a node hands an envelope over. Custody is the promise, given after the synced commit that holds
// body, slices, queue entries, log entry and the number's use. docs/PROTOCOL.md, "Delivery".

import type { BatchVerifier } from "../../protocol/batch.ts"
import { toHex } from "../../protocol/bytes.ts"
import type { Directory } from "../../protocol/directory.ts"
import { deliveryPolicyOf } from "../../protocol/delivery-policy.ts"
import { ChappeError } from "../../protocol/errors.ts"
import type { Acceptance } from "../../protocol/link-messages.ts"
import { memberStatuses } from "../../protocol/roster.ts"
import { relayLimits } from "../limits.ts"
import {
  type AdmittedEnvelope,
  type ReadEnvelope,
  type Submit,
  type SubmitFacts,
  admitEnvelope,
  isFinal,
  judgeLogStatement,
  readEnvelope,
  senderKey,
} from "./admit-submit.ts"
import type { Committer } from "./committer.ts"
import type { Draft, RelayStep } from "./draft.ts"
import type { Draining } from "./draining.ts"
import type { Peer } from "./links.ts"
import type { Logs } from "./logs.ts"
import {
  type HeldRecipient,
  type Mail,
  knownKey,
  messageKey,
  newHoldReads,
  sliceKey,
} from "./mail.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { AttachmentStore, Clock } from "./ports.ts"
import type { QueueGauge } from "./queue-gauge.ts"
import { type RecordCodec, knownRecord, messageRecord, queueNames, sliceRecord } from "./records.ts"
import type { Routes } from "./routes.ts"
import { burnNumber, factsOf, logStatement, statementReads } from "./statement-log.ts"
import { Turns } from "./turns.ts"

export type SubmitParts = {
  readonly clock: Clock
  readonly directory: Directory
  readonly batches: BatchVerifier
  readonly logs: Logs
  readonly network: NetworkClock
  readonly committer: Committer
  readonly mail: Mail
  readonly routes: Routes
  readonly gauge: QueueGauge
  readonly attachments: AttachmentStore
  readonly draining: Draining
  /** Whether the disk has room for new mail. */
  readonly hasRoom: () => boolean
}

export class Submits {
  readonly #parts: SubmitParts
  readonly #turns: Turns
  /** By peer: the highest log number that came. */
  readonly #newest = new Map<string, number>()
  /** By peer and messageId: the same envelope twice at once is admitted once. */
  readonly #inFlight = new Map<string, Promise<Acceptance>>()

  constructor(parts: SubmitParts) {
    this.#parts = parts
    this.#turns = new Turns(parts.clock, () => deliveryPolicyOf(parts.directory).quotas)
  }

  /** The stored answer for a known message. Refused: every code of the admission. */
  async take(from: Peer, submit: Submit): Promise<Acceptance> {
    const read = readEnvelope(submit)
    const peer = from.name
    const name = `${peer} ${toHex(read.messageId)}`
    const underway = this.#inFlight.get(name)
    if (underway !== undefined) return underway
    const bytes = submit.header.length + submit.body.length
    const taken = this.#turns.run(
      { member: peer, lane: read.header.core.precedence, bytes },
      async () => this.#take(from, submit, read),
    )
    this.#inFlight.set(name, taken)
    try {
      return await taken
    } finally {
      this.#inFlight.delete(name)
    }
  }

  async #take(from: Peer, submit: Submit, read: ReadEnvelope): Promise<Acceptance> {
    const { network, committer, draining } = this.#parts
    const peer = from.name
    const known = await committer.read(knownRecord, knownKey(read.messageId))
    if (known?.acceptance !== undefined && known.acceptance !== null)
      return this.#again(peer, submit, read, known.acceptance)
    draining.demandOpen(from)
    if (!network.isAgreed) throw new ChappeError("clock")
    this.#demandRoom()
    const facts = this.#facts(peer)
    let envelope: AdmittedEnvelope
    try {
      envelope = admitEnvelope(submit, read, facts)
    } catch (cause) {
      if (cause instanceof ChappeError && isFinal(cause.code))
        await this.#refuseForGood(submit, read, facts, cause)
      throw cause
    }
    this.#judgeQueues(namesIn(envelope))
    await this.#judgeAttachments(submit)
    // Again in the commit, where it costs no signature any more: nobody waits in line for this one.
    const { statement } = submit
    judgeLogStatement(statement, { ...facts, kind: "envelope", subject: read.messageId })
    return committer.commit(async (draft) => this.#accept(draft, submit, envelope, facts), {
      bodyBytes: submit.body.length,
      holds: read.messageId,
      reads: [
        knownKey(read.messageId),
        ...newHoldReads,
        ...statementReads(statement, { isNext: this.#isNext(peer, statement.seq) }),
      ],
    })
  }

  /** Only a hint about what to read together: what came late after a refusal, mostly. */
  #isNext(peer: string, seq: number): boolean {
    const isNext = seq > (this.#newest.get(peer) ?? 0)
    if (isNext) this.#newest.set(peer, seq)
    return isNext
  }

  #facts(peer: string): SubmitFacts {
    const { directory, batches, logs, network } = this.#parts
    const { now } = network
    const place = { origin: logs.directory.own.origin, size: logs.traffic.directorySize }
    const trafficOrigin = logs.traffic.own.origin
    return { directory, batches, place, now, acceptedAt: now, peer, trafficOrigin }
  }

  /** Refused: `busy` for a full disk. Also what is refused for good leaves receipts and a used number. */
  #demandRoom(): void {
    if (!this.#parts.hasRoom()) throw new ChappeError("busy", "the disk has no room for new mail")
  }

  /** Refused: `busy` when what could be delivered meets full queues only: the others' shares go on. */
  #judgeQueues(nodes: readonly string[]): void {
    const reasons = nodes.map((node) => this.#obstacle(node))
    if (reasons.includes("busy") && !reasons.includes(undefined))
      throw new ChappeError("busy", "the recipients' queues are full")
  }

  /** Why a share of this recipient cannot be queued now. */
  #obstacle(node: string): "suspended" | "no-relay" | "busy" | undefined {
    const { directory, gauge, routes } = this.#parts
    if (directory.member(node)?.status !== memberStatuses.active) return "suspended"
    if (routes.queueFor(node) === undefined) return "no-relay"
    return gauge.mailFor(node) > relayLimits.memberBytesMax ? "busy" : undefined
  }

  async #judgeAttachments({ attachments }: Submit): Promise<void> {
    for (const { hash, length } of attachments)
      if (!(await this.#parts.attachments.isWhole(hash, length)))
        throw new ChappeError("attachments-missing", `attachment ${toHex(hash)} is not whole here`)
  }

  async #accept(
    draft: Draft,
    submit: Submit,
    envelope: AdmittedEnvelope,
    before: SubmitFacts,
  ): Promise<() => Acceptance> {
    const facts = factsOf(draft, before)
    senderKey(envelope, facts)
    await this.#judgeAttachments(submit)
    const { messageId, header } = envelope
    const { statement } = submit
    const logged = await logStatement(
      draft,
      { kind: "envelope", statement, subject: messageId },
      facts,
    )
    if (logged.kind === "stored") return () => logged.acceptance
    const { acceptance } = logged
    const isNew = !(await draft.has(knownKey(messageId)))
    await this.#place(draft, submit, envelope, { acceptance, isNew })
    draft.onSealed(() => {
      const { expires } = header.core
      draft.put(knownRecord, knownKey(messageId), { acceptance: acceptance(), expires })
    })
    return acceptance
  }

  /** Queues what can be delivered, and tells the sender of the rest. */
  async #place(
    draft: Draft,
    submit: Submit,
    envelope: AdmittedEnvelope,
    { acceptance, isNew }: { readonly acceptance: () => Acceptance; readonly isNew: boolean },
  ): Promise<void> {
    const { mail, routes } = this.#parts
    const { messageId, header, paths } = envelope
    const { core } = header
    const recipients: HeldRecipient[] = []
    const undelivered: RelayStep[] = []
    for (const [i, { node }] of core.recipients.entries()) {
      const slice = isNew ? undefined : await draft.get(sliceRecord, sliceKey(messageId, node))
      if (slice !== undefined && slice.queue !== queueNames.aside) continue
      const leaf = submit.leaves[i]
      const path = paths[i]
      if (leaf === undefined || path === undefined)
        throw new RangeError("a leaf for each recipient")
      const queue = routes.queueFor(node)
      const reason = this.#obstacle(node)
      if (reason === undefined && queue !== undefined) recipients.push({ node, leaf, path, queue })
      else
        undelivered.push({
          messageId,
          recipientNode: node,
          step: "undelivered",
          reason: reason ?? "no-relay",
          ref: null,
        })
    }
    if (recipients.length > 0)
      await mail.hold(
        draft,
        {
          isNew,
          messageId,
          header: submit.header,
          auth: submit.auth,
          attachments: submit.attachments,
          via: null,
          recipients,
          body: submit.body,
          lane: core.precedence,
          expires: core.expires,
        },
        acceptance,
      )
    const queue = routes.evidenceQueueFor(core.senderNode)
    await mail.tell(draft, { self: routes.self, sender: core.senderNode, queue }, undelivered)
  }

  /**
   * A known message: the stored answer stands. Recipients whose share is gone get it again, for their
   * node may have asked the sender for it; a node that has it answers with its stored receipt. The answer
   * is custody, so it is not given while a share is gone that cannot be queued yet.
   */
  async #again(
    peer: string,
    submit: Submit,
    read: ReadEnvelope,
    acceptance: Acceptance,
  ): Promise<Acceptance> {
    const { committer, network } = this.#parts
    const missing = await missingIn(async (codec, key) => committer.read(codec, key), read)
    if (missing.length === 0) return acceptance
    if (!network.isAgreed) throw new ChappeError("clock")
    let envelope: AdmittedEnvelope
    try {
      envelope = admitEnvelope(submit, read, this.#facts(peer))
    } catch (cause) {
      // It was taken once, and can never be taken again: it has expired, say.
      if (cause instanceof ChappeError && isFinal(cause.code)) return acceptance
      throw cause
    }
    this.#demandRoom()
    this.#judgeQueues(missing)
    await this.#judgeAttachments(submit)
    return committer.commit(
      async (draft) => {
        const still = await missingIn(async (codec, key) => draft.get(codec, key), read)
        if (still.length === 0) return () => acceptance
        if (draft.facts.time === undefined) throw new ChappeError("clock")
        await this.#judgeAttachments(submit)
        const again = { acceptance: () => acceptance, isNew: false }
        await this.#place(draft, submit, envelope, again)
        return () => acceptance
      },
      { bodyBytes: submit.body.length, holds: read.messageId },
    )
  }

  /**
   * A refusal that sending again cannot mend uses the number up, when its statement holds: the relay logs
   * REJECTED receipts, with which it can explain the gap, and tells the sender.
   */
  async #refuseForGood(
    submit: Submit,
    read: ReadEnvelope,
    facts: SubmitFacts,
    { code }: ChappeError,
  ): Promise<void> {
    const { committer, mail, routes } = this.#parts
    const { messageId, header } = read
    const logged = { kind: "envelope", statement: submit.statement, subject: messageId } as const
    try {
      await committer.commit(async (draft) => {
        const isFirst = await burnNumber(draft, logged, factsOf(draft, facts), code)
        if (!isFirst) return () => undefined
        const queue = routes.evidenceQueueFor(facts.peer)
        const steps = header.core.recipients.map(({ node }): RelayStep => ({
          messageId,
          recipientNode: node,
          step: "rejected",
          reason: code,
          ref: null,
        }))
        await mail.tell(draft, { self: routes.self, sender: facts.peer, queue }, steps)
        return () => undefined
      })
    } catch (cause) {
      // The statement does not hold either: nothing of it is used, and the refusal stands.
      if (!(cause instanceof ChappeError)) throw cause
    }
  }
}

function namesIn({ header: { core } }: ReadEnvelope): readonly string[] {
  return core.recipients.map(({ node }) => node)
}

type Read = <T>(codec: RecordCodec<T>, key: Uint8Array) => Promise<T | undefined>

/** Recipients of a known message for whom nothing waits here any more. */
async function missingIn(read: Read, envelope: ReadEnvelope): Promise<readonly string[]> {
  const { messageId } = envelope
  const nodes = namesIn(envelope)
  if ((await read(messageRecord, messageKey(messageId))) === undefined) return nodes
  const missing: string[] = []
  for (const node of nodes) {
    const slice = await read(sliceRecord, sliceKey(messageId, node))
    if (slice === undefined || slice.queue === queueNames.aside) missing.push(node)
  }
  return missing
}
