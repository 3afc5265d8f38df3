// The officers' journal: every read, search, export and decision, each record naming the hash of the one
// before it, so that nothing can be changed or taken out unnoticed. Its head goes to a relay's log every
// ten minutes when it changed.

import { sha256 } from "../../keys/crypto.ts"
import { equalBytes, toHex } from "../../protocol/bytes.ts"
import { zeroHash } from "../../protocol/chain.ts"
import { type Infer, bytes, encode, record, text, uint } from "../../protocol/codec.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { linkLanes } from "../../protocol/frames.ts"
import { Refused, ask } from "./ask.ts"
import type { LinkTable } from "./link-table.ts"
import type { LogStatements } from "./log-statements.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { Log, RelayLink } from "./ports.ts"
import type { Proofs } from "./proofs.ts"
import { type Records, type Table, numberKey, walk } from "./records.ts"
import { Serial } from "./serial.ts"

const u32 = uint(0xffff_ffff)
const journalEntry = record({
  seq: u32,
  prev: bytes(32),
  at: u32,
  officer: text(65),
  action: text(64),
  subject: text(200),
  purpose: text(400),
})
export type JournalEntry = Infer<typeof journalEntry>

/** What an officer did to what. `subject`: an id or a name, never content. */
export type JournalLine = Pick<JournalEntry, "officer" | "action" | "subject" | "purpose">

const anchorRecord = record({ seq: u32, head: bytes(32), origin: text(130), index: u32 })
/** Where a head of the journal was logged. */
export type JournalAnchor = Infer<typeof anchorRecord>

export type JournalVerdict =
  | { readonly kind: "intact"; readonly entries: number; readonly anchors: number }
  | { readonly kind: "broken"; readonly seq: number; readonly why: string }

export class Journal {
  readonly #records: Records
  readonly #entries: Table<JournalEntry>
  readonly #anchors: Table<JournalAnchor>
  readonly #statements: LogStatements
  readonly #links: LinkTable
  readonly #proofs: Proofs
  readonly #clock: NetworkClock
  readonly #log: Log
  readonly #serial = new Serial()
  #seq = 0
  #head: Uint8Array = zeroHash
  #anchored = 0

  constructor(options: {
    readonly records: Records
    readonly statements: LogStatements
    readonly links: LinkTable
    readonly proofs: Proofs
    readonly clock: NetworkClock
    readonly log: Log
  }) {
    this.#records = options.records
    this.#entries = options.records.table("journal", journalEntry)
    this.#anchors = options.records.table("journal-anchor", anchorRecord)
    this.#statements = options.statements
    this.#links = options.links
    this.#proofs = options.proofs
    this.#clock = options.clock
    this.#log = options.log
  }

  async load(): Promise<void> {
    const [last] = await this.#entries.list({ limit: 1, reverse: true })
    if (last !== undefined) {
      this.#seq = last.item.seq
      this.#head = headOf(last.item)
    }
    const [anchor] = await this.#anchors.list({ limit: 1, reverse: true })
    this.#anchored = anchor?.item.seq ?? 0
  }

  get length(): number {
    return this.#seq
  }

  /** On disk when it resolves; whatever it is about is answered only then. */
  async write(line: JournalLine): Promise<void> {
    await this.#serial.run(async () => {
      const seq = this.#seq + 1
      const entry = { ...line, seq, prev: this.#head, at: this.#clock.now() }
      await this.#records.commit([this.#entries.put(numberKey(seq), entry)])
      this.#seq = seq
      this.#head = headOf(entry)
    })
  }

  async list(after: number, limit: number): Promise<readonly JournalEntry[]> {
    const found = await this.#entries.list({ after: numberKey(after), limit })
    return found.map(({ item }) => item)
  }

  /** Reads everything again: numbers, hashes, and the heads that were logged. */
  async verify(): Promise<JournalVerdict> {
    const anchors = new Map<number, JournalAnchor>()
    for await (const { item } of walk(this.#anchors)) anchors.set(item.seq, item)
    const newest = Math.max(this.#seq, ...anchors.keys())
    let head: Uint8Array = zeroHash
    for (let seq = 1; seq <= newest; seq++) {
      const entry = await this.#read(seq)
      if (typeof entry === "string") return broken(seq, entry)
      if (entry.seq !== seq || !equalBytes(entry.prev, head)) return broken(seq, "does not follow")
      head = headOf(entry)
      const anchor = anchors.get(seq)
      if (anchor !== undefined && !equalBytes(anchor.head, head))
        return broken(seq, "is not the one that was logged")
    }
    return { kind: "intact", entries: newest, anchors: anchors.size }
  }

  /** The record, or why it does not count. */
  async #read(seq: number): Promise<JournalEntry | string> {
    try {
      return (await this.#entries.get(numberKey(seq))) ?? "is missing"
    } catch (cause) {
      if (cause instanceof ChappeError && cause.code === "tampered") return "does not open"
      throw cause
    }
  }

  /** Logs the head if it changed since the last time. */
  async anchor(): Promise<void> {
    const link = this.#links.first()
    if (link === undefined || this.#seq === this.#anchored || this.#clock.isOff) return
    const seq = this.#seq
    await this.#submit(link, this.#head, seq)
    this.#anchored = seq
  }

  /** Heads that have a number in this relay's log and no answer. */
  async linkUp(link: RelayLink): Promise<void> {
    const origin = this.#statements.originOf(link.relay)
    for (const { kind, subject } of await this.#statements.openItems(origin))
      if (kind === "journal") await this.#submit(link, subject, await this.#seqOf(subject))
  }

  async #submit(link: RelayLink, head: Uint8Array, seq: number): Promise<void> {
    const origin = this.#statements.originOf(link.relay)
    const made = await this.#statements.prepare("journal", head, origin, false)
    const request = { name: "journal", statement: made.statement, head: null } as const
    try {
      const { acceptance } = await ask(link, linkLanes.routine, request, "accepted")
      this.#statements.opened(made, head, acceptance)
      const anchor = { seq, head, origin, index: acceptance.index }
      await this.#records.commit([
        ...this.#statements.answered(made, head, { ...acceptance, salt: made.salt }),
        ...this.#proofs.want(origin, acceptance.index, acceptance.entry),
        this.#anchors.put(numberKey(seq), anchor),
      ])
      this.#log.info("journal-anchored", { origin, index: acceptance.index })
    } catch (cause) {
      if (cause instanceof Refused && cause.isFinal)
        await this.#records.commit(this.#statements.answered(made, head, null))
      throw cause
    }
  }

  async #seqOf(head: Uint8Array): Promise<number> {
    for await (const { item } of walk(this.#entries))
      if (equalBytes(headOf(item), head)) return item.seq
    throw new ChappeError("tampered", `the journal no longer has the head ${toHex(head)}`)
  }
}

function headOf(entry: JournalEntry): Uint8Array {
  return sha256(encode(journalEntry, entry))
}

function broken(seq: number, why: string): JournalVerdict {
  return { kind: "broken", seq, why: `record ${seq} ${why}` }
}
