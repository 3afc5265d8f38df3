// What the disk no longer gives as it was stored. A message whose body or attachment is damaged leaves
// custody: the relay signs UNDELIVERED `damaged`, and the sender's node, which keeps it until it expires,
// hands it over again. docs/PROTOCOL.md, "Delivery".

import { sha256 } from "../../keys/crypto.ts"
import { equalBytes, fromUtf8, toHex } from "../../protocol/bytes.ts"
import { decodeHeader } from "../../protocol/envelope.ts"
import { ChappeError } from "../../protocol/errors.ts"
import type { Committer } from "./committer.ts"
import type { Draft, RelayStep } from "./draft.ts"
import { type Mail, holdingKey, messageKey, slicePrefix } from "./mail.ts"
import type { AttachmentStore, BodyStore, Journal, Metrics } from "./ports.ts"
import {
  type HoldingRecord,
  type MessageRecord,
  holdingRecord,
  messageRecord,
  queueNames,
  sliceRecord,
} from "./records.ts"
import type { Routes } from "./routes.ts"
import { afterPrefix, openRecord } from "./tables.ts"

export type DamageParts = {
  readonly bodies: BodyStore
  readonly attachments: AttachmentStore
  readonly committer: Committer
  readonly mail: Mail
  readonly routes: Routes
  readonly metrics: Metrics
  readonly journal: Journal
}

export type WholeMessage = { readonly record: MessageRecord; readonly body: Uint8Array }

type Held = { readonly messageId: Uint8Array; readonly holding: HoldingRecord }

export class Damage {
  readonly #parts: DamageParts

  constructor(parts: DamageParts) {
    this.#parts = parts
  }

  /**
   * The message as it was stored. Undefined when it was settled meanwhile, or is damaged: then it has left
   * custody. Refused: `clock` while nothing may be logged, `storage`.
   */
  async whole(messageId: Uint8Array): Promise<WholeMessage | undefined> {
    return this.#read(messageId)
  }

  async #read(messageId: Uint8Array): Promise<(WholeMessage & Held) | undefined> {
    const { committer, attachments } = this.#parts
    const record = await committer.read(messageRecord, messageKey(messageId))
    const holding = await committer.read(holdingRecord, holdingKey(messageId))
    if (record === undefined || holding === undefined) return undefined
    const held = { messageId, holding }
    const body = await this.#body(record, held)
    if (body === undefined) return this.#lose(held, "its body")
    for (const { hash, length } of record.attachments)
      if (!(await attachments.isWhole(hash, length)))
        return this.#lose(held, `its attachment ${toHex(hash)}`)
    return { record, body, ...held }
  }

  /** Reads its attachments too; the bytes that were read. */
  async scrub(messageId: Uint8Array): Promise<number> {
    const found = await this.#read(messageId)
    if (found === undefined) return 0
    let bytes = found.body.length
    for (const { hash, length } of found.record.attachments) {
      bytes += length
      if (await this.#parts.attachments.verify(hash)) continue
      await this.#lose(found, `its attachment ${toHex(hash)}`)
      return bytes
    }
    return bytes
  }

  /** Undefined when it is not what was stored. Refused: `storage` for what is still held there. */
  async #body(record: MessageRecord, held: Held): Promise<Uint8Array | undefined> {
    const { bodies, committer } = this.#parts
    try {
      const body = await bodies.read(held.holding)
      const { core } = decodeHeader(record.header)
      return equalBytes(sha256(body), core.bodyHash) ? body : undefined
    } catch (cause) {
      if (!(cause instanceof ChappeError)) throw cause
      if (cause.code === "damaged") return undefined
      // A body that was settled while it was read may be gone with its file: that is no failure.
      const now = await committer.read(holdingRecord, holdingKey(held.messageId))
      if (isAt(now, held.holding)) throw cause
      return undefined
    }
  }

  /** Ends the message, if it still is where it was found to be damaged. */
  async #lose({ messageId, holding }: Held, what: string): Promise<undefined> {
    const { committer, metrics, journal } = this.#parts
    const plan = async (draft: Draft): Promise<() => boolean> => {
      if (!isAt(await draft.get(holdingRecord, holdingKey(messageId)), holding)) return () => false
      // Only what can be logged is changed: without the time this waits.
      draft.demandTime()
      await endMessage(draft, this.#parts, messageId)
      return () => true
    }
    if (!(await committer.commit(plan, { settles: [messageId] }))) return
    metrics.count("chappe_relay_damaged_total")
    journal.warn("damaged", { id: toHex(messageId), why: `${what} is not what was stored` })
  }
}

function isAt(now: HoldingRecord | undefined, { segment, offset }: HoldingRecord): boolean {
  return now?.segment === segment && now.offset === offset
}

const recipientsMax = 256

/**
 * The message leaves custody: its shares go, and the sender is told with signed receipts. No tombstone: it
 * will come again. Needs the draft's time.
 */
async function endMessage(
  draft: Draft,
  parts: { readonly mail: Mail; readonly routes: Routes },
  messageId: Uint8Array,
): Promise<void> {
  const { mail, routes } = parts
  const record = await draft.get(messageRecord, messageKey(messageId))
  if (record === undefined) return
  const { core } = decodeHeader(record.header)
  const prefix = slicePrefix(messageId)
  const slices = await draft.range({ gte: prefix, lt: afterPrefix(prefix), limit: recipientsMax })
  const steps: RelayStep[] = []
  for (const { key, value } of slices) {
    const node = fromUtf8(key.slice(prefix.length))
    const { queue } = sliceRecord.decode(openRecord(key, value))
    // What another relay has in custody ends there; what was set aside was told before.
    if (!queue.startsWith(queueNames.awaiting("")) && queue !== queueNames.aside)
      steps.push({
        messageId,
        recipientNode: node,
        step: "undelivered",
        reason: "damaged",
        ref: null,
      })
    await mail.settle(draft, messageId, node)
  }
  const queue = routes.evidenceQueueFor(core.senderNode)
  await mail.tell(draft, { self: routes.self, sender: core.senderNode, queue }, steps)
}
