// Deadlines of what this node sent: where a recipient has not signed for a message at its lane's deadline,
// the node says so with a logged receipt, and tells the desk, who, when and how urgent, until the desk has
// heard it; and again what became of it. docs/PROTOCOL.md, "Deadlines".

import { sha256 } from "../../keys/crypto.ts"
import { equalBytes, toHex } from "../../protocol/bytes.ts"
import { type Infer, flag, list, record } from "../../protocol/codec.ts"
import {
  type MissedOutcome,
  type MissedReport,
  encodeNote,
  missedNote,
} from "../../protocol/control.ts"
import type { DeliveryPolicy } from "../../protocol/delivery-policy.ts"
import type { Directory } from "../../protocol/directory.ts"
import { precedences } from "../../protocol/envelope.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { limits } from "../../protocol/limits.ts"
import { memberName } from "../../protocol/names.ts"
import { nodeLimits } from "../limits.ts"
import type { Evidence } from "./evidence.ts"
import { type Rung, isSettled } from "./ladder.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { Outbox } from "./outbox.ts"
import type { OutboxItem, RecipientState } from "./outbox-records.ts"
import type { Change, Log } from "./ports.ts"
import type { ReceiptBook } from "./receipt-book.ts"
import { type Records, type Table, walk } from "./records.ts"
import { Serials } from "./serial.ts"

const missedRecord = record({
  report: missedNote,
  desks: list(record({ name: memberName, hasHeard: flag }), 0, limits.membersMax),
})
/** A missed deadline; kept until its outcome is known and every desk has heard it. */
type Missed = Infer<typeof missedRecord>

type Telling = { readonly missed: Missed; attempts: number; nextMs: number }

export class Deadlines {
  readonly #me: string
  readonly #directory: Directory
  readonly #outbox: Outbox
  readonly #receipts: ReceiptBook
  readonly #evidence: Evidence
  readonly #records: Records
  readonly #table: Table<Missed>
  readonly #clock: NetworkClock
  readonly #log: Log
  readonly #policy: () => DeliveryPolicy
  readonly #tell: (desk: string, report: MissedReport, attempt: number) => Promise<void>
  readonly #serials = new Serials()
  /** By the item's number: what is on its way to a recipient, and when it is due. */
  readonly #running = new Map<number, number>()
  readonly #tellings = new Map<string, Telling>()
  /** Whose recipient's copy may be settled. */
  readonly #settled = new Set<string>()

  constructor(options: {
    readonly me: string
    readonly directory: Directory
    readonly outbox: Outbox
    readonly receipts: ReceiptBook
    readonly evidence: Evidence
    readonly records: Records
    readonly clock: NetworkClock
    readonly log: Log
    readonly policy: () => DeliveryPolicy
    /** Tells a desk, which may be this node; the attempt's number says through which relay. */
    readonly tell: (desk: string, report: MissedReport, attempt: number) => Promise<void>
  }) {
    this.#me = options.me
    this.#directory = options.directory
    this.#outbox = options.outbox
    this.#receipts = options.receipts
    this.#evidence = options.evidence
    this.#records = options.records
    this.#table = options.records.table("deadline-missed", missedRecord)
    this.#clock = options.clock
    this.#log = options.log
    this.#policy = options.policy
    this.#tell = options.tell
    this.#outbox.whenChanged((item) => this.#follow(item))
  }

  async load(): Promise<void> {
    for await (const { key, item } of walk(this.#table)) this.#remember(key, item)
    for (const item of await this.#outbox.unsettled()) this.#follow(item)
  }

  #remember(key: string, missed: Missed): void {
    this.#tellings.set(key, { missed, attempts: 0, nextMs: 0 })
    this.#settled.add(key)
  }

  #follow(item: OutboxItem): void {
    for (const { member, rung } of item.recipients)
      if (isSettled(rung)) this.#settled.add(missedKey(item.id, member))
    const isAwaited = ({ member, rung }: RecipientState): boolean =>
      !isSettled(rung) && !this.#tellings.has(missedKey(item.id, member))
    if (item.recipients.some(isAwaited)) this.#running.set(item.number, this.#dueAt(item))
    else this.#running.delete(item.number)
  }

  #dueAt({ created, expires, lane }: OutboxItem): number {
    return Math.min(expires, created + this.#policy().deadlineSeconds[precedences[lane]])
  }

  /** Says what was missed, and tells the desk what it has not heard. */
  async tick(): Promise<void> {
    if (this.#clock.isOff || !this.#directory.hasRoster) return
    const now = this.#clock.now()
    const due = [...this.#running].filter(([, at]) => at < now).map(([number]) => number)
    for (const number of due.slice(0, nodeLimits.deadlinesPerTick)) await this.#missed(number)
    for (const key of this.#settled) await this.#conclude(key)
    const nowMs = this.#clock.monotonicMs()
    const tellings = [...this.#tellings].filter(([, { nextMs }]) => nextMs <= nowMs)
    for (const [key, telling] of tellings.slice(0, nodeLimits.deadlinesPerTick))
      await this.#tellDesks(key, telling)
  }

  async #missed(number: number): Promise<void> {
    this.#running.delete(number)
    const item = await this.#outbox.byNumber(number)
    if (item === undefined) return
    for (const state of item.recipients)
      if (!isSettled(state.rung) && !this.#tellings.has(missedKey(item.id, state.member)))
        await this.#miss(item, state)
  }

  async #miss(item: OutboxItem, { member, messageId }: RecipientState): Promise<void> {
    const deadline = this.#dueAt(item)
    const report: MissedReport = {
      name: "missed",
      id: item.id,
      messageId,
      recipient: member,
      lane: item.lane,
      created: item.created,
      deadline,
      expires: item.expires,
      relays: this.#outbox.custodiansOf(messageId).slice(0, limits.reportedRelaysMax),
      outcome: null,
    }
    const desks = this.#directory
      .desks()
      .filter((desk) => desk !== member && this.#directory.isActiveMember(desk))
      .map((name) => ({ name, hasHeard: false }))
    const missed = { report, desks }
    const key = missedKey(item.id, member)
    const changes = [this.#table.put(key, missed)]
    const committed = messageId === null ? undefined : this.#sign(messageId, member, changes)
    const rung = { name: "undelivered", at: this.#clock.now(), reason: "deadline" } as const
    this.#remember(key, missed)
    await this.#outbox.missed(item.number, member, rung, changes)
    committed?.()
    this.#log.warn("deadline", { id: toHex(item.id), recipient: member, lane: item.lane })
  }

  /** This node's own UNDELIVERED: it goes to the log like every receipt, and stands in the evidence at once. */
  #sign(messageId: Uint8Array, member: string, changes: Change[]): () => void {
    const receipt = {
      to: this.#me,
      messageId,
      step: "undelivered",
      reason: "deadline",
      by: this.#me,
      ref: null,
      recipientNode: member,
    } as const
    const signed = this.#receipts.sign([receipt], "")
    changes.push(...signed.changes, ...signed.items.map((one) => this.#evidence.own(one)))
    return signed.committed
  }

  /** Once the recipient's copy is settled the desk is to hear how. */
  async #conclude(key: string): Promise<void> {
    this.#settled.delete(key)
    await this.#serials.run(key, async () => {
      const telling = this.#tellings.get(key)
      if (telling === undefined) return
      const { report, desks } = telling.missed
      if (report.outcome !== null) return
      const item = await this.#outbox.byId(report.id)
      const state = item?.recipients.find(({ member }) => member === report.recipient)
      if (state === undefined || !isSettled(state.rung)) return
      const outcome = { step: outcomeOf(state.rung), at: state.at }
      const missed = {
        report: { ...report, outcome },
        desks: desks.map(({ name }) => ({ name, hasHeard: false })),
      }
      await this.#keep(key, missed)
    })
  }

  /** Keeps what is left to be told; nothing once all has been heard to the end. */
  async #keep(key: string, missed: Missed): Promise<void> {
    const { report, desks } = missed
    if (report.outcome !== null && desks.every(({ hasHeard }) => hasHeard)) {
      await this.#records.commit([this.#table.remove(key)])
      this.#tellings.delete(key)
      return
    }
    await this.#records.commit([this.#table.put(key, missed)])
    this.#tellings.set(key, { missed, attempts: 0, nextMs: 0 })
  }

  async #tellDesks(key: string, telling: Telling): Promise<void> {
    const { report, desks } = telling.missed
    const unheard = desks.filter(({ hasHeard }) => !hasHeard)
    if (unheard.length === 0) return await this.#keepOver(key, telling)
    const { noteRepeatMs, noteRepeatMsMax } = nodeLimits
    const wait = Math.min(noteRepeatMs * 2 ** telling.attempts, noteRepeatMsMax)
    telling.nextMs = this.#clock.monotonicMs() + wait
    for (const { name } of unheard)
      try {
        await this.#tell(name, report, telling.attempts)
      } catch (cause) {
        if (!(cause instanceof ChappeError) || isOwnDisk(cause)) throw cause
        this.#log.info("note-failed", { to: name, code: cause.code })
      }
    telling.attempts += 1
  }

  /** All desks have heard it, or there is none: it waits for its outcome. */
  async #keepOver(key: string, telling: Telling): Promise<void> {
    telling.nextMs = Infinity
    if (telling.missed.report.outcome !== null)
      await this.#serials.run(key, () => this.#keep(key, telling.missed))
  }

  /** A desk has heard the report with this hash. */
  async heard(desk: string, hash: Uint8Array): Promise<void> {
    for (const [key, { missed }] of this.#tellings) {
      if (!equalBytes(sha256(encodeNote(missed.report)), hash)) continue
      await this.#serials.run(key, async () => {
        const now = this.#tellings.get(key)?.missed
        if (now === undefined || now.report !== missed.report) return
        const desks = now.desks.map((one) => (one.name === desk ? { ...one, hasHeard: true } : one))
        await this.#keep(key, { ...now, desks })
      })
    }
  }

  /** A link came up: what a desk has not heard can be told. */
  linkUp(): void {
    for (const telling of this.#tellings.values())
      if (telling.nextMs !== Infinity) Object.assign(telling, { attempts: 0, nextMs: 0 })
  }
}

function missedKey(id: Uint8Array, member: string): string {
  return `${toHex(id)}/${member}`
}

function outcomeOf(rung: Rung): MissedOutcome {
  return rung === "expired" || rung === "rejected" ? rung : "delivered"
}

function isOwnDisk({ code }: ChappeError): boolean {
  return code === "storage" || code === "disk-full"
}
