// Directory statements: taken in once, logged once, passed on at once. They authenticate themselves, so it
// does not matter who brings them. Also the KEM keys that prekey statements name.
// docs/PROTOCOL.md, "Directory" and "Prekeys".

import { sha256 } from "../../keys/crypto.ts"
import { isUsableKemKey } from "../../keys/hpke.ts"
import { equalBytes, fromHex, toHex } from "../../protocol/bytes.ts"
import type { Directory, StatementKind } from "../../protocol/directory.ts"
import type { LoggedStatement } from "../../protocol/directory-tail.ts"
import type { LogEntry } from "../../protocol/entry.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { linkLanes } from "../../protocol/frames.ts"
import { typedKeyHash } from "../../protocol/key-id.ts"
import type { Committer } from "./committer.ts"
import type { Draft } from "./draft.ts"
import type { Links } from "./links.ts"
import type { Journal, Metrics, RecordStore } from "./ports.ts"
import { type RecordCodec, forkRecord } from "./records.ts"
import { afterPrefix, openRecord, recordKey } from "./tables.ts"

export type Statement = { readonly kind: StatementKind; readonly statement: Uint8Array }

const forksPerPage = 256

const kemKey: RecordCodec<Uint8Array> = { encode: (key) => key, decode: (key) => key }

export class StatementDesk {
  readonly #directory: Directory
  readonly #committer: Committer
  readonly #links: Links
  readonly #store: RecordStore
  readonly #metrics: Metrics
  readonly #journal: Journal
  readonly #begun: () => Promise<void>
  /** Hex ids of what stands in the own directory log. */
  readonly #logged = new Set<string>()
  /** Hex ids of first statements whose forks are remembered. */
  readonly #forks = new Set<string>()

  constructor(parts: {
    readonly directory: Directory
    readonly committer: Committer
    readonly links: Links
    readonly store: RecordStore
    readonly metrics: Metrics
    readonly journal: Journal
    /** Resolves once the own logs may be appended to. */
    readonly begun: () => Promise<void>
  }) {
    this.#directory = parts.directory
    this.#committer = parts.committer
    this.#links = parts.links
    this.#store = parts.store
    this.#metrics = parts.metrics
    this.#journal = parts.journal
    this.#begun = parts.begun
  }

  /** True when it was new. Refused: what `Directory.apply` refuses, `clock`. `from`: the peer that brought it. */
  async take(item: Statement, from?: string): Promise<boolean> {
    if (this.#logged.has(toHex(this.#directory.idOf(item.kind, item.statement)))) return false
    await this.#begun()
    try {
      return await this.#committer.commit(async (draft) => {
        const isNew = this.apply(draft, item)
        return () => {
          if (isNew) this.#passOn(item, from)
          return isNew
        }
      })
    } catch (cause) {
      await this.keepForks()
      throw cause
    }
  }

  /** A statement that stands in the own log at `index`, read at start. */
  restore({ kind, statement, index }: LoggedStatement, origin: string): void {
    const { id } = this.#directory.apply(kind, statement)
    this.#directory.place(origin, index, id)
    this.#logged.add(toHex(id))
  }

  /**
   * Remembers two statements that exclude each other: what they froze or ended stays so after a restart. To
   * be called after statements were refused.
   */
  async keepForks(): Promise<void> {
    const fresh = this.#directory.forks().filter(({ first }) => !this.#forks.has(first))
    if (fresh.length === 0) return
    await this.#committer.commit(async (draft) => {
      for (const { kind, first, second } of fresh)
        draft.put(forkRecord, recordKey("fork", fromHex(first)), {
          kind: kind === "roster" ? ("roster" as const) : ("chain" as const),
          statement: second,
        })
      return () => undefined
    })
    for (const { name, kind, first } of fresh) {
      this.#forks.add(first)
      this.#journal.warn("fork", { subject: name, kind, id: first })
    }
  }

  /** The forks of before the last stop; after everything else that is known. */
  async restoreForks(): Promise<void> {
    const prefix = recordKey("fork")
    let gte = prefix
    for (;;) {
      const rows = await this.#store.range({ gte, lt: afterPrefix(prefix), limit: forksPerPage })
      for (const { key, value } of rows) {
        const { kind, statement } = forkRecord.decode(openRecord(key, value))
        try {
          this.#directory.apply(kind, statement)
        } catch (cause) {
          // It is refused again, and freezes again.
          if (!(cause instanceof ChappeError)) throw cause
        }
      }
      const last = rows.at(-1)
      if (last === undefined || rows.length < forksPerPage) break
      gte = Uint8Array.of(...last.key, 0)
    }
    for (const { first } of this.#directory.forks()) this.#forks.add(first)
  }

  /** Within a commit. Refused: what `Directory.apply` refuses; then nothing was written. */
  apply(draft: Draft, item: Statement): boolean {
    const { time } = draft
    const { id } = this.#directory.apply(item.kind, item.statement)
    if (this.#logged.has(toHex(id))) return false
    const index = draft.appendDirectory(this.#entryOf(item, time))
    this.#logged.add(toHex(id))
    this.#directory.place(draft.facts.directoryOrigin, index, id)
    this.#metrics.count("chappe_relay_statements_total", { sort: item.kind })
    this.#journal.info("statement", { sort: item.kind, id: toHex(id), index })
    return true
  }

  #entryOf({ kind, statement }: Statement, time: number): LogEntry {
    if (kind !== "policy") return { kind, time, body: statement }
    const { policy } = this.#directory.roster()
    const hash = sha256(statement)
    if (equalBytes(hash, policy.witnessPolicy))
      return { kind: "witness-policy", time, body: statement }
    if (equalBytes(hash, policy.retentionPolicy))
      return { kind: "retention-policy", time, body: statement }
    return { kind: "delivery-policy", time, body: statement }
  }

  #passOn({ kind, statement }: Statement, from: string | undefined): void {
    for (const peer of this.#links.all("relay"))
      if (peer.name !== from)
        peer
          .request(linkLanes.control, { name: "statementPut", sort: kind, statement })
          .catch((cause: unknown) => {
            // The peer reads it in our directory log when it is back.
            if (!(cause instanceof ChappeError)) throw cause
          })
  }

  /** Keeps KEM keys that the member has published. Refused: `no-prekey`, `key-form`. `from`: a relay that brought them. */
  async takePrekeys(member: string, keys: readonly Uint8Array[], from?: string): Promise<void> {
    const hashes = keys.map((key) => typedKeyHash(sha256, "prekey", key))
    for (const [i, hash] of hashes.entries()) {
      if (!this.#directory.isPublishedPrekey(member, hash))
        throw new ChappeError("no-prekey", `${member} has not published KEM key ${i}`)
      if (!isUsableKemKey(keys[i] ?? hash)) throw new ChappeError("key-form", `KEM key ${i}`)
    }
    const isNew = await this.#committer.commit(async (draft) => {
      let added = 0
      for (const [i, hash] of hashes.entries()) {
        const at = recordKey("prekey", hash)
        const key = keys[i]
        if (key === undefined || (await draft.has(at))) continue
        draft.put(kemKey, at, key)
        added += 1
      }
      return () => added > 0
    })
    if (!isNew) return
    for (const peer of this.#links.all("relay"))
      if (peer.name !== from)
        peer
          .request(linkLanes.priority, { name: "prekeysPut", member, keys })
          .catch((cause: unknown) => {
            if (!(cause instanceof ChappeError)) throw cause
          })
  }

  async prekeys(hashes: readonly Uint8Array[]): Promise<readonly (Uint8Array | null)[]> {
    const found: (Uint8Array | null)[] = []
    for (const hash of hashes) {
      const key = recordKey("prekey", hash)
      const value = await this.#store.get(key)
      found.push(value === undefined ? null : openRecord(key, value))
    }
    return found
  }
}
