// Log statements: this node's numbered, signed words to each relay's traffic log. A number is given,
// signed and stored in a synced commit of its own when the item is sent, so that queues make no gaps;
// what has a number goes to that relay for as long as it takes. docs/PROTOCOL.md, "Log statements".

import { type AcceptedEntry, logStatementId, openAcceptance } from "../../keys/accepted-entry.ts"
import { noBlind, signBatch } from "../../keys/batch-signer.ts"
import { sha256 } from "../../keys/crypto.ts"
import { logSalt } from "../../keys/seal-envelope.ts"
import { encodeAuth } from "../../protocol/batch.ts"
import { equalBytes, toHex, utf8 } from "../../protocol/bytes.ts"
import { type Infer, bytes, nullable, oneOf, record, text, uint } from "../../protocol/codec.ts"
import type { Directory } from "../../protocol/directory.ts"
import { commitmentOf } from "../../protocol/entry.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { limits } from "../../protocol/limits.ts"
import { type Acceptance, acceptance, logStatement } from "../../protocol/link-messages.ts"
import { parsePromiseText } from "../../protocol/promise.ts"
import { parseNote } from "../../protocol/signed-note.ts"
import { type Identity, requireSigningKey } from "./identity.ts"
import type { Change, Random } from "./ports.ts"
import { type Records, type Table, numberKey, walk } from "./records.ts"
import { Serial } from "./serial.ts"

export const loggedKinds = ["envelope", "receipts", "journal"] as const
export type LoggedKind = (typeof loggedKinds)[number]

const u32 = uint(0xffff_ffff)
const stored = record({
  kind: oneOf(loggedKinds),
  /** Opens the commitment; on the wire it is nil where the relay is not to know it. */
  salt: bytes(32),
  statement: logStatement,
  acceptance: nullable(acceptance),
})
/** `acceptance`: the relay's answer, once it came. */
export type StoredStatement = Infer<typeof stored>

const openItem = record({ kind: oneOf(loggedKinds), subject: bytes(32) })
/** The promise of a log that reaches furthest, and to which size. */
const promised = record({ end: uint(Number.MAX_SAFE_INTEGER), promise: text(limits.noteBytesMax) })
export type Promised = Infer<typeof promised>

/** Numbered and not yet answered. `subject`: messageId, batch root or journal head. */
export type OpenItem = Infer<typeof openItem>

export class LogStatements {
  readonly #identity: Identity
  readonly #directory: Directory
  readonly #records: Records
  readonly #statements: Table<StoredStatement>
  readonly #open: Table<OpenItem>
  readonly #promises: Table<Promised>
  readonly #sequences: Table<number>
  readonly #sessions: Table<number>
  readonly #random: Random
  readonly #now: () => number
  readonly #serial = new Serial()
  readonly #highest = new Map<string, number>()
  readonly #promised = new Map<string, Promised>()

  constructor(options: {
    readonly identity: Identity
    readonly directory: Directory
    readonly records: Records
    readonly random: Random
    readonly now: () => number
  }) {
    this.#identity = options.identity
    this.#directory = options.directory
    this.#records = options.records
    this.#statements = options.records.table("log-statement", stored)
    this.#open = options.records.table("log-open", openItem)
    this.#promises = options.records.table("log-promise", promised)
    this.#sequences = options.records.table("log-sequence", u32)
    this.#sessions = options.records.table("link-session", u32)
    this.#random = options.random
    this.#now = options.now
  }

  async load(): Promise<void> {
    for await (const { key, item } of walk(this.#sequences)) this.#highest.set(key, item)
    for await (const { key, item } of walk(this.#promises)) this.#promised.set(key, item)
  }

  /** The log that the relay's statements are for now. Refused: `not-ready`. */
  originOf(relay: string): string {
    const log = this.#directory.currentLog(relay, "traffic")
    if (log === undefined) throw new ChappeError("not-ready", `${relay} has named no traffic log`)
    return log.origin
  }

  /** The highest number that this key has given in that log. */
  highest(keyId: Uint8Array, origin: string): number {
    return this.#highest.get(`${toHex(keyId)}/${origin}`) ?? 0
  }

  /** One more for each link with that relay; stored before it is told. */
  async nextSession(keyId: Uint8Array, relay: string): Promise<number> {
    return await this.#serial.run(async () => {
      const key = `${toHex(keyId)}/${relay}`
      const session = ((await this.#sessions.get(key)) ?? 0) + 1
      await this.#records.commit([this.#sessions.put(key, session)])
      return session
    })
  }

  /** The statement for this item in that log: the one given before, or a new one. Refused: `key-expired`. */
  async prepare(
    kind: LoggedKind,
    subject: Uint8Array,
    origin: string,
    isOpenToRelay: boolean,
  ): Promise<StoredStatement> {
    return await this.#serial.run(async () => {
      const place = placeOf(origin, subject)
      const before = await this.#statements.get(place)
      if (before !== undefined) return before
      const now = this.#now()
      const { signing } = requireSigningKey(this.#identity, this.#directory, now)
      const seq = this.highest(signing.keyId, origin) + 1
      const salt = logSalt(this.#identity.hedgeSecret, this.#random, subject, origin)
      const commit = commitmentOf(sha256, salt, subject)
      const unsigned = { kind, origin, commit, keyId: signing.keyId, seq }
      const item = { id: logStatementId(unsigned), blind: noBlind }
      const [auth] = signBatch(this.#identity.name, signing, [item]).auths
      if (auth === undefined) throw new RangeError("a batch of one has one auth")
      const statement = {
        origin,
        seq,
        keyId: signing.keyId,
        salt: isOpenToRelay ? salt : null,
        commit,
        auth: encodeAuth(auth),
      }
      const made: StoredStatement = { kind, salt, statement, acceptance: null }
      const sequence = `${toHex(signing.keyId)}/${origin}`
      await this.#records.commit([
        this.#sequences.put(sequence, seq),
        this.#statements.put(place, made),
        this.#open.put(openKey(origin, signing.keyId, seq), { kind, subject }),
      ])
      this.#highest.set(sequence, seq)
      return made
    })
  }

  /** The statement given for this item in that log, if one was. */
  async known(subject: Uint8Array, origin: string): Promise<StoredStatement | undefined> {
    return await this.#statements.get(placeOf(origin, subject))
  }

  /** What has a number in that log and no answer yet, in the order of the numbers. */
  async openItems(origin: string): Promise<readonly OpenItem[]> {
    const items: OpenItem[] = []
    for await (const { item } of walk(this.#open, `${origin}/`)) items.push(item)
    return items
  }

  /**
   * What a relay's answer says, once it is known to be about this statement of ours: the promise holds, and
   * the entry is the statement, in the log that it was for. Refused: `entry`.
   */
  opened(made: StoredStatement, subject: Uint8Array, answer: Acceptance): AcceptedEntry {
    const opened = openAcceptance(this.#directory, { ...answer, salt: made.salt }, subject)
    const { entry, origin } = opened
    const { statement, kind } = made
    const isOurs =
      origin === statement.origin &&
      entry.kind === kind &&
      entry.seq === statement.seq &&
      equalBytes(entry.keyId, statement.keyId) &&
      equalBytes(entry.commit, statement.commit)
    if (!isOurs) throw new ChappeError("entry", "the entry is not what was handed in")
    // An old answer may be repeated; none is from the future.
    if (entry.time > this.#now() + limits.futureSecondsMax)
      throw new ChappeError("entry", "the entry is from the future")
    return opened
  }

  /** The relay answered: with its acceptance, or `null` when it refuses for good. */
  answered(made: StoredStatement, subject: Uint8Array, answer: Acceptance | null): Change[] {
    const { origin, keyId, seq } = made.statement
    return [
      this.#statements.put(placeOf(origin, subject), { ...made, acceptance: answer }),
      this.#open.remove(openKey(origin, keyId, seq)),
      ...(answer === null ? [] : this.#keepPromise(origin, answer)),
    ]
  }

  /** What removes the statements of an item that is forgotten. Their numbers stay used. */
  async forget(subject: Uint8Array): Promise<readonly Change[]> {
    const changes: Change[] = []
    for await (const { key } of walk(this.#statements, `${toHex(subject)}/`))
      changes.push(this.#statements.remove(key))
    return changes
  }

  /** Whether a number of this item has no answer, and one may still come: its log goes on, its key counts. */
  async isAwaited(subject: Uint8Array): Promise<boolean> {
    for (const { statement } of await this.statementsOf(subject)) {
      const { origin, keyId, seq } = statement
      if (!this.#mayBeUsed(origin, keyId)) continue
      if ((await this.#open.get(openKey(origin, keyId, seq))) !== undefined) return true
    }
    return false
  }

  #mayBeUsed(origin: string, keyId: Uint8Array): boolean {
    const found = this.#directory.stationKeyAt(this.#identity.name, keyId, "now", this.#now())
    const isCurrent = (relay: string): boolean =>
      this.#directory.currentLog(relay, "traffic")?.origin === origin
    return found.kind === "valid" && this.#directory.activeRelays().some(isCurrent)
  }

  /** The relay's word on how far that log reaches at least; undefined when it gave none. */
  promised(origin: string): Promised | undefined {
    return this.#promised.get(origin)
  }

  #keepPromise(origin: string, { promise }: Acceptance): Change[] {
    const { first, count } = parsePromiseText(parseNote(utf8(promise)).text)
    const end = first + count
    if (end <= (this.#promised.get(origin)?.end ?? 0)) return []
    this.#promised.set(origin, { end, promise })
    return [this.#promises.put(origin, { end, promise })]
  }

  /** The statements of one item, over all logs. */
  async statementsOf(subject: Uint8Array): Promise<readonly StoredStatement[]> {
    const found: StoredStatement[] = []
    for await (const { item } of walk(this.#statements, `${toHex(subject)}/`)) found.push(item)
    return found
  }
}

function placeOf(origin: string, subject: Uint8Array): string {
  return `${toHex(subject)}/${origin}`
}

function openKey(origin: string, keyId: Uint8Array, seq: number): string {
  return `${origin}/${toHex(keyId)}/${numberKey(seq)}`
}
