// Hands sealed envelopes to relays until one has custody: the first home that is linked, then the next
// with the same bytes, when an answer is late or the link breaks. docs/PROTOCOL.md, "Custody".

import { openAcceptance } from "../../keys/accepted-entry.ts"
import { toHex } from "../../protocol/bytes.ts"
import type { DeliveryPolicy } from "../../protocol/delivery-policy.ts"
import type { Directory } from "../../protocol/directory.ts"
import { precedences } from "../../protocol/envelope.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { linkLaneOf } from "../../protocol/frames.ts"
import { nodeLimits } from "../limits.ts"
import type { Alarms } from "./alarms.ts"
import { Refused, ask } from "./ask.ts"
import type { BodyTransfer } from "./body-transfer.ts"
import type { LinkTable } from "./link-table.ts"
import type { LogStatements } from "./log-statements.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { Outbox } from "./outbox.ts"
import type { ActiveEnvelope } from "./outbox-records.ts"
import type { Log, RelayLink } from "./ports.ts"
import type { Proofs } from "./proofs.ts"
import type { Records } from "./records.ts"

const nothing = (): void => undefined

type Attempt = {
  /** Relays that were tried since the last pause. */
  readonly tried: Set<string>
  underWay: boolean
  notBeforeMs: number
}

export class Dispatcher {
  readonly #directory: Directory
  readonly #links: LinkTable
  readonly #outbox: Outbox
  readonly #records: Records
  readonly #statements: LogStatements
  readonly #bodies: BodyTransfer
  readonly #proofs: Proofs
  readonly #alarms: Alarms
  readonly #clock: NetworkClock
  readonly #log: Log
  readonly #policy: () => DeliveryPolicy
  readonly #attempts = new Map<string, Attempt>()
  #underWay = 0
  #stopped = false

  constructor(options: {
    readonly directory: Directory
    readonly links: LinkTable
    readonly outbox: Outbox
    readonly records: Records
    readonly statements: LogStatements
    readonly bodies: BodyTransfer
    readonly proofs: Proofs
    readonly alarms: Alarms
    readonly clock: NetworkClock
    readonly log: Log
    readonly policy: () => DeliveryPolicy
  }) {
    this.#directory = options.directory
    this.#links = options.links
    this.#outbox = options.outbox
    this.#records = options.records
    this.#statements = options.statements
    this.#bodies = options.bodies
    this.#proofs = options.proofs
    this.#alarms = options.alarms
    this.#clock = options.clock
    this.#log = options.log
    this.#policy = options.policy
    this.#outbox.whenSealed(() => this.pump())
  }

  stop(): void {
    this.#stopped = true
  }

  /** A link is up: first what has a number in that relay's log, then whatever waits. */
  async linkUp(link: RelayLink): Promise<void> {
    for (const attempt of this.#attempts.values()) attempt.tried.delete(link.relay)
    const origin = this.#statements.originOf(link.relay)
    for (const { kind, subject } of await this.#statements.openItems(origin))
      if (kind === "envelope") await this.#submitQuietly(link, subject)
    this.pump()
  }

  /** Starts as many submits as may be under way. */
  pump(): void {
    if (this.#stopped || this.#clock.isOff) return
    this.#start(this.#outbox.waiting())
  }

  /** In custody so long without a receipt that another relay should have it too. */
  pumpOverdue(): void {
    if (this.#stopped || this.#clock.isOff) return
    this.#start(this.#outbox.active().filter((envelope) => this.#isOverdue(envelope)))
  }

  #start(envelopes: Iterable<ActiveEnvelope>): void {
    for (const envelope of envelopes) {
      if (this.#underWay >= nodeLimits.submitsInFlight) return
      const attempt = this.#attemptOf(envelope)
      if (attempt.underWay || attempt.notBeforeMs > this.#clock.monotonicMs()) continue
      const link = this.#nextLink(envelope, attempt)
      if (link === undefined) continue
      attempt.underWay = true
      this.#underWay += 1
      void this.#run(envelope, attempt, link)
    }
  }

  #isOverdue({ custodians, custodyAt, lane }: ActiveEnvelope): boolean {
    if (custodians.length === 0) return false
    const deadline = this.#policy().deadlineSeconds[precedences[lane]]
    return this.#clock.now() > custodyAt + deadline * custodians.length
  }

  #attemptOf({ messageId }: ActiveEnvelope): Attempt {
    const name = toHex(messageId)
    let attempt = this.#attempts.get(name)
    if (attempt === undefined) {
      attempt = { tried: new Set(), underWay: false, notBeforeMs: 0 }
      this.#attempts.set(name, attempt)
    }
    return attempt
  }

  #nextLink({ custodians }: ActiveEnvelope, attempt: Attempt): RelayLink | undefined {
    const next = this.#links.first(new Set([...attempt.tried, ...custodians]))
    if (next === undefined && attempt.tried.size > 0) {
      // All were tried: again from the first, but not at once.
      attempt.tried.clear()
      attempt.notBeforeMs = this.#clock.monotonicMs() + nodeLimits.retryMs
      this.#clock.after(nodeLimits.retryMs, () => this.pump())
    }
    return next
  }

  async #run(envelope: ActiveEnvelope, attempt: Attempt, link: RelayLink): Promise<void> {
    try {
      attempt.tried.add(link.relay)
      const submitted = this.#submit(link, envelope.messageId)
      const inTime = await this.#inTime(submitted, envelope)
      if (inTime) this.#attempts.delete(toHex(envelope.messageId))
    } catch (cause) {
      this.#failed(envelope, attempt, link, cause)
    } finally {
      attempt.underWay = false
      this.#underWay -= 1
      this.pump()
    }
  }

  /** False when no answer comes in time; the answer still counts when it comes. */
  async #inTime(submitted: Promise<void>, envelope: ActiveEnvelope): Promise<boolean> {
    const item = await this.#outbox.byNumber(envelope.number)
    // A relay that is taking attachments in is not late.
    if (item !== undefined && item.attachments.length > 0) return await submitted.then(() => true)
    let cancel = nothing
    const late = new Promise<boolean>((resolve) => {
      cancel = this.#clock.after(nodeLimits.answerPatienceMs, () => resolve(false))
    })
    const done = submitted.then(() => true)
    done.catch(() => undefined)
    return await Promise.race([done, late]).finally(cancel)
  }

  #failed(envelope: ActiveEnvelope, attempt: Attempt, link: RelayLink, cause: unknown): void {
    if (!(cause instanceof ChappeError)) throw cause
    const id = toHex(envelope.messageId)
    this.#log.info("submit-failed", { id, relay: link.relay, code: cause.code })
    if (!(cause instanceof Refused) || cause.isFinal || cause.retrySeconds === 0) return
    if (this.#links.first(attempt.tried) !== undefined) return
    attempt.notBeforeMs = this.#clock.monotonicMs() + cause.retrySeconds * 1_000
    this.#clock.after(cause.retrySeconds * 1_000, () => this.pump())
  }

  /** Sends again what must reach this relay, whatever became of it elsewhere. */
  async #submitQuietly(link: RelayLink, messageId: Uint8Array): Promise<void> {
    try {
      await this.#submit(link, messageId)
    } catch (cause) {
      if (!(cause instanceof ChappeError)) throw cause
      if (cause.code === "storage" || cause.code === "disk-full") throw cause
      this.#log.info("resubmit-failed", {
        id: toHex(messageId),
        relay: link.relay,
        code: cause.code,
      })
    }
  }

  /** Hands the same envelope to a relay again, as a recipient asked for it. */
  async again(link: RelayLink, messageId: Uint8Array): Promise<void> {
    await this.#submitQuietly(link, messageId)
  }

  async #submit(link: RelayLink, messageId: Uint8Array): Promise<void> {
    const envelope = await this.#outbox.envelope(messageId)
    const item = await this.#outbox.ofEnvelope(messageId)
    if (envelope === undefined || item === undefined) return
    for (const body of item.attachments) await this.#bodies.upload(link, body)
    const origin = this.#statements.originOf(link.relay)
    const made = await this.#statements.prepare("envelope", messageId, origin, true)
    const request = {
      name: "submit",
      header: envelope.header,
      auth: envelope.auth,
      leaves: envelope.leaves,
      statement: made.statement,
      attachments: item.attachments,
      body: envelope.body,
    } as const
    try {
      const answer = await ask(link, linkLaneOf(item.lane), request, "accepted")
      const accepted = openAcceptance(this.#directory, answer.acceptance, messageId)
      const leaf = answer.acceptance.entry
      await this.#outbox.inCustody(messageId, link.relay, accepted.entry.time, [
        ...this.#statements.answered(made, messageId, answer.acceptance),
        ...this.#proofs.want(accepted.origin, accepted.index, leaf),
      ])
      this.#log.info("custody", { id: toHex(messageId), relay: link.relay })
    } catch (cause) {
      if (cause instanceof Refused && cause.isFinal)
        await this.#refusedForGood(link, item, cause, made, messageId)
      if (cause instanceof ChappeError && cause.code === "entry")
        await this.#alarms.raise("evidence-refused", `${link.relay} ${toHex(messageId)}`)
      throw cause
    }
  }

  /**
   * The number at this relay is used up. The message itself is refused only when no relay keeps it and
   * none is left to ask: one relay alone must not be able to end it.
   */
  async #refusedForGood(
    link: RelayLink,
    item: { readonly recipients: readonly { readonly member: string }[] },
    refusal: Refused,
    made: Parameters<LogStatements["answered"]>[0],
    messageId: Uint8Array,
  ): Promise<void> {
    const rung = { name: "rejected", at: this.#clock.now(), reason: refusal.code } as const
    let changes = this.#statements.answered(made, messageId, null)
    const tried = this.#attempts.get(toHex(messageId))?.tried ?? []
    const next = this.#links.first(new Set([...tried, link.relay]))
    if (next !== undefined || this.#outbox.isInCustody(messageId))
      return await this.#records.commit(changes)
    for (const { member } of item.recipients) {
      await this.#outbox.reached(messageId, member, rung, changes)
      changes = []
    }
  }
}
