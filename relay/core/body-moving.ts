// Bodies that alone keep a segment's room are written anew behind the newest one, so that the segment goes.
// A message may wait for two weeks, and all that came with it may be gone within the hour.

import { ChappeError } from "../../protocol/errors.ts"
import { relayLimits } from "../limits.ts"
import type { Committer } from "./committer.ts"
import { holdingKey } from "./mail.ts"
import type { BodyStore, RecordStore } from "./ports.ts"
import { holdingRecord } from "./records.ts"
import { afterPrefix, openRecord, recordKey } from "./tables.ts"

export class BodyMoving {
  readonly #store: RecordStore
  readonly #bodies: BodyStore
  readonly #committer: Committer

  constructor(parts: {
    readonly store: RecordStore
    readonly bodies: BodyStore
    readonly committer: Committer
  }) {
    this.#store = parts.store
    this.#bodies = parts.bodies
    this.#committer = parts.committer
  }

  /** Empties the sparse segments of this moment; a message is moved by itself, and mail goes between. */
  async run(): Promise<void> {
    const sparse = this.#bodies.sparse()
    if (sparse.size === 0) return
    const prefix = recordKey("holding")
    const limit = relayLimits.scrubRecords
    for (let gte = prefix; ;) {
      const page = await this.#store.range({ gte, lt: afterPrefix(prefix), limit })
      for (const { key, value } of page)
        if (sparse.has(holdingRecord.decode(openRecord(key, value)).segment))
          await this.#move(key.slice(prefix.length), sparse)
      const last = page.at(-1)
      if (last === undefined || page.length < limit) return
      gte = Uint8Array.of(...last.key, 0)
    }
  }

  async #move(messageId: Uint8Array, sparse: ReadonlySet<number>): Promise<void> {
    const key = holdingKey(messageId)
    await this.#committer.commit(
      async (draft) => {
        const held = await draft.get(holdingRecord, key)
        if (held === undefined || !sparse.has(held.segment)) return () => undefined
        const body = await this.#readable(held)
        if (body === undefined) return () => undefined
        draft.put(holdingRecord, key, held)
        draft.body(body, (at) => {
          draft.put(holdingRecord, key, { ...held, ...at })
        })
        draft.release(held)
        return () => undefined
      },
      // In a commit of its own: where the body stands is known only at its end.
      { bodyBytes: relayLimits.commitBodyBytesMax + 1 },
    )
  }

  /** What is damaged stays for the scrub. */
  async #readable(at: Parameters<BodyStore["read"]>[0]): Promise<Uint8Array | undefined> {
    try {
      return await this.#bodies.read(at)
    } catch (cause) {
      if (cause instanceof ChappeError && cause.code === "damaged") return undefined
      throw cause
    }
  }
}
