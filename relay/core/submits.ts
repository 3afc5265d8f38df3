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
import { knownRecord, queueNames, sliceRecord } from "./records.ts"
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
    const facts = this.#facts(peer)
    let envelope: AdmittedEnvelope
    try {
      envelope = admitEnvelope(submit, read, facts)
    } catch (cause) {
      if (cause instanceof ChappeError && isFinal(cause.code))
        await this.#refuseForGood(submit, read, facts, cause)
      throw cause
    }
    await this.#judgeRoom(submit, envelope)
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

  /** Refused: `busy` for a full queue or disk, `attachments-missing`. */
  async #judgeRoom(submit: Submit, { header: { core } }: ReadEnvelope): Promise<void> {
    const { gauge, hasRoom, routes } = this.#parts
    if (!hasRoom()) throw new ChappeError("busy", "the disk has no room for new mail")
    for (const { node } of core.recipients) {
      const queue = routes.queueFor(node)
      if (queue !== undefined && gauge.depth(queue).bytes > relayLimits.memberBytesMax)
        throw new ChappeError("busy", `${node}'s queue is full`)
    }
    await this.#judgeAttachments(submit)
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
    const { mail, routes, directory } = this.#parts
    const { messageId, header, paths } = envelope
    const { core } = header
    const recipients: HeldRecipient[] = []
    const undelivered: RelayStep[] = []
    for (const [i, { node }] of core.recipients.entries()) {
      const slice = isNew ? undefined : await draft.get(sliceRecord, sliceKey(messageId, node))
      if (slice !== undefined && slice.queue !== queueNames.aside) continue
      const queue = routes.queueFor(node)
      const isActive = directory.member(node)?.status === memberStatuses.active
      const leaf = submit.leaves[i]
      const path = paths[i]
      if (leaf === undefined || path === undefined)
        throw new RangeError("a leaf for each recipient")
      if (isActive && queue !== undefined) recipients.push({ node, leaf, path, queue })
      else
        undelivered.push({
          messageId,
          recipientNode: node,
          step: "undelivered",
          reason: isActive ? "no-relay" : "suspended",
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
    if (queue !== undefined)
      await mail.tell(draft, { self: routes.self, sender: core.senderNode, queue }, undelivered)
  }

  /**
   * A known message: the stored answer stands. Recipients whose share is gone get it again, for their
   * node may have asked the sender for it; a node that has it answers with its stored receipt.
   */
  async #again(
    peer: string,
    submit: Submit,
    read: ReadEnvelope,
    acceptance: Acceptance,
  ): Promise<Acceptance> {
    const { committer, network } = this.#parts
    let envelope: AdmittedEnvelope
    try {
      if (!network.isAgreed) return acceptance
      envelope = admitEnvelope(submit, read, this.#facts(peer))
      await this.#judgeRoom(submit, envelope)
    } catch (cause) {
      if (cause instanceof ChappeError) return acceptance
      throw cause
    }
    return committer.commit(
      async (draft) => {
        if (draft.facts.time === undefined) return () => acceptance
        const isHeld = await draft.has(messageKey(read.messageId))
        const missing = isHeld ? await this.#missing(draft, envelope) : true
        const again = { acceptance: () => acceptance, isNew: false }
        if (missing) await this.#place(draft, submit, envelope, again)
        return () => acceptance
      },
      { bodyBytes: submit.body.length, holds: read.messageId },
    )
  }

  async #missing(draft: Draft, { messageId, header: { core } }: ReadEnvelope): Promise<boolean> {
    for (const { node } of core.recipients) {
      const slice = await draft.get(sliceRecord, sliceKey(messageId, node))
      if (slice === undefined || slice.queue === queueNames.aside) return true
    }
    return false
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
        const queue = routes.evidenceQueueFor(facts.peer)
        if (!isFirst || queue === undefined) return () => undefined
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
