// The desk's list of deadlines that members' messages have missed, as their senders' nodes report them:
// who, to whom, when and how urgent, never what. docs/PROTOCOL.md, "Deadlines".

import { sha256 } from "../../keys/crypto.ts"
import { toHex } from "../../protocol/bytes.ts"
import { type Infer, record } from "../../protocol/codec.ts"
import { type MissedReport, type Note, encodeNote, missedNote } from "../../protocol/control.ts"
import type { Directory } from "../../protocol/directory.ts"
import { time } from "../../protocol/envelope.ts"
import { limits } from "../../protocol/limits.ts"
import { memberName } from "../../protocol/names.ts"
import { nodeLimits } from "../limits.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { Log } from "./ports.ts"
import { type Keyed, type Records, type Table, walk } from "./records.ts"
import { Serial } from "./serial.ts"

const escalation = record({ from: memberName, at: time, report: missedNote })
/** `at`: when it was first heard of. */
export type Escalation = Infer<typeof escalation>

export class Escalations {
  readonly #me: string
  readonly #directory: Directory
  readonly #records: Records
  readonly #table: Table<Escalation>
  readonly #clock: NetworkClock
  readonly #log: Log
  readonly #answer: (to: string, note: Note) => Promise<void>
  readonly #serial = new Serial()
  /** Open ones by sender. */
  readonly #open = new Map<string, Set<string>>()
  /** How many have an outcome, by sender. */
  readonly #closed = new Map<string, number>()

  constructor(options: {
    readonly me: string
    readonly directory: Directory
    readonly records: Records
    readonly clock: NetworkClock
    readonly log: Log
    /** Tells the sender's node that its report was heard. */
    readonly answer: (to: string, note: Note) => Promise<void>
  }) {
    this.#me = options.me
    this.#directory = options.directory
    this.#records = options.records
    this.#table = options.records.table("escalation", escalation)
    this.#clock = options.clock
    this.#log = options.log
    this.#answer = options.answer
  }

  async load(): Promise<void> {
    for await (const { key, item } of walk(this.#table)) this.#count(key, item)
  }

  get openCount(): number {
    return [...this.#open.values()].reduce((sum, keys) => sum + keys.size, 0)
  }

  /** Keeps it and answers that it was heard. Passed over by who is no desk, and beyond the bound. */
  async take(from: string, report: MissedReport): Promise<void> {
    if (!this.#directory.desks().includes(this.#me)) return
    const isKept = await this.#serial.run(async () => {
      const key = `${from}/${toHex(report.id)}/${report.recipient}`
      const before = await this.#table.get(key)
      const open = this.#open.get(from)?.size ?? 0
      if (before === undefined && open >= nodeLimits.escalationsOpenMax) return false
      // Its outcome is final: an older word that comes after it changes nothing.
      if (before !== undefined && before.report.outcome !== null) return true
      const now = this.#clock.now()
      const item = { from, at: before?.at ?? now, report: notLaterThan(now, report) }
      await this.#records.commit([this.#table.put(key, item)])
      this.#count(key, item)
      if ((this.#closed.get(from) ?? 0) > nodeLimits.escalationsClosedMax) await this.#thin(from)
      const { recipient, outcome } = report
      const state = outcome?.step ?? "open"
      this.#log.warn("escalation", { from, id: toHex(report.id), recipient, state })
      return true
    })
    if (isKept) await this.#answer(from, { name: "heard", report: sha256(encodeNote(report)) })
  }

  #count(key: string, { from, report }: Escalation): void {
    const keys = this.#open.get(from) ?? new Set<string>()
    if (report.outcome === null) keys.add(key)
    else {
      keys.delete(key)
      this.#closed.set(from, (this.#closed.get(from) ?? 0) + 1)
    }
    if (keys.size === 0) this.#open.delete(from)
    else this.#open.set(from, keys)
  }

  /** The oldest deadline first; those with an outcome only when asked for. */
  async list(all: boolean): Promise<readonly Escalation[]> {
    const found: Escalation[] = []
    if (all) for await (const { item } of walk(this.#table)) found.push(item)
    else
      for (const key of [...this.#open.values()].flatMap((keys) => [...keys])) {
        const item = await this.#table.get(key)
        if (item !== undefined) found.push(item)
      }
    return found.toSorted((a, b) => a.report.deadline - b.report.deadline)
  }

  /** Those that ended long ago. */
  async forgetOld(now: number): Promise<void> {
    for await (const { key, item } of walk(this.#table)) {
      const { outcome } = item.report
      if (outcome === null || outcome.at + limits.idKeepSeconds > now) continue
      await this.#forget(item.from, [key])
    }
  }

  /** A member may open and close as many as it likes: the older half of what has ended goes. */
  async #thin(from: string): Promise<void> {
    const ended: Keyed<Escalation>[] = []
    for await (const one of walk(this.#table, `${from}/`))
      if (one.item.report.outcome !== null) ended.push(one)
    const oldest = ended.toSorted((a, b) => a.item.at - b.item.at).slice(0, ended.length / 2)
    await this.#forget(
      from,
      oldest.map(({ key }) => key),
    )
    this.#log.warn("escalations-thinned", { from, count: oldest.length })
  }

  async #forget(from: string, keys: readonly string[]): Promise<void> {
    await this.#records.commit(keys.map((key) => this.#table.remove(key)))
    this.#closed.set(from, (this.#closed.get(from) ?? 0) - keys.length)
  }
}

/** The time of an outcome is the sender's word: one in the future would be kept for ever. */
function notLaterThan(now: number, report: MissedReport): MissedReport {
  const { outcome } = report
  if (outcome === null) return report
  return { ...report, outcome: { ...outcome, at: Math.min(outcome.at, now) } }
}
