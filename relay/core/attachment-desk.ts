// Attachments over links: offered, put in parts, fetched in parts. Resumable at any offset; served only to
// whom a message names them. docs/PROTOCOL.md, "Attachments".

import { toHex } from "../../protocol/bytes.ts"
import { ChappeError } from "../../protocol/errors.ts"
import type { AttachmentRef, LinkMessage } from "../../protocol/link-messages.ts"
import type { Committer } from "./committer.ts"
import { referencePrefix } from "./mail.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { AttachmentStore, RecordStore } from "./ports.ts"
import { uploadRecord } from "./records.ts"
import { afterPrefix, recordKey } from "./tables.ts"

export class AttachmentDesk {
  readonly #attachments: AttachmentStore
  readonly #store: RecordStore
  readonly #committer: Committer
  readonly #network: NetworkClock
  readonly #hasRoom: () => boolean

  constructor(parts: {
    readonly attachments: AttachmentStore
    readonly store: RecordStore
    readonly committer: Committer
    readonly network: NetworkClock
    readonly hasRoom: () => boolean
  }) {
    this.#attachments = parts.attachments
    this.#store = parts.store
    this.#committer = parts.committer
    this.#network = parts.network
    this.#hasRoom = parts.hasRoom
  }

  /** Where to go on; the length when it is whole here. Refused: `busy`. */
  async offer({ hash, length }: AttachmentRef): Promise<number> {
    if (await this.#attachments.isWhole(hash, length)) return length
    if (!this.#hasRoom()) throw new ChappeError("busy", "the disk has no room for attachments")
    const { now } = this.#network
    await this.#committer.commit(async (draft) => {
      const key = recordKey("upload", hash)
      if (!(await draft.has(key))) draft.put(uploadRecord, key, { length, at: now })
      return () => undefined
    })
    return this.#attachments.begin(hash, length)
  }

  /** Where to go on. Refused: `busy`, `not-found` for what was not offered. */
  async put({ hash, offset, part }: LinkMessage<"bodyPut">): Promise<number> {
    if (!this.#hasRoom()) throw new ChappeError("busy", "the disk has no room for attachments")
    return this.#attachments.append(hash, offset, part)
  }

  /** Refused: `not-found` unless a message for this member names it. */
  async get(member: string, { hash, offset, length }: LinkMessage<"bodyGet">): Promise<Uint8Array> {
    const prefix = referencePrefix(hash, member)
    const held = await this.#store.range({ gte: prefix, lt: afterPrefix(prefix), limit: 1 })
    if (held.length === 0)
      throw new ChappeError("not-found", `no message for ${member} names ${toHex(hash)}`)
    return this.#attachments.read(hash, offset, length)
  }
}
