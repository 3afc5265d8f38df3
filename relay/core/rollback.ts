// A relay that was put back from an old copy: a peer shows it a checkpoint of its own log, under its own
// signature, that is larger than the log. It must not write another line: the next one would be a second
// history. docs/PROTOCOL.md, "Rollback".

import { utf8 } from "../../protocol/bytes.ts"
import type { Directory } from "../../protocol/directory.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { parseVerifierKey } from "../../protocol/verifier-key.ts"
import { crypto } from "../../keys/crypto.ts"
import type { Committer } from "./committer.ts"
import type { Journal, RecordStore } from "./ports.ts"
import type { PublishedLog } from "./published-log.ts"
import { openHead, signedKey } from "./publisher.ts"
import { signedRecord } from "./records.ts"
import { openRecord, recordKey, sealRecord } from "./tables.ts"

const provenKey = recordKey("rollback")

export class Rollback {
  readonly #directory: Directory
  readonly #committer: Committer
  readonly #logOf: (origin: string) => PublishedLog | undefined
  readonly #journal: Journal
  readonly #failed: (why: ChappeError) => void

  constructor(parts: {
    readonly directory: Directory
    readonly committer: Committer
    /** A log of this relay's own. */
    readonly logOf: (origin: string) => PublishedLog | undefined
    readonly journal: Journal
    /** The relay must end, and not be started on this folder again. */
    readonly failed: (why: ChappeError) => void
  }) {
    this.#directory = parts.directory
    this.#committer = parts.committer
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

  isOwn(origin: string): boolean {
    return this.#logOf(origin) !== undefined
  }

  /**
   * Takes a checkpoint of an own log from whoever has it. One that is not beyond what is recorded as signed
   * proves nothing. Refused: `note`, `unknown-key` for one that is not ours.
   */
  async shown(peer: string, origin: string, note: Uint8Array): Promise<void> {
    const log = this.#logOf(origin)
    const named = this.#directory.log(origin)
    if (log === undefined || named === undefined)
      throw new ChappeError("unknown-key", `${origin} is no log of this relay`)
    const { size } = openHead(parseVerifierKey(crypto, named.logVkey), note)
    const own = await this.#committer.commit(async (draft) => {
      // What is recorded is ahead of what is published: the peer may have read the file sooner than we know.
      const signed = (await draft.get(signedRecord, signedKey(origin)))?.size ?? 0
      if (size > signed) draft.putBytes(provenKey, note)
      return () => signed
    })
    if (size <= own) return
    this.#journal.warn("rollback", { peer, origin, size, own })
    const why = `${peer} shows ${origin} with ${size} entries, signed here; this copy has ${own}`
    this.#failed(new ChappeError("rollback", why))
  }
}

/** What keeps a relay from starting on a folder that lost changes: it would give its numbers out again. */
export function barredBy(reason: string): { readonly key: Uint8Array; readonly value: Uint8Array } {
  return { key: provenKey, value: sealRecord(provenKey, utf8(reason)) }
}
