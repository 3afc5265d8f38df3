// What time ends: messages at `expires`, references to attachments, ids and log numbers after 90 days.
// By network time only, and not while a clock is off.

import { fromUtf8, readU32, u32 } from "../../protocol/bytes.ts"
import { decodeHeader } from "../../protocol/envelope.ts"
import { relayLimits } from "../limits.ts"
import type { Committer } from "./committer.ts"
import type { Draft } from "./draft.ts"
import { type Grave, type Mail, messageKey, slicePrefix, knownKey } from "./mail.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { Metrics, RecordStore, StoredRecord } from "./ports.ts"
import { highestRecord, messageRecord, queueNames, sliceRecord, uploadRecord } from "./records.ts"
import type { Routes } from "./routes.ts"
import { highestKey } from "./sequence.ts"
import { afterPrefix, openRecord, recordKey } from "./tables.ts"

export type ExpiryParts = {
  readonly store: RecordStore
  readonly network: NetworkClock
  readonly committer: Committer
  readonly mail: Mail
  readonly routes: Routes
  readonly metrics: Metrics
}

const head = 1 + 4 + 1

type Due = { readonly sort: string; readonly subject: Uint8Array }

function readDue(key: Uint8Array): Due {
  return { sort: fromUtf8(key.slice(head - 1, head)), subject: key.slice(head) }
}

/** The message whose shares end with it. */
function messagesIn({ sort, subject }: Due): readonly Uint8Array[] {
  return sort === "x" ? [subject] : []
}

export class Expiry {
  readonly #parts: ExpiryParts
  #sweptAt = 0

  constructor(parts: ExpiryParts) {
    this.#parts = parts
  }

  /** Ends what is due, a bounded number at once, in one commit. */
  async sweep(): Promise<void> {
    const { store, network, committer } = this.#parts
    if (!network.isAgreed) return
    const { now } = network
    const limit = relayLimits.sweepItems
    const due = await store.range({ gte: recordKey("due"), lt: recordKey("due", u32(now)), limit })
    if (due.length > 0)
      await committer.commit(async (draft) => this.#endAll(draft, due), {
        settles: due.map(({ key }) => readDue(key)).flatMap(messagesIn),
      })
    if (now - this.#sweptAt > relayLimits.uploadKeepSeconds / 24) {
      this.#sweptAt = now
      await this.#sweepUploads(now)
    }
  }

  async #endAll(draft: Draft, due: readonly StoredRecord[]): Promise<() => void> {
    // The log must be able to tell of it; else it waits.
    if (draft.facts.time === undefined) return () => undefined
    let bytes = 0
    for (const { key, value } of due) {
      if (bytes > relayLimits.sweepBytesMax) break
      const payload = openRecord(key, value)
      draft.delete(key)
      bytes += await this.#end(draft, readDue(key), payload)
    }
    return () => undefined
  }

  /** Bytes of tombstones, about. */
  async #end(draft: Draft, { sort, subject }: Due, payload: Uint8Array): Promise<number> {
    if (sort === "x") return this.#expire(draft, subject)
    if (sort === "k") draft.delete(knownKey(subject))
    else if (sort === "a") this.#parts.mail.endReference(draft, subject)
    else if (sort === "q") await this.#parts.mail.dequeue(draft, subject)
    else {
      await forgetNumber(draft, subject)
      if (payload.length > 0) draft.delete(knownKey(payload))
    }
    return 0
  }

  async #expire(draft: Draft, messageId: Uint8Array): Promise<number> {
    const { mail, routes, metrics } = this.#parts
    const record = await draft.get(messageRecord, messageKey(messageId))
    if (record === undefined) return 0
    const { core } = decodeHeader(record.header)
    const prefix = slicePrefix(messageId)
    const slices = await draft.range({ gte: prefix, lt: afterPrefix(prefix), limit: 256 })
    const { header, auth } = record
    const graves: Grave[] = []
    for (const { key, value } of slices) {
      const node = fromUtf8(key.slice(prefix.length))
      const slice = sliceRecord.decode(openRecord(key, value))
      const step = {
        messageId,
        recipientNode: node,
        step: "expired",
        reason: null,
        ref: null,
      } as const
      // What another relay has in custody expires there; what was set aside was told before.
      if (!slice.queue.startsWith(queueNames.awaiting("")) && slice.queue !== queueNames.aside)
        graves.push({ header, auth, slice, step })
      await mail.settle(draft, messageId, node)
    }
    const queue = routes.evidenceQueueFor(core.senderNode)
    await mail.entomb(draft, { self: routes.self, sender: core.senderNode, queue }, graves)
    for (const _ of graves) metrics.count("chappe_relay_expired_total")
    return graves.length * header.length
  }

  /** Attachments that were uploaded and never named by an envelope. */
  async #sweepUploads(now: number): Promise<void> {
    const { store, committer, mail } = this.#parts
    const prefix = recordKey("upload")
    const limit = relayLimits.sweepItems
    const uploads = await store.range({ gte: prefix, lt: afterPrefix(prefix), limit })
    for (const { key, value } of uploads) {
      const { at } = uploadRecord.decode(openRecord(key, value))
      if (at + relayLimits.uploadKeepSeconds > now) continue
      await committer.commit(async (draft) => {
        draft.delete(key)
        await mail.sweepAttachment(draft, key.slice(1))
        return () => undefined
      })
    }
  }
}

/** A number forgotten keeps counting as used: everything up to it does from now on. */
async function forgetNumber(draft: Draft, usedKey: Uint8Array): Promise<void> {
  const originEnd = 2 + (usedKey[1] ?? 0)
  const origin = fromUtf8(usedKey.slice(2, originEnd))
  const keyId = usedKey.slice(originEnd, originEnd + 16)
  const seq = readU32(usedKey, originEnd + 16)
  const key = highestKey(origin, keyId)
  const held = await draft.get(highestRecord, key)
  if (held !== undefined && seq > held.floor) draft.put(highestRecord, key, { ...held, floor: seq })
  draft.delete(usedKey)
}
