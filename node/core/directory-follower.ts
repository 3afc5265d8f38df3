// Follows every relay's directory log: takes its statements into the one directory, places them, and
// compares what it was given with the heads that the relay signs. docs/PROTOCOL.md, "Directory".
//
// Statements authenticate themselves, so they count as soon as they come; that an origin's log is the
// same for everybody is what checkpoints are compared for.

import { crypto, sha256 } from "../../keys/crypto.ts"
import { equalBytes, toHex } from "../../protocol/bytes.ts"
import { decodeChainStatement } from "../../protocol/chain.ts"
import { type OpenedCheckpoint, openCheckpoint } from "../../protocol/checkpoint.ts"
import { type Infer, bytes, record, uint } from "../../protocol/codec.ts"
import type { Directory, StatementKind } from "../../protocol/directory.ts"
import { statementOf } from "../../protocol/directory-tail.ts"
import { decodeEntry } from "../../protocol/entry.ts"
import { type DirectoryHead, directoryHead } from "../../protocol/envelope.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { linkLanes } from "../../protocol/frames.ts"
import { limits } from "../../protocol/limits.ts"
import { decodeMultiSigned } from "../../protocol/multi-signed.ts"
import {
  type TreeRange,
  appendToRange,
  emptyRange,
  emptyRoot,
  leafHash,
  rangeRoot,
  treeRoot,
} from "../../protocol/tree.ts"
import { parseVerifierKey } from "../../protocol/verifier-key.ts"
import type { Alarms } from "./alarms.ts"
import { ask } from "./ask.ts"
import type { Log, RelayLink } from "./ports.ts"
import { type Records, type Table, numberKey, walk } from "./records.ts"
import { Serials } from "./serial.ts"
import { WaitingStatements } from "./waiting-statements.ts"

const rawEntry = bytes(1, limits.entryBytesMax)
const verifiedHead = record({
  head: directoryHead,
  checkpoint: bytes(0, limits.noteBytesMax),
  at: uint(0xffff_ffff),
})
/** `checkpoint`: the note, empty while only a HELLO has named the head. */
export type VerifiedHead = Infer<typeof verifiedHead>

type Followed = {
  range: TreeRange
  readonly leaves: Uint8Array[]
  verified: VerifiedHead | undefined
  /** Hex ids of the statements that it holds. */
  readonly ids: Set<string>
}

export type Learned = {
  readonly kind: StatementKind
  readonly id: Uint8Array
  readonly statement: Uint8Array
}

export class DirectoryFollower {
  readonly #directory: Directory
  readonly #records: Records
  readonly #entries: Table<Uint8Array>
  readonly #heads: Table<VerifiedHead>
  readonly #alarms: Alarms
  readonly #log: Log
  readonly #now: () => number
  readonly #followed = new Map<string, Followed>()
  readonly #serials = new Serials()
  readonly #waiting = new WaitingStatements()
  readonly #onLearned: ((learned: Learned) => void)[] = []

  constructor(options: {
    readonly directory: Directory
    readonly records: Records
    readonly alarms: Alarms
    readonly log: Log
    readonly now: () => number
  }) {
    this.#directory = options.directory
    this.#records = options.records
    this.#entries = options.records.table("directory-entry", rawEntry)
    this.#heads = options.records.table("directory-head", verifiedHead)
    this.#alarms = options.alarms
    this.#log = options.log
    this.#now = options.now
  }

  /** Called for each statement that was new to the directory. */
  whenLearned(task: (learned: Learned) => void): void {
    this.#onLearned.push(task)
  }

  /** What was stored in earlier runs. */
  async load(): Promise<void> {
    for await (const { key, item } of walk(this.#entries)) {
      const origin = key.slice(0, key.lastIndexOf("/"))
      const followed = this.#follow(origin)
      this.#takeEntry(origin, followed.range.size, item)
      grow(followed, item)
    }
    for await (const { key, item } of walk(this.#heads)) {
      const followed = this.#follow(key)
      if (followed.range.size < item.head.size)
        throw new ChappeError("tampered", `entries of ${key} are missing from the records`)
      followed.verified = item
    }
  }

  /**
   * Takes a statement in from any source: a relay, a log, or this node itself. Forks raise an alarm and are
   * kept as evidence.
   */
  learn(kind: StatementKind, statement: Uint8Array, source = "own"): void {
    if (!this.#apply(kind, statement)) this.#waiting.add(source, { kind, statement })
    else this.#waiting.retry((one) => this.#apply(one.kind, one.statement))
  }

  /** Statements that do not fit yet. */
  get waitingCount(): number {
    return this.#waiting.count
  }

  sizeOf(origin: string): number {
    return this.#followed.get(origin)?.range.size ?? 0
  }

  /** Whether the origin's log is known to hold this statement. */
  holds(origin: string, id: Uint8Array): boolean {
    return this.#followed.get(origin)?.ids.has(toHex(id)) ?? false
  }

  /** The last head that a relay signed and that fits what it gave; an empty log's before that. */
  headOf(origin: string): DirectoryHead {
    return this.#followed.get(origin)?.verified?.head ?? { size: 0, root: emptyRoot(sha256) }
  }

  /** The head's note, once a checkpoint was seen. */
  verifiedOf(origin: string): VerifiedHead | undefined {
    return this.#followed.get(origin)?.verified
  }

  origins(): readonly string[] {
    return [...this.#followed.keys()].toSorted()
  }

  /** The first `size` raw entries of an origin. */
  async entriesOf(origin: string, size: number): Promise<readonly Uint8Array[]> {
    const entries: Uint8Array[] = []
    for await (const { item } of walk(this.#entries, `${origin}/`)) {
      if (entries.length === size) break
      entries.push(item)
    }
    return entries
  }

  /** Whether this head fits what the origin gave here; `unknown` while less of it is here. */
  judgeHead(origin: string, head: DirectoryHead): "fits" | "differs" | "unknown" {
    const root = rootAt(this.#follow(origin), head.size)
    if (root === undefined) return "unknown"
    return equalBytes(root, head.root) ? "fits" : "differs"
  }

  /** Fetches what the relay's directory log holds beyond what is here. */
  async refresh(link: RelayLink): Promise<void> {
    const origin = this.#originOf(link.relay)
    if (origin === undefined) return
    await this.#serials.run(origin, async () => {
      for (;;) {
        const from = this.sizeOf(origin)
        const request = { name: "directoryGet", origin, from } as const
        const part = await ask(link, linkLanes.control, request, "directoryPart")
        if (part.entries.length === 0) return
        await this.#append(origin, part.entries)
      }
    })
  }

  /** Entries from any source that follow what is here. */
  async take(origin: string, from: number, entries: readonly Uint8Array[]): Promise<void> {
    await this.#serials.run(origin, async () => {
      const known = this.sizeOf(origin) - from
      if (known < 0) throw new ChappeError("seq-gap", `${origin}: entries from ${from} on`)
      await this.#append(origin, entries.slice(known))
    })
  }

  /**
   * A head that the relay signed in its HELLO: it must fit what it gives. Smaller than one seen before
   * is an alarm.
   */
  async confirmHead(origin: string, head: DirectoryHead): Promise<void> {
    await this.#confirm(origin, { head, checkpoint: new Uint8Array(0), at: this.#now() })
  }

  /** A checkpoint whose signature holds. */
  async confirmCheckpoint(checkpoint: OpenedCheckpoint, note: Uint8Array): Promise<void> {
    const head = { size: checkpoint.size, root: checkpoint.root }
    await this.#confirm(checkpoint.origin, { head, checkpoint: note, at: this.#now() })
  }

  /** Opens a note by the log key that the relay's root named. Refused: `note`, `unknown-key`. */
  open(note: Uint8Array, origin: string): OpenedCheckpoint {
    const log = this.#directory.hasRoster ? this.#directory.log(origin) : undefined
    if (log === undefined) throw new ChappeError("unknown-key", `no relay has named ${origin}`)
    return openCheckpoint(crypto.verify, note, { log: parseVerifierKey(crypto, log.logVkey) })
  }

  async #confirm(origin: string, next: VerifiedHead): Promise<void> {
    const followed = this.#follow(origin)
    const { verified } = followed
    const { size, root } = next.head
    if (verified !== undefined && size < verified.head.size) {
      if (next.checkpoint.length > 0)
        await this.#alarms.raise("log-rollback", `${origin} ${size}`, [
          verified.checkpoint,
          next.checkpoint,
        ])
      return
    }
    const own = rootAt(followed, size)
    if (own === undefined) return
    if (!equalBytes(own, root)) {
      const kind = next.checkpoint.length > 0 ? "log-fork" : "checkpoint-mismatch"
      const evidence = [verified?.checkpoint ?? new Uint8Array(0), next.checkpoint]
      await this.#alarms.raise(kind, `${origin} ${size}`, evidence)
      return
    }
    const isNews = next.checkpoint.length > 0 || verified === undefined || size > verified.head.size
    if (!isNews) return
    followed.verified = next
    await this.#records.commit([this.#heads.put(origin, next)])
  }

  #follow(origin: string): Followed {
    let followed = this.#followed.get(origin)
    if (followed === undefined) {
      followed = { range: emptyRange, leaves: [], verified: undefined, ids: new Set() }
      this.#followed.set(origin, followed)
    }
    return followed
  }

  #originOf(relay: string): string | undefined {
    return this.#directory.hasRoster
      ? this.#directory.currentLog(relay, "directory")?.origin
      : undefined
  }

  async #append(origin: string, entries: readonly Uint8Array[]): Promise<void> {
    if (entries.length === 0) return
    const followed = this.#follow(origin)
    const first = followed.range.size
    // What is stored is read again at every start: nothing that cannot be read may get there.
    for (const [i, entry] of entries.entries()) this.#readEntry(entry, first + i)
    await this.#records.commit(
      entries.map((entry, i) => this.#entries.put(`${origin}/${numberKey(first + i)}`, entry)),
    )
    entries.forEach((entry, i) => {
      grow(followed, entry)
      this.#takeEntry(origin, first + i, entry)
    })
  }

  #takeEntry(origin: string, index: number, entry: Uint8Array): void {
    const stored = this.#readEntry(entry, index)
    if (stored === undefined) return
    this.learn(stored.kind, stored.statement, origin)
    this.#directory.place(origin, index, stored.id)
    this.#follow(origin).ids.add(toHex(stored.id))
  }

  #readEntry(entry: Uint8Array, index: number): Learned | undefined {
    const stored = statementOf(decodeEntry(entry), index)
    if (stored === undefined) return undefined
    const { kind, statement } = stored
    return { kind, statement, id: this.#directory.idOf(kind, statement) }
  }

  /** False: it must wait for an earlier statement. */
  #apply(kind: StatementKind, statement: Uint8Array): boolean {
    try {
      if (kind === "roster" && this.#directory.isBeforeAnchor(statement)) return true
      const applied = this.#directory.apply(kind, statement)
      if (applied.kind === "applied")
        for (const task of this.#onLearned) task({ kind, id: applied.id, statement })
      return true
    } catch (cause) {
      if (!(cause instanceof ChappeError)) throw cause
      if (mayFitLater(cause)) return false
      this.#refused(kind, statement, cause)
      return true
    }
  }

  #refused(kind: StatementKind, statement: Uint8Array, error: ChappeError): void {
    // Logs tell of a key's end at their own times: what it said just before stands in some of them.
    if (error.code === "key-ended") {
      this.#log.info("statement-late", { kind, name: nameOf(statement) })
      return
    }
    const isFork = error.code === "chain-fork" || error.code === "roster-fork"
    const name = kind === "chain" ? nameOf(statement) : kind
    this.#log.warn("statement-refused", { kind, name, code: error.code })
    const raised = isFork
      ? this.#alarms.raise("chain-fork", name, [statement])
      : this.#alarms.raise("statement-refused", `${name} ${error.code}`, [statement])
    // A failed disk is reported by the records themselves.
    raised.catch(() => undefined)
  }
}

function grow(followed: Followed, entry: Uint8Array): void {
  const leaf = leafHash(sha256, entry)
  followed.leaves.push(leaf)
  followed.range = appendToRange(sha256, followed.range, leaf)
}

function rootAt({ range, leaves, verified }: Followed, size: number): Uint8Array | undefined {
  if (size === range.size) return rangeRoot(sha256, range)
  if (size === verified?.head.size) return verified.head.root
  return size < range.size ? treeRoot(sha256, leaves.slice(0, size)) : undefined
}

function mayFitLater({ code, message }: ChappeError): boolean {
  return (
    code === "chain-gap" ||
    code === "unknown-member" ||
    (code === "roster" && message.includes("does not follow")) ||
    (code === "statement" && message.includes("policy"))
  )
}

function nameOf(statement: Uint8Array): string {
  try {
    return decodeChainStatement(decodeMultiSigned(statement).body).name
  } catch (cause) {
    if (cause instanceof ChappeError) return "chain"
    throw cause
  }
}
