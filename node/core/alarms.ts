// Alarms: what an operator must see. Kept with their evidence; the same alarm about the same subject
// is raised once.

import { toHex } from "../../protocol/bytes.ts"
import { type Infer, bytes, list, record, text, uint } from "../../protocol/codec.ts"
import { nodeLimits } from "../limits.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { Log } from "./ports.ts"
import { type Records, type Table, walk } from "./records.ts"

export type AlarmKind =
  | "clock-off"
  | "clone"
  | "log-fork"
  | "log-rollback"
  | "chain-fork"
  | "own-chain"
  | "checkpoint-mismatch"
  | "channel-fork"
  | "statement-refused"
  | "evidence-refused"
  | "gaps-full"
  | "no-sealing-key"
  | "standby-used"

const alarmRecord = record({
  kind: text(32),
  subject: text(200),
  at: uint(0xffff_ffff),
  evidence: list(bytes(0, 1_048_576), 0, 8),
})
export type Alarm = Infer<typeof alarmRecord>

export class Alarms {
  readonly #records: Records
  readonly #table: Table<Alarm>
  readonly #clock: NetworkClock
  readonly #log: Log
  readonly #raised = new Map<string, Alarm>()
  /** How many stand of a kind, and of a kind about one name. */
  readonly #counts = new Map<string, number>()
  /** In hex. */
  readonly #cloned = new Set<string>()

  constructor(records: Records, clock: NetworkClock, log: Log) {
    this.#records = records
    this.#table = records.table("alarm", alarmRecord)
    this.#clock = clock
    this.#log = log
  }

  async load(): Promise<void> {
    for await (const { key, item } of walk(this.#table)) this.#remember(key, item)
  }

  /**
   * `subject`: names, ids and numbers; who or what it is about comes first. Of more than a bounded number
   * of one kind only a line is written: they say nothing new, and whoever causes them may go on for ever.
   */
  async raise(
    kind: AlarmKind,
    subject: string,
    evidence: readonly Uint8Array[] = [],
  ): Promise<void> {
    const key = `${kind}/${subject}`
    if (this.#raised.has(key)) return
    if (this.#isFull(kind, subject)) {
      this.#log.warn("alarm-not-kept", { kind, subject })
      return
    }
    const alarm = { kind, subject, at: this.#clock.now(), evidence }
    this.#remember(key, alarm)
    this.#log.warn("alarm", { kind, subject })
    await this.#records.commit([this.#table.put(key, alarm)])
  }

  /** The cause has gone, as after a clock was set. */
  async clear(kind: AlarmKind, subject: string): Promise<void> {
    const key = `${kind}/${subject}`
    if (!this.#raised.delete(key)) return
    for (const group of groupsOf({ kind, subject }))
      this.#counts.set(group, (this.#counts.get(group) ?? 1) - 1)
    await this.#records.commit([this.#table.remove(key)])
  }

  /** Whether a relay has seen later work of this key than is known here. */
  isCloned(keyId: Uint8Array): boolean {
    return this.#cloned.has(toHex(keyId))
  }

  #remember(key: string, alarm: Alarm): void {
    this.#raised.set(key, alarm)
    for (const group of groupsOf(alarm)) this.#counts.set(group, (this.#counts.get(group) ?? 0) + 1)
    // A key that was seen at work elsewhere never signs here again.
    if (alarm.kind === "clone") this.#cloned.add(alarm.subject.slice(-keyIdDigits))
  }

  #isFull(kind: AlarmKind, subject: string): boolean {
    const [all = "", about = ""] = groupsOf({ kind, subject })
    return (
      (this.#counts.get(all) ?? 0) >= nodeLimits.alarmsOfKindMax ||
      (this.#counts.get(about) ?? 0) >= nodeLimits.alarmsAboutOneMax
    )
  }

  list(): readonly Alarm[] {
    return [...this.#raised.values()].toSorted((a, b) => a.at - b.at)
  }
}

const keyIdDigits = 32

function groupsOf({ kind, subject }: Pick<Alarm, "kind" | "subject">): readonly string[] {
  const [name = ""] = subject.split(/[ /]/u)
  return [kind, `${kind}/${name}`]
}
