// Alarms: what an operator must see. Kept with their evidence; the same alarm about the same subject
// is raised once.

import { toHex } from "../../protocol/bytes.ts"
import { type Infer, bytes, list, record, text, uint } from "../../protocol/codec.ts"
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

  constructor(records: Records, clock: NetworkClock, log: Log) {
    this.#records = records
    this.#table = records.table("alarm", alarmRecord)
    this.#clock = clock
    this.#log = log
  }

  async load(): Promise<void> {
    for await (const { key, item } of walk(this.#table)) this.#raised.set(key, item)
  }

  /** `subject`: names, ids and numbers. */
  async raise(
    kind: AlarmKind,
    subject: string,
    evidence: readonly Uint8Array[] = [],
  ): Promise<void> {
    const key = `${kind}/${subject}`
    if (this.#raised.has(key)) return
    const alarm = { kind, subject, at: this.#clock.now(), evidence }
    this.#raised.set(key, alarm)
    this.#log.warn("alarm", { kind, subject })
    await this.#records.commit([this.#table.put(key, alarm)])
  }

  /** The cause has gone, as after a clock was set. */
  async clear(kind: AlarmKind, subject: string): Promise<void> {
    const key = `${kind}/${subject}`
    if (!this.#raised.delete(key)) return
    await this.#records.commit([this.#table.remove(key)])
  }

  /** Whether a relay has seen later work of this key than is known here. */
  isCloned(keyId: Uint8Array): boolean {
    const name = toHex(keyId)
    return this.list().some(({ kind, subject }) => kind === "clone" && subject.endsWith(name))
  }

  list(): readonly Alarm[] {
    return [...this.#raised.values()].toSorted((a, b) => a.at - b.at)
  }
}
