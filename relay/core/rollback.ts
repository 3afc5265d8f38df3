// A relay that was put back from an old copy: a peer shows it a checkpoint of its own log, under its own
// signature, that the log does not reach or does not continue. It must not write another line: the next one
// would be a second history, or its next line. docs/PROTOCOL.md, "Rollback".

import { equalBytes, utf8 } from "../../protocol/bytes.ts"
import type { Directory } from "../../protocol/directory.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { openPromise, parsePromiseText } from "../../protocol/promise.ts"
import { parseNote } from "../../protocol/signed-note.ts"
import { parseVerifierKey } from "../../protocol/verifier-key.ts"
import { crypto } from "../../keys/crypto.ts"
import type { Committer } from "./committer.ts"
import type { Logs } from "./logs.ts"
import type { Clock, Journal, RecordStore } from "./ports.ts"
import type { PublishedLog } from "./published-log.ts"
import { openHead } from "./publisher.ts"
import { openRecord, recordKey, sealRecord } from "./tables.ts"

const provenKey = recordKey("rollback")

export class Rollback {
  readonly #directory: Directory
  readonly #committer: Committer
  readonly #logs: Logs
  readonly #clock: Clock
  readonly #logOf: (origin: string) => PublishedLog | undefined
  readonly #journal: Journal
  readonly #failed: (why: ChappeError) => void
  #isShown = false

  constructor(parts: {
    readonly directory: Directory
    readonly committer: Committer
    readonly logs: Logs
    readonly clock: Clock
    /** A log of this relay's own. */
    readonly logOf: (origin: string) => PublishedLog | undefined
    readonly journal: Journal
    /** The relay must end, and not be started on this folder again. */
    readonly failed: (why: ChappeError) => void
  }) {
    this.#directory = parts.directory
    this.#committer = parts.committer
    this.#logs = parts.logs
    this.#clock = parts.clock
    this.#logOf = parts.logOf
    this.#journal = parts.journal
    this.#failed = parts.failed
  }

  /** What was proved in an earlier run holds for ever. Refused: `rollback`. */
  static async requireNone(store: RecordStore): Promise<void> {
    const stored = await store.get(provenKey)
    if (stored === undefined) return
    openRecord(provenKey, stored)
    throw new ChappeError(
      "rollback",
      "this folder is an old copy, or lost changes: its logs go on elsewhere",
    )
  }

  /** From the moment on at which it was shown, before that is stored. */
  get isShown(): boolean {
    return this.#isShown
  }

  isOwn(origin: string): boolean {
    return this.#logOf(origin) !== undefined
  }

  /**
   * Takes a checkpoint of an own log from whoever has it. One that the log continues proves nothing.
   * Refused: `note`, `unknown-key` for one that is not ours.
   */
  async shown(peer: string, origin: string, note: Uint8Array): Promise<void> {
    const log = this.#logOf(origin)
    const named = this.#directory.log(origin)
    if (log === undefined || named === undefined)
      throw new ChappeError("unknown-key", `${origin} is no log of this relay`)
    const { size, root } = openHead(parseVerifierKey(crypto, named.logVkey), note)
    const { directory, traffic } = this.#logs
    const { size: own } = origin === traffic.own.origin ? traffic : directory
    // What is committed is ahead of what is published: the peer may have read the file sooner than we know.
    const isUnderWay = size > log.head.size && size <= own
    const isOurs = size <= log.head.size && equalBytes(await log.rootAt(size), root)
    if (!isUnderWay && !isOurs) await this.#prove({ peer, origin, size, own }, note)
  }

  /**
   * The same with a promise, which was given before any checkpoint. Refused: `note`, `unknown-key`;
   * `rollback` when it proves that this is an old copy.
   */
  async promised(peer: string, note: Uint8Array): Promise<void> {
    const { origin } = parsePromiseText(parseNote(note).text)
    const named = this.#directory.log(origin)
    const { own, size: committed } = this.#logs.traffic
    if (named === undefined || origin !== own.origin)
      throw new ChappeError("unknown-key", `${origin} is no log that this relay writes`)
    const key = parseVerifierKey(crypto, named.promiseVkey)
    const { first, count } = openPromise(crypto.verify, note, key)
    const size = first + count
    if (size > committed) throw await this.#prove({ peer, origin, size, own: committed }, note)
  }

  async #prove(
    found: { readonly peer: string; readonly origin: string } & Readonly<
      Record<"size" | "own", number>
    >,
    note: Uint8Array,
  ): Promise<ChappeError> {
    this.#isShown = true
    const { peer, origin, size, own } = found
    this.#journal.warn("rollback", found)
    await this.#committer.commit(async (draft) => {
      draft.putBytes(provenKey, note)
      return () => undefined
    })
    const why = `${peer} shows ${origin} with ${size} entries, signed here; this copy has ${own}, or others`
    const proven = new ChappeError("rollback", why)
    // Whoever has shown it hears so first.
    this.#clock.after(0, () => this.#failed(proven))
    return proven
  }
}

/** What keeps a relay from starting on a folder that lost changes: it would give its numbers out again. */
export function barredBy(reason: string): { readonly key: Uint8Array; readonly value: Uint8Array } {
  return { key: provenKey, value: sealRecord(provenKey, utf8(reason)) }
}
