// Hands sealed envelopes to relays until one has custody, a flash two: the first home that is linked, then
// the next with the same bytes, when an answer or a receipt is late or the link breaks. A relay that lost
// its disk is refilled from here. docs/PROTOCOL.md, "Delivery".

import { fromHex, toHex } from "../../protocol/bytes.ts"
import type { DeliveryPolicy } from "../../protocol/delivery-policy.ts"
import type { Directory } from "../../protocol/directory.ts"
import { type Lane, lanes, precedences } from "../../protocol/envelope.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { linkLaneOf } from "../../protocol/frames.ts"
import { nodeLimits } from "../limits.ts"
import type { Alarms } from "./alarms.ts"
import { Refused, ask } from "./ask.ts"
import type { BodyTransfer } from "./body-transfer.ts"
import type { LinkTable } from "./link-table.ts"
import type { LogStatements, StoredStatement } from "./log-statements.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { LoadedEnvelope, Outbox } from "./outbox.ts"
import type { ActiveEnvelope, OutboxItem } from "./outbox-records.ts"
import { OwedNumbers } from "./owed-numbers.ts"
import type { Log, RelayLink } from "./ports.ts"
import type { Proofs } from "./proofs.ts"
import type { Records } from "./records.ts"

const nothing = (): void => undefined

type Attempt = {
  /** Relays that were tried since the last pause. */
  readonly tried: Set<string>
  /** Relays that have it in hand and have not answered. */
  readonly asked: Set<string>
  /** Relays that will never take it. */
  readonly refused: Set<string>
  /** By relay: when it wants to be asked again. */
  readonly notBefore: Map<string, number>
  /** Submits that are not late. */
  underWay: number
  notBeforeMs: number
}

/** An envelope that every linked relay took, and still without a receipt after its deadline. */
type Repetition = { rounds: number; nextMs: number }

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
  readonly #heldNumber: (relay: string, keyId: Uint8Array) => number | undefined
  readonly #owed: OwedNumbers
  readonly #attempts = new Map<string, Attempt>()
  readonly #repetitions = new Map<string, Repetition>()
  /** Submits under way, by lane. */
  readonly #underWay = new Map<Lane, number>()
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
    /** The highest number of this key in its log that the relay said it holds. */
    readonly heldNumber: (relay: string, keyId: Uint8Array) => number | undefined
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
    this.#heldNumber = options.heldNumber
    this.#owed = new OwedNumbers({
      clock: this.#clock,
      statements: this.#statements,
      isWaiting: (messageId) => this.#outbox.isWaiting(messageId),
      submit: async (link, messageId) => this.#submitQuietly(link, messageId),
    })
    this.#outbox.whenSealed(() => this.pump())
  }

  stop(): void {
    this.#stopped = true
  }

  /** A link is up: first what has a number in that relay's log, then whatever waits. */
  async linkUp(link: RelayLink): Promise<void> {
    for (const attempt of this.#attempts.values()) {
      attempt.tried.delete(link.relay)
      attempt.notBeforeMs = 0
    }
    const origin = this.#statements.originOf(link.relay)
    for (const { kind, subject } of await this.#statements.openItems(origin))
      if (kind === "envelope") await this.#submitQuietly(link, subject)
    this.pump()
    this.pumpOverdue()
    this.#refill(link).catch((cause: unknown) => {
      // A failed disk is reported by the records themselves.
      if (!(cause instanceof ChappeError)) throw cause
      this.#log.info("refill-failed", { relay: link.relay, code: cause.code })
    })
  }

  /**
   * A relay that came back without what it had in custody gets it again, from the ends; one after another, as
   * long as this link lasts, and beside everything else.
   */
  async #refill(link: RelayLink): Promise<void> {
    for (const { messageId, custodians } of this.#outbox.active()) {
      if (this.#stopped || this.#links.get(link.relay) !== link) return
      if (!custodians.includes(link.relay) || !(await this.#isLost(link.relay, messageId))) continue
      this.#log.info("refill", { id: toHex(messageId), relay: link.relay })
      await this.#submitQuietly(link, messageId)
    }
  }

  /** Whether the relay has begun another log since it took this, or holds fewer numbers than it promised. */
  async #isLost(relay: string, messageId: Uint8Array): Promise<boolean> {
    const made = await this.#statements.known(messageId, this.#statements.originOf(relay))
    if (made === undefined || made.acceptance === null) return true
    const { keyId, seq } = made.statement
    const held = this.#heldNumber(relay, keyId)
    return held !== undefined && held < seq
  }

  /**
   * Starts as many submits as may be under way. Each lane may always have one: a stream of urgent mail
   * does not keep the rest here for ever.
   */
  pump(): void {
    if (this.#stopped || this.#clock.isOff || this.#links.first() === undefined) return
    for (const lane of lanes.toReversed()) this.#start(lane, this.#outbox.waiting(lane))
  }

  /** What should be at more relays than it is, or is in custody for too long without a receipt. */
  pumpOverdue(): void {
    if (this.#stopped || this.#clock.isOff || this.#links.first() === undefined) return
    const inCustody = this.#outbox.active().filter(({ custodians }) => custodians.length > 0)
    for (const name of this.#repetitions.keys())
      if (!this.#outbox.isInCustody(fromHex(name))) this.#repetitions.delete(name)
    for (const [name, { asked }] of this.#attempts)
      if (asked.size === 0 && !this.#outbox.isActive(fromHex(name))) this.#attempts.delete(name)
    for (const lane of lanes.toReversed())
      this.#start(
        lane,
        inCustody.filter((envelope) => envelope.lane === lane && this.#isWanting(envelope)),
      )
    for (const envelope of inCustody) if (this.#isRepetitionDue(envelope)) this.#repeat(envelope)
  }

  /** Numbers that a relay would not take when they were given, and that nothing else brings there. */
  async payOwed(): Promise<void> {
    if (this.#stopped || this.#clock.isOff) return
    await Promise.all(this.#links.inOrder().map((link) => this.#owed.pay(link)))
  }

  #start(lane: Lane, envelopes: Iterable<ActiveEnvelope>): void {
    for (const envelope of envelopes)
      for (;;) {
        if (!this.#hasRoom(lane)) return
        const attempt = this.#attemptOf(envelope.messageId)
        if (attempt.notBeforeMs > this.#clock.monotonicMs()) break
        if (envelope.custodians.length + attempt.underWay >= this.#copies(envelope)) break
        const link = this.#nextLink(envelope, attempt)
        if (link === undefined) break
        void this.#run(envelope, attempt, link)
      }
  }

  #hasRoom(lane: Lane): boolean {
    const underWay = [...this.#underWay.values()].reduce((sum, one) => sum + one, 0)
    return underWay < nodeLimits.submitsInFlight || (this.#underWay.get(lane) ?? 0) === 0
  }

  #isWanting(envelope: ActiveEnvelope): boolean {
    return envelope.custodians.length < this.#copies(envelope)
  }

  /** At how many relays it should be: a flash at two at once; one more after each deadline. */
  #copies(envelope: ActiveEnvelope): number {
    const first = precedences[envelope.lane] === "flash" ? 2 : 1
    return first + this.#deadlinesPassed(envelope)
  }

  #deadlinesPassed({ custodians, custodyAt, lane }: ActiveEnvelope): number {
    if (custodians.length === 0) return 0
    return Math.floor((this.#clock.now() - custodyAt) / this.#deadlineSeconds(lane))
  }

  #deadlineSeconds(lane: Lane): number {
    return this.#policy().deadlineSeconds[precedences[lane]]
  }

  /** A relay that took it may have lost it: it is handed in again, less and less often. */
  #isRepetitionDue(envelope: ActiveEnvelope): boolean {
    const { custodians, messageId } = envelope
    if (this.#deadlinesPassed(envelope) < custodians.length) return false
    if (this.#links.first(new Set(custodians)) !== undefined) return false
    return (this.#repetitions.get(toHex(messageId))?.nextMs ?? 0) <= this.#clock.monotonicMs()
  }

  #repeat(envelope: ActiveEnvelope): void {
    const { lane, messageId } = envelope
    const unusable = this.#unusable(this.#attemptOf(messageId))
    const links = this.#links.inOrder().filter(({ relay }) => !unusable.has(relay))
    const repetition = this.#repetitions.get(toHex(messageId)) ?? { rounds: 0, nextMs: 0 }
    const link = links[repetition.rounds % links.length]
    if (link === undefined || !this.#hasRoom(lane)) return
    const deadlineMs = this.#deadlineSeconds(lane) * 1_000
    const waitMsMax = Math.max(deadlineMs, nodeLimits.handAgainMsMax)
    const waitMs = Math.min(deadlineMs * 2 ** repetition.rounds, waitMsMax)
    const rounds = repetition.rounds + 1
    const nextMs = this.#clock.monotonicMs() + waitMs
    this.#repetitions.set(toHex(messageId), { rounds, nextMs })
    this.#log.info("hand-again", { id: toHex(messageId), relay: link.relay, rounds })
    void this.#run(envelope, this.#attemptOf(messageId), link)
  }

  #attemptOf(messageId: Uint8Array): Attempt {
    const name = toHex(messageId)
    let attempt = this.#attempts.get(name)
    if (attempt === undefined) {
      attempt = {
        tried: new Set(),
        asked: new Set(),
        refused: new Set(),
        notBefore: new Map(),
        underWay: 0,
        notBeforeMs: 0,
      }
      this.#attempts.set(name, attempt)
    }
    return attempt
  }

  #nextLink({ custodians }: ActiveEnvelope, attempt: Attempt): RelayLink | undefined {
    const unusable = this.#unusable(attempt)
    const next = this.#links.first(new Set([...attempt.tried, ...custodians, ...unusable]))
    if (next === undefined && attempt.tried.size > 0 && attempt.underWay === 0) {
      // All were tried: again from the first, but not at once.
      attempt.tried.clear()
      attempt.notBeforeMs = this.#clock.monotonicMs() + nodeLimits.retryMs
      this.#clock.after(nodeLimits.retryMs, () => this.pump())
    }
    return next
  }

  /** Relays that have it in hand, will never take it, or want to be asked later. */
  #unusable({ asked, refused, notBefore }: Attempt): ReadonlySet<string> {
    const nowMs = this.#clock.monotonicMs()
    const later = [...notBefore].flatMap(([relay, ms]) => (ms > nowMs ? [relay] : []))
    return new Set([...asked, ...refused, ...later])
  }

  async #run(envelope: ActiveEnvelope, attempt: Attempt, link: RelayLink): Promise<void> {
    const { lane } = envelope
    attempt.underWay += 1
    this.#underWay.set(lane, (this.#underWay.get(lane) ?? 0) + 1)
    attempt.tried.add(link.relay)
    const submitted = this.#submit(link, envelope.messageId).catch((cause: unknown) =>
      this.#failed(envelope, attempt, link, cause),
    )
    try {
      await this.#inTime(submitted, envelope)
    } finally {
      attempt.underWay -= 1
      this.#underWay.set(lane, (this.#underWay.get(lane) ?? 1) - 1)
      this.pump()
    }
  }

  /** Resolves when no answer comes in time too; the answer still counts when it comes. */
  async #inTime(submitted: Promise<void>, envelope: ActiveEnvelope): Promise<void> {
    const item = await this.#outbox.byNumber(envelope.number)
    // A relay that is taking attachments in is not late.
    if (item !== undefined && item.attachments.length > 0) return await submitted
    let cancel = nothing
    const late = new Promise<void>((resolve) => {
      cancel = this.#clock.after(nodeLimits.answerPatienceMs, resolve)
    })
    await Promise.race([submitted, late]).finally(cancel)
  }

  #failed(envelope: ActiveEnvelope, attempt: Attempt, link: RelayLink, cause: unknown): void {
    if (!(cause instanceof ChappeError)) throw cause
    const id = toHex(envelope.messageId)
    this.#log.info("submit-failed", { id, relay: link.relay, code: cause.code })
    if (!(cause instanceof Refused) || cause.isFinal || cause.retrySeconds === 0) return
    attempt.notBefore.set(link.relay, this.#clock.monotonicMs() + cause.retrySeconds * 1_000)
    this.#clock.after(cause.retrySeconds * 1_000, () => this.pump())
  }

  /** Sends again what must reach this relay, whatever became of it elsewhere. */
  async #submitQuietly(link: RelayLink, messageId: Uint8Array): Promise<void> {
    const attempt = this.#attempts.get(toHex(messageId))
    if (attempt !== undefined && this.#unusable(attempt).has(link.relay)) return
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
    const { asked } = this.#attemptOf(messageId)
    asked.add(link.relay)
    try {
      await this.#handOver(link, messageId)
    } finally {
      asked.delete(link.relay)
    }
  }

  async #handOver(link: RelayLink, messageId: Uint8Array): Promise<void> {
    const envelope = await this.#outbox.envelope(messageId)
    const item = await this.#outbox.ofEnvelope(messageId)
    if (envelope === undefined || item === undefined) return
    // What has expired goes for its number alone: the relay refuses it, and the number is used.
    const isOver = this.#clock.now() > item.expires
    for (const body of isOver ? [] : item.attachments) await this.#bodies.upload(link, body)
    const made = await this.#statementFor(link.relay, messageId)
    try {
      await this.#submitUnder(made, link, item, envelope, messageId)
    } catch (cause) {
      const { origin } = made.statement
      const current = this.#statements.originOf(link.relay)
      if (!(cause instanceof Refused) || cause.code !== "stale" || origin === current) throw cause
      // It does not know the message any more: it is new there, under a number of the new log.
      const anew = await this.#statements.prepare("envelope", messageId, current, true)
      await this.#submitUnder(anew, link, item, envelope, messageId)
    }
  }

  /**
   * What this relay took the message under, in an earlier log of its own; else a statement for its log
   * now. A relay that knows the message would leave a new number unused.
   */
  async #statementFor(relay: string, messageId: Uint8Array): Promise<StoredStatement> {
    const origin = this.#statements.originOf(relay)
    const earlier = (await this.#statements.statementsOf(messageId)).filter(({ statement }) =>
      statement.origin.startsWith(`${relay}/`),
    )
    const isCurrent = earlier.some(({ statement }) => statement.origin === origin)
    const taken = earlier.findLast(({ acceptance }) => acceptance !== null)
    if (!isCurrent && taken !== undefined) return taken
    return await this.#statements.prepare("envelope", messageId, origin, true)
  }

  async #submitUnder(
    made: StoredStatement,
    link: RelayLink,
    item: OutboxItem,
    envelope: LoadedEnvelope,
    messageId: Uint8Array,
  ): Promise<void> {
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
      const accepted = this.#statements.opened(made, messageId, answer.acceptance)
      const leaf = answer.acceptance.entry
      await this.#outbox.inCustody(messageId, link.relay, accepted.entry.time, [
        ...this.#statements.answered(made, messageId, answer.acceptance),
        ...this.#proofs.want(accepted.origin, accepted.index, leaf),
      ])
      this.#log.info("custody", { id: toHex(messageId), relay: link.relay })
    } catch (cause) {
      if (cause instanceof Refused && cause.isFinal)
        await this.#refusedForGood(link, item, cause, made, messageId)
      else if (cause instanceof Refused) this.#owed.owe(link.relay, cause.retrySeconds)
      if (cause instanceof ChappeError && cause.code === "entry")
        await this.#alarms.raise("evidence-refused", `${link.relay} ${toHex(messageId)}`)
      throw cause
    }
  }

  /**
   * The number at this relay is used up. The message itself is refused only when every relay of the network
   * has refused it for good: one relay alone must not be able to end it, whether others are slow or away.
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
    const { refused } = this.#attemptOf(messageId)
    refused.add(link.relay)
    const isEnded = this.#directory.activeRelays().every((relay) => refused.has(relay))
    if (!isEnded || this.#outbox.isInCustody(messageId)) return await this.#records.commit(changes)
    for (const { member } of item.recipients) {
      await this.#outbox.reached(messageId, member, rung, changes)
      changes = []
    }
  }
}
