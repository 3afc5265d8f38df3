// Other relays' directory logs: read on up to each signed head that they show, so that a key can be judged
// at the place that another relay's entry names, and so that no statement is missed.
// docs/PROTOCOL.md, "Following a directory".

import { crypto, sha256 } from "../../keys/crypto.ts"
import { fromUtf8, readU64 } from "../../protocol/bytes.ts"
import type { Directory } from "../../protocol/directory.ts"
import { type LoggedStatement, readDirectoryTail } from "../../protocol/directory-tail.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { linkLanes } from "../../protocol/frames.ts"
import { limits } from "../../protocol/limits.ts"
import { formatNote, parseNote } from "../../protocol/signed-note.ts"
import { type TreeRange, emptyRange, verifyConsistency } from "../../protocol/tree.ts"
import { isNamed, parseVerifierKey } from "../../protocol/verifier-key.ts"
import { encodeAddCheckpoint } from "../../protocol/witness-request.ts"
import type { Committer } from "./committer.ts"
import { type Peer, expectAnswer } from "./links.ts"
import type { Clock, Journal, RecordStore } from "./ports.ts"
import type { PublishedHead } from "./published-log.ts"
import { openHead } from "./publisher.ts"
import { type RecordCodec, followRecord } from "./records.ts"
import type { StatementDesk } from "./statement-desk.ts"
import { afterPrefix, framed, openRecord, position, recordKey } from "./tables.ts"

const idRecord: RecordCodec<Uint8Array> = { encode: (id) => id, decode: (id) => id }

/** A head that another relay signed, and its note with the log's line only. */
export type HeardHead = {
  readonly origin: string
  readonly note: Uint8Array
  readonly head: PublishedHead
}

export type FollowingParts = {
  readonly directory: Directory
  readonly store: RecordStore
  readonly committer: Committer
  readonly statements: StatementDesk
  readonly clock: Clock
  readonly journal: Journal
  /** Resolves once the own logs may be appended to. */
  readonly begun: () => Promise<void>
}

const reachMs = 3_000
const pageRows = 1_024

export class Following {
  readonly #parts: FollowingParts
  readonly #ranges = new Map<string, TreeRange>()
  readonly #heads = new Map<string, HeardHead>()
  readonly #underway = new Map<string, Promise<void>>()
  readonly #waiters = new Set<() => void>()

  constructor(parts: FollowingParts) {
    this.#parts = parts
  }

  /** What was read before the last stop: ranges, and the places of statements. */
  async restore(): Promise<void> {
    const { store, directory } = this.#parts
    const follow = recordKey("follow")
    const ranges = await store.range({ gte: follow, lt: afterPrefix(follow), limit: pageRows })
    for (const { key, value } of ranges) {
      const origin = fromUtf8(key.slice(2))
      this.#ranges.set(origin, followRecord.decode(openRecord(key, value)))
      const prefix = recordKey("placed", framed(origin))
      let gte = prefix
      for (;;) {
        const rows = await store.range({ gte, lt: afterPrefix(prefix), limit: pageRows })
        for (const row of rows)
          directory.place(origin, readU64(row.key, prefix.length), openRecord(row.key, row.value))
        const last = rows.at(-1)
        if (last === undefined || rows.length < pageRows) break
        gte = Uint8Array.of(...last.key, 0)
      }
    }
  }

  heads(): readonly HeardHead[] {
    return [...this.#heads.values()]
  }

  /** A relay shows a checkpoint of one of its logs. Refused: `note`, `unknown-key`, `rollback`, `log-fork`. */
  async heard(peer: Peer, origin: string, checkpoint: Uint8Array): Promise<void> {
    const named = this.#parts.directory.log(origin)
    if (named?.relay !== peer.name)
      throw new ChappeError("unknown-key", `${peer.name} has named no log ${origin}`)
    const key = parseVerifierKey(crypto, named.logVkey)
    const head = openHead(key, checkpoint)
    const note = parseNote(checkpoint)
    const signatures = note.signatures.filter((line) => isNamed(key, line)).slice(0, 1)
    const heard: HeardHead = { origin, note: formatNote({ text: note.text, signatures }), head }
    await this.#requireGrown(peer, heard)
    await this.#parts.begun()
    if (origin.startsWith(`${peer.name}/directory`)) await this.#follow(peer, heard)
    else await this.#compare(peer, heard)
    this.#heads.set(origin, heard)
  }

  /** A relay that shows less than before is told so by its own word, before anything else is said. */
  async #requireGrown(peer: Peer, { origin, head }: HeardHead): Promise<void> {
    const before = this.#heads.get(origin)
    if (before === undefined || head.size >= before.head.size) return
    await this.#show(peer, before)
    throw new ChappeError("rollback", `${origin} fell from ${before.head.size} to ${head.size}`)
  }

  /** It may have been put back from an old copy, and must stop. */
  async #show(peer: Peer, { origin, note }: HeardHead): Promise<void> {
    const body = fromUtf8(encodeAddCheckpoint({ old: 0, path: [], checkpoint: note }))
    await peer.request(linkLanes.control, { name: "checkpoint", origin, body })
  }

  /** The traffic log only has to go on from where it was. */
  async #compare(peer: Peer, { origin, head }: HeardHead): Promise<void> {
    const before = this.#heads.get(origin)
    if (before === undefined) return
    const request = {
      name: "consistencyGet",
      origin,
      from: before.head.size,
      to: head.size,
    } as const
    const { path } = expectAnswer(await peer.request(linkLanes.control, request), "consistency")
    const isConsistent = verifyConsistency({
      sha256,
      smallSize: before.head.size,
      smallRoot: before.head.root,
      largeSize: head.size,
      largeRoot: head.root,
      path,
    })
    if (isConsistent) return
    await this.#show(peer, before)
    throw new ChappeError("log-fork", `${origin} shows two histories`)
  }

  async #follow(peer: Peer, heard: HeardHead): Promise<void> {
    const { origin } = heard
    const before = this.#underway.get(origin)
    const reading = (before ?? Promise.resolve()).then(async () => this.#read(peer, heard))
    const settled = reading.catch(() => undefined)
    this.#underway.set(origin, settled)
    try {
      await reading
    } finally {
      if (this.#underway.get(origin) === settled) this.#underway.delete(origin)
    }
    for (const wake of this.#waiters) wake()
  }

  async #read(peer: Peer, { origin, head }: HeardHead): Promise<void> {
    const held = this.#ranges.get(origin) ?? emptyRange
    if (head.size <= held.size && held.size > 0) return
    const tail = await readDirectoryTail({
      sha256,
      held,
      head,
      fetch: async (from) => {
        const request = { name: "directoryGet", origin, from } as const
        return expectAnswer(await peer.request(linkLanes.control, request), "directoryPart").entries
      },
    })
    await this.#adopt(origin, tail.range, tail.statements)
    this.#ranges.set(origin, tail.range)
  }

  /** One commit: new statements into the own log, places, and how far was read. */
  async #adopt(
    origin: string,
    range: TreeRange,
    statements: readonly LoggedStatement[],
  ): Promise<void> {
    const { directory, committer, statements: desk, journal } = this.#parts
    for (let from = 0; ; from += limits.bundleEntries) {
      const some = statements.slice(from, from + limits.bundleEntries)
      const isLast = from + some.length >= statements.length
      await committer.commit(async (draft) => {
        // Without a time nothing can be logged: asked before the first change.
        draft.demandTime()
        for (const item of some) {
          let id: Uint8Array
          try {
            id = directory.idOf(item.kind, item.statement)
          } catch (cause) {
            // Its relay should not have taken it; nobody else reads it either.
            if (!(cause instanceof ChappeError)) throw cause
            journal.warn("statement-refused", { origin, index: item.index, code: cause.code })
            continue
          }
          try {
            desk.apply(draft, item)
          } catch (cause) {
            // What another relay took and we cannot, a fork's second half for example, stays out of our log.
            if (!(cause instanceof ChappeError)) throw cause
            journal.warn("statement-refused", { origin, index: item.index, code: cause.code })
          }
          if (!directory.has(id)) continue
          directory.place(origin, item.index, id)
          draft.put(idRecord, recordKey("placed", framed(origin), position(item.index)), id)
        }
        if (isLast) draft.put(followRecord, recordKey("follow", framed(origin)), range)
        return () => undefined
      })
      await desk.keepForks()
      if (isLast) return
    }
  }

  /** Resolves once the origin's log was read up to `size`. Refused: `not-ready` after 3 s. */
  async reach(origin: string, size: number): Promise<void> {
    const isReached = (): boolean => (this.#ranges.get(origin)?.size ?? 0) >= size
    if (isReached()) return
    await new Promise<void>((resolve, reject) => {
      const stop = this.#parts.clock.after(reachMs, () => {
        this.#waiters.delete(wake)
        reject(new ChappeError("not-ready", `${origin} is not known up to ${size}`))
      })
      const wake = (): void => {
        if (!isReached()) return
        stop()
        this.#waiters.delete(wake)
        resolve()
      }
      this.#waiters.add(wake)
    })
  }
}
