// One commit while it is made: what it writes over what is stored, its log entries, its relay receipts,
// its bodies. Later intents of a commit see what earlier ones wrote.

import type { ReceiptStep } from "../../protocol/receipt.ts"
import { compareBytes, toName } from "../../protocol/bytes.ts"
import { type LogEntry, encodeEntry } from "../../protocol/entry.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { limits } from "../../protocol/limits.ts"
import type { Acceptance } from "../../protocol/link-messages.ts"
import type { BodyLocation, RecordOp, RecordRange, RecordStore, StoredRecord } from "./ports.ts"
import type { RecordCodec } from "./records.ts"
import { openRecord, sealRecord } from "./tables.ts"

/** A step that the relay itself signs for. `ref`: the next relay's name. */
export type RelayStep = {
  readonly messageId: Uint8Array
  readonly recipientNode: string
  readonly step: ReceiptStep
  readonly reason: string | null
  readonly ref: Uint8Array | null
}

/** Some receipts of one batch of the commit. */
export type StepRange = { readonly batch: number; readonly first: number; readonly count: number }

export type SignedReceipt = { readonly receipt: Uint8Array; readonly auth: Uint8Array }

/** The relay's receipts for steps, in their order, and the acceptance of the batch that they stand in. */
export type SealedSteps = {
  readonly receipts: readonly SignedReceipt[]
  readonly acceptance: Acceptance
}

/** What a commit gives back when its log entries and receipts are final, before it is written. */
export type Sealed = {
  /** Of the entry appended to the traffic log under this number by `appendTraffic`. */
  readonly acceptance: (entry: number, salt: Uint8Array | null) => Acceptance
  readonly steps: (range: StepRange) => SealedSteps
}

/** `payload`: what is written under the key, made when it is asked for; undefined for a deletion. */
type Op = { readonly key: Uint8Array; readonly payload: (() => Uint8Array) | undefined }

function valueOf({ key, payload }: Op): Uint8Array | undefined {
  return payload === undefined ? undefined : sealRecord(key, payload())
}

/** What holds for the whole commit. */
export type CommitFacts = {
  /** Network time. */
  readonly now: number
  /** Time of its log entries; undefined while nothing may be logged, for the reason below. */
  readonly time: number | undefined
  /** `clock`: a clock is off; `not-ready`: the relay has started just now. */
  readonly untimed: "clock" | "not-ready"
  readonly trafficOrigin: string
  readonly directoryOrigin: string
  /** Index of the directory log's next entry, before this commit. */
  readonly directoryFirst: number
  /** Of the own directory log, as the traffic log has bound it: keys are judged there. */
  readonly directorySize: number
}

const waits = {
  clock: "the log waits until the clocks agree",
  "not-ready": "the log waits for those who may have seen more of it",
} as const

export class Draft {
  readonly facts: CommitFacts
  readonly #store: Pick<RecordStore, "get" | "range">
  readonly #ops = new Map<string, Op>()
  /** What is stored under keys that were read ahead. */
  readonly #ahead = new Map<string, Uint8Array | undefined>()
  readonly traffic: Uint8Array[] = []
  readonly directory: Uint8Array[] = []
  /** Relay receipts, in batches of one signature each. */
  readonly batches: RelayStep[][] = []
  readonly bodies: { readonly bytes: Uint8Array; readonly located: (at: BodyLocation) => void }[] =
    []
  readonly released: BodyLocation[] = []
  readonly #sealed: ((sealed: Sealed) => void)[] = []
  readonly #committed: (() => void)[] = []
  #boundDirectorySize: number | undefined

  constructor(store: Pick<RecordStore, "get" | "range">, facts: CommitFacts) {
    this.#store = store
    this.facts = facts
  }

  /** Time for a log entry. Refused: `clock`, `not-ready` while nothing may be logged. Ask before the first change. */
  get time(): number {
    return this.demandTime()
  }

  /** The same, for who changes first and logs later. */
  demandTime(): number {
    const { time, untimed } = this.facts
    if (time === undefined) throw new ChappeError(untimed, waits[untimed])
    return time
  }

  get isEmpty(): boolean {
    return (
      this.#ops.size === 0 &&
      this.traffic.length === 0 &&
      this.directory.length === 0 &&
      this.batches.length === 0
    )
  }

  /** How much was written: an intent that refuses must leave this as it found it. */
  get changes(): number {
    return this.#ops.size + this.traffic.length + this.directory.length + this.batches.length
  }

  /** Reads all of these at once, so that the commit's intents find them here. */
  async readAhead(keys: readonly Uint8Array[]): Promise<void> {
    const wanted = new Map(keys.map((key) => [toName(key), key]))
    const values = await Promise.all(
      [...wanted].map(async ([name, key]) => [name, await this.#store.get(key)] as const),
    )
    for (const [name, value] of values) this.#ahead.set(name, value)
  }

  /** Refused: `tampered`. */
  async get<T>(codec: RecordCodec<T>, key: Uint8Array): Promise<T | undefined> {
    const name = toName(key)
    const own = this.#ops.get(name)
    if (own !== undefined)
      return own.payload === undefined ? undefined : codec.decode(own.payload())
    const value = await this.#stored(name, key)
    return value === undefined ? undefined : codec.decode(openRecord(key, value))
  }

  async has(key: Uint8Array): Promise<boolean> {
    const name = toName(key)
    const own = this.#ops.get(name)
    if (own !== undefined) return own.payload !== undefined
    return (await this.#stored(name, key)) !== undefined
  }

  async #stored(name: string, key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#ahead.has(name) ? this.#ahead.get(name) : this.#store.get(key)
  }

  put<T>(codec: RecordCodec<T>, key: Uint8Array, item: T): void {
    this.#ops.set(toName(key), { key, payload: () => codec.encode(item) })
  }

  putBytes(key: Uint8Array, payload: Uint8Array): void {
    this.#ops.set(toName(key), { key, payload: () => payload })
  }

  delete(key: Uint8Array): void {
    this.#ops.set(toName(key), { key, payload: undefined })
  }

  /** Stored records with this commit's own changes over them; ascending. */
  async range(range: Omit<RecordRange, "reverse">): Promise<readonly StoredRecord[]> {
    const stored = await this.#store.range({ ...range, limit: range.limit + this.#ops.size })
    const merged = new Map(stored.map((record) => [toName(record.key), record]))
    for (const [name, op] of this.#ops) {
      const { key } = op
      if (compareBytes(key, range.gte) < 0 || compareBytes(key, range.lt) >= 0) continue
      const value = valueOf(op)
      if (value === undefined) merged.delete(name)
      else merged.set(name, { key, value })
    }
    return [...merged.values()].toSorted((a, b) => compareBytes(a.key, b.key)).slice(0, range.limit)
  }

  /** Appends to the traffic log; the number is for `Sealed.acceptance`. */
  appendTraffic(entry: LogEntry): number {
    return this.traffic.push(encodeEntry(entry)) - 1
  }

  /** Appends to the directory log; returns the entry's index. */
  appendDirectory(entry: LogEntry): number {
    return this.facts.directoryFirst + this.directory.push(encodeEntry(entry)) - 1
  }

  /** Binds a larger directory size, which counts from the next commit on. */
  bindDirectory(size: number): void {
    this.#boundDirectorySize = size
  }

  get boundDirectorySize(): number {
    return this.#boundDirectorySize ?? this.facts.directorySize
  }

  /** Receipts (up to 512) to be signed by the relay in one batch, which is one log entry. Needs `time`. */
  sign(steps: readonly RelayStep[]): StepRange {
    let last = this.batches.at(-1)
    if (last === undefined || last.length + steps.length > limits.batchMax)
      this.batches.push((last = []))
    const first = last.length
    last.push(...steps)
    return { batch: this.batches.length - 1, first, count: steps.length }
  }

  body(bytes: Uint8Array, located: (at: BodyLocation) => void): void {
    this.bodies.push({ bytes, located })
  }

  /** Gives a body's room back once the commit that forgets it is durable. */
  release(location: BodyLocation): void {
    this.released.push(location)
  }

  /** Called when entries and receipts are final; may still put records. */
  onSealed(call: (sealed: Sealed) => void): void {
    this.#sealed.push(call)
  }

  /** Called once everything is durable. */
  onCommitted(call: () => void): void {
    this.#committed.push(call)
  }

  seal(sealed: Sealed): void {
    for (const call of this.#sealed) call(sealed)
  }

  committed(): void {
    for (const call of this.#committed) call()
  }

  ops(): readonly RecordOp[] {
    return [...this.#ops.values()].map((op) => {
      const { key } = op
      const value = valueOf(op)
      return value === undefined ? { type: "del", key } : { type: "put", key, value }
    })
  }
}
