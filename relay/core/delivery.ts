// What waits for a connected peer is sent lane by lane, highest first, a window at a time. An item leaves
// its queue only when the peer's word for it is committed; after a reconnect everything that was not
// settled goes again. docs/PROTOCOL.md, "Delivery".

import type { BatchVerifier } from "../../protocol/batch.ts"
import { concat, toHex, utf8 } from "../../protocol/bytes.ts"
import type { Directory } from "../../protocol/directory.ts"
import { decodeHeader } from "../../protocol/envelope.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { type LinkLane, linkLaneOf, linkLanes } from "../../protocol/frames.ts"
import { limits } from "../../protocol/limits.ts"
import type { AttachmentRef, LinkMessage } from "../../protocol/link-messages.ts"
import { relayLimits } from "../limits.ts"
import type { Committer } from "./committer.ts"
import { custodyOf } from "./custody.ts"
import type { Damage } from "./damage.ts"
import type { RelayStep } from "./draft.ts"
import { type Links, type Peer, type Request, expectAnswer } from "./links.ts"
import { type Mail, laneKey, queueKey, sliceKey } from "./mail.ts"
import type { NetworkClock } from "./network-clock.ts"
import { Refusal } from "./peer-link.ts"
import type { PeerWatch } from "./peer-watch.ts"
import type { AttachmentStore, Clock, Journal, Metrics, RecordStore } from "./ports.ts"
import { bytesOf, parseQueueKey } from "./queue-gauge.ts"
import {
  type MessageRecord,
  type QueueItem,
  type SliceRecord,
  queueItem,
  queueLanes,
  queueNames,
  sliceRecord,
} from "./records.ts"
import type { Routes } from "./routes.ts"
import { afterPrefix, openRecord, position as positionKey } from "./tables.ts"

export type DeliveryParts = {
  readonly store: RecordStore
  readonly attachments: AttachmentStore
  readonly damage: Damage
  readonly committer: Committer
  readonly mail: Mail
  readonly routes: Routes
  readonly directory: Directory
  readonly batches: BatchVerifier
  readonly network: NetworkClock
  readonly links: Links
  readonly watch: PeerWatch
  readonly clock: Clock
  readonly metrics: Metrics
  readonly journal: Journal
}

/**
 * `sent`: resolves once everything before has been handed to the link. `busy`: positions that wait for an
 * answer, or for another try. `stale`: what stands up to there was handed over before the last look.
 * `lookedTo`: where the look at what is stale goes on.
 */
type LaneState = {
  cursor: number
  unanswered: number
  isEmpty: boolean
  sent: Promise<void>
  readonly busy: Set<number>
  stale: number
  lookedTo: number
}
/** A place in the lane: items are read side by side, and still leave in their order. */
type Turn = { readonly before: Promise<void>; readonly end: () => void }
type Placed = { readonly lane: number; readonly position: number; readonly item: QueueItem }

export function queueOf(peer: Peer): string {
  return peer.role === "node" ? queueNames.member(peer.name) : queueNames.forward(peer.name)
}

/** Sends one peer's queue for as long as its link lasts. */
export class Delivery {
  readonly #parts: DeliveryParts
  readonly #peer: Peer
  readonly #queue: string
  readonly #lanes = new Map<number, LaneState>()
  #unansweredBytes = 0
  /** When the peer last answered, or mail to it was last seen to move. */
  #movedAtMs = 0
  #unsentBytes = 0
  #asked = 0
  #isPumping = false
  #again = false
  #isStopped = false

  constructor(parts: DeliveryParts, peer: Peer) {
    this.#parts = parts
    this.#peer = peer
    this.#queue = queueOf(peer)
    for (const lane of queueLanes)
      this.#lanes.set(lane, {
        cursor: 0,
        unanswered: 0,
        isEmpty: false,
        sent: Promise.resolve(),
        busy: new Set(),
        stale: 0,
        lookedTo: 0,
      })
    this.#lookAgain()
  }

  /** Something new waits, or there is room again. */
  wake(): void {
    for (const state of this.#lanes.values()) state.isEmpty = false
    this.#pump()
  }

  stop(): void {
    this.#isStopped = true
  }

  /**
   * To be called once a second. A relay whose link answers pings and whose mail nobody answers would hold
   * what is in its window for ever: it counts as away. What a slow line still takes in is no silence.
   */
  tend(): void {
    const { clock, links, journal } = this.#parts
    if (this.#isStopped || this.#peer.role !== "relay") return
    const nowMs = clock.monotonicMs()
    const { unsentBytes } = this.#peer
    const isTaking = unsentBytes > 0 && unsentBytes !== this.#unsentBytes
    this.#unsentBytes = unsentBytes
    if (isTaking || this.#asked === 0) this.#movedAtMs = nowMs
    if (nowMs - this.#movedAtMs < relayLimits.answerPatienceMs) return
    journal.warn("silent", { peer: this.#peer.name, unanswered: this.#asked })
    links.goAround(this.#peer.name, this.#movedAtMs)
    this.#peer.close("busy")
  }

  async #ask(lane: LinkLane, request: Request): Promise<LinkMessage> {
    if (this.#asked === 0) this.#movedAtMs = this.#parts.clock.monotonicMs()
    this.#asked += 1
    try {
      return await this.#peer.request(lane, request)
    } finally {
      this.#asked -= 1
      this.#movedAtMs = this.#parts.clock.monotonicMs()
    }
  }

  /** Position up to which the lane was handed to the peer, as far as it has answered; 0 for nothing. */
  handedOver(lane: number): number {
    const state = this.#lanes.get(lane)
    return state === undefined || state.unanswered > 0 ? 0 : state.cursor
  }

  #pump(): void {
    if (this.#isStopped) return
    if (this.#isPumping) {
      this.#again = true
      return
    }
    this.#isPumping = true
    this.#fill()
      .catch((cause: unknown) => {
        this.#parts.journal.warn("delivery", {
          peer: this.#peer.name,
          code: cause instanceof ChappeError ? cause.code : "internal",
          ...(cause instanceof Error && { why: cause.message }),
        })
      })
      .finally(() => {
        this.#isPumping = false
        if (this.#again) {
          this.#again = false
          this.#pump()
        }
      })
  }

  async #fill(): Promise<void> {
    for (const lane of queueLanes) {
      const state = this.#lanes.get(lane)
      if (state === undefined) continue
      while (this.#hasRoom(state)) {
        const limit = Math.min(
          relayLimits.readAheadItems,
          relayLimits.windowItems - state.unanswered,
        )
        const items = await this.#read(lane, state.cursor, limit)
        if (items.length < limit) state.isEmpty = true
        for (const placed of items) {
          state.cursor = placed.position
          this.#start(placed, state)
        }
      }
    }
  }

  #hasRoom(state: LaneState): boolean {
    return (
      !this.#isStopped &&
      !state.isEmpty &&
      state.unanswered < relayLimits.windowItems &&
      this.#unansweredBytes < relayLimits.windowBytes
    )
  }

  async #read(lane: number, after: number, limit: number): Promise<readonly Placed[]> {
    const prefix = laneKey(this.#queue, lane)
    const records = await this.#parts.store.range({
      gte: concat(prefix, positionKey(after + 1)),
      lt: afterPrefix(prefix),
      limit,
    })
    return records.map(({ key, value }) => ({
      lane,
      position: parseQueueKey(key).position,
      item: queueItem.decode(openRecord(key, value)),
    }))
  }

  /** What the peer has taken and not settled since the last look goes again, a window of each lane at a time. */
  #lookAgain(): void {
    this.#parts.clock.after(relayLimits.deliverAgainMs, () => {
      if (this.#isStopped) return
      this.#deliverAgain()
        .catch((cause: unknown) => {
          if (!(cause instanceof ChappeError)) throw cause
          this.#parts.journal.warn("delivery", { peer: this.#peer.name, code: cause.code })
        })
        .finally(() => this.#lookAgain())
    })
  }

  async #deliverAgain(): Promise<void> {
    for (const [lane, state] of this.#lanes) {
      const { stale, cursor, lookedTo } = state
      state.stale = cursor
      if (stale === 0) continue
      const found = await this.#read(lane, lookedTo, relayLimits.windowItems)
      const due = found.filter(({ position }) => position <= stale)
      state.lookedTo = due.length < relayLimits.windowItems ? 0 : (due.at(-1)?.position ?? 0)
      for (const placed of due) if (!state.busy.has(placed.position)) this.#start(placed, state)
    }
  }

  #start(placed: Placed, state: LaneState): void {
    const bytes = bytesOf(placed.item)
    state.busy.add(placed.position)
    state.unanswered += 1
    this.#unansweredBytes += bytes
    const before = state.sent
    const { sent, end } = newTurn()
    state.sent = sent
    this.#send(placed, { before, end })
      .then(() => state.busy.delete(placed.position))
      .catch((cause: unknown) => {
        this.#failed(placed, cause)
      })
      .finally(() => {
        end()
        state.unanswered -= 1
        this.#unansweredBytes -= bytes
        this.#pump()
      })
  }

  /** A link that went down says nothing about the item; anything else is tried again later. */
  #failed({ lane, position }: Placed, cause: unknown): void {
    if (isCut(cause)) {
      this.stop()
      return
    }
    const seconds = cause instanceof Refusal ? cause.retrySeconds : 5
    const code = cause instanceof ChappeError ? cause.code : "internal"
    this.#parts.watch.failed(this.#queue, lane, code)
    this.#parts.journal.warn("deferred", {
      peer: this.#peer.name,
      lane,
      position,
      code,
      ...(cause instanceof Error && { why: cause.message }),
    })
    this.#parts.clock.after(Math.max(1, seconds) * 1_000, () => {
      this.#retry(lane, position).catch(() => {
        this.wake()
      })
    })
  }

  async #retry(lane: number, position: number): Promise<void> {
    const state = this.#lanes.get(lane)
    if (this.#isStopped || state === undefined) return
    state.busy.delete(position)
    const [placed] = await this.#read(lane, position - 1, 1)
    if (placed?.position === position) this.#start(placed, state)
  }

  async #send(placed: Placed, turn: Turn): Promise<void> {
    const { item } = placed
    switch (item.name) {
      case "evidence":
      case "control":
      case "tombstone":
        turn.end()
        await this.#sendSmall(placed, item)
        break
      case "message":
        if (this.#peer.role === "node") await this.#deliver(placed, item, turn)
        else await this.#forward(placed, item, turn)
    }
    this.#parts.watch.succeeded(this.#queue, placed.lane)
  }

  async #sendSmall(
    { lane, position }: Placed,
    item: Exclude<QueueItem, { readonly name: "message" }>,
  ): Promise<void> {
    const { committer, mail } = this.#parts
    try {
      expectAnswer(await this.#ask(linkLanes.control, requestOf(item)), "done")
    } catch (cause) {
      // Refused for good: the peer cannot use it, and nobody else wants it.
      if (!(cause instanceof Refusal) || !cause.isFinal) throw cause
      this.#parts.journal.warn("evidence-refused", { peer: this.#peer.name, code: cause.code })
    }
    await committer.commit(async (draft) => {
      await mail.dequeue(draft, queueKey(this.#queue, lane, position))
      return () => undefined
    })
  }

  async #deliver(
    placed: Placed,
    { messageId, nodes }: Extract<QueueItem, { readonly name: "message" }>,
    turn: Turn,
  ): Promise<void> {
    const [node = ""] = nodes
    const whole = await this.#parts.damage.whole(messageId)
    const slice = await this.#slice(messageId, node)
    if (whole === undefined || slice === undefined) return
    const { record, body } = whole
    await turn.before
    try {
      const asked = this.#ask(lanesOf(placed.lane), {
        name: "deliver",
        header: record.header,
        auth: record.auth,
        slice: { leaf: slice.leaf, path: slice.path },
        acceptance: record.acceptance,
        attachments: record.attachments,
        body,
      })
      turn.end()
      expectAnswer(await asked, "done")
      this.#parts.metrics.count("chappe_relay_deliveries_total")
    } catch (cause) {
      if (!(cause instanceof Refusal) || !cause.isFinal) throw cause
      await this.#setAside(messageId, record, [node], cause.code)
    }
  }

  /** The peer will not take it: it leaves its lane, and the sender is told. */
  async #setAside(
    messageId: Uint8Array,
    record: MessageRecord,
    nodes: readonly string[],
    reason: string,
  ): Promise<void> {
    const { committer, mail, routes, watch, metrics, journal } = this.#parts
    const sender = decodeHeader(record.header).core.senderNode
    await committer.commit(async (draft) => {
      const steps: RelayStep[] = []
      // Only what can be logged is changed: without the time this waits.
      draft.demandTime()
      for (const recipientNode of nodes) {
        // It may have been settled, or have gone another way, since the peer was asked.
        const slice = await draft.get(sliceRecord, sliceKey(messageId, recipientNode))
        if (slice?.queue !== this.#queue) continue
        await mail.move(draft, messageId, recipientNode, queueNames.aside)
        steps.push({ messageId, recipientNode, step: "undelivered", reason, ref: null })
      }
      if (steps.length === 0) return () => undefined
      const queue = routes.evidenceQueueFor(sender)
      await mail.tell(draft, { self: routes.self, sender, queue }, steps)
      return () => {
        watch.setAside(this.#peer.name, reason)
        metrics.count("chappe_relay_undelivered_total", { code: reason })
        journal.warn("undelivered", { id: toHex(messageId), peer: this.#peer.name, code: reason })
      }
    })
  }

  async #forward(
    { lane }: Placed,
    { messageId, nodes }: Extract<QueueItem, { readonly name: "message" }>,
    turn: Turn,
  ): Promise<void> {
    const whole = await this.#parts.damage.whole(messageId)
    if (whole === undefined) return
    const { record, body } = whole
    const found = await Promise.all(
      nodes.map(async (node) => ({ node, slice: await this.#slice(messageId, node) })),
    )
    const slices = found.flatMap(({ node, slice }) =>
      slice === undefined ? [] : [{ node, slice }],
    )
    if (slices.length === 0) return
    // What has attachments lets others pass while they go over.
    if (record.attachments.length > 0) turn.end()
    for (const attachment of record.attachments) await this.#push(attachment)
    if (record.attachments.length === 0) await turn.before
    let custody: LinkMessage<"custody">
    try {
      const asked = this.#ask(lanesOf(lane), {
        name: "forward",
        header: record.header,
        auth: record.auth,
        slices: slices.map(({ slice: { leaf, path } }) => ({ leaf, path })),
        acceptance: record.acceptance,
        attachments: record.attachments,
        body,
      })
      turn.end()
      custody = expectAnswer(await asked, "custody")
    } catch (cause) {
      if (!(cause instanceof Refusal) || !cause.isFinal) throw cause
      const refused = slices.map(({ node }) => node)
      await this.#setAside(messageId, record, refused, cause.code)
      return
    }
    const given = slices.map(({ node }) => node)
    await this.#handedOver(messageId, record, given, custody)
  }

  /**
   * The next relay has it in custody: our copy waits for the delivery, and the sender hears of both. What it
   * has not signed for stays. Refused: `signature` when that is any of it.
   */
  async #handedOver(
    messageId: Uint8Array,
    record: MessageRecord,
    nodes: readonly string[],
    custody: LinkMessage<"custody">,
  ): Promise<void> {
    const { committer, mail, routes, metrics, directory, batches, network, links, clock } =
      this.#parts
    const sender = decodeHeader(record.header).core.senderNode
    const relay = this.#peer.name
    const facts = { directory, batches, now: network.now }
    const signed = custodyOf(custody, { relay, messageId }, facts)
    const held = nodes.flatMap((node) => {
      const receipt = signed.get(node)
      return receipt === undefined ? [] : [{ node, receipt }]
    })
    await committer.commit(async (draft) => {
      draft.demandTime()
      const steps: RelayStep[] = []
      for (const { node } of held)
        if (await mail.move(draft, messageId, node, queueNames.awaiting(relay)))
          steps.push({
            messageId,
            recipientNode: node,
            step: "forwarded",
            reason: null,
            ref: utf8(relay),
          })
      const queue = routes.evidenceQueueFor(sender)
      if (queue === undefined || steps.length === 0) return () => undefined
      await mail.tell(draft, { self: routes.self, sender, queue }, steps)
      const items = held.map(({ receipt }) => ({ to: sender, messageId, ...receipt }))
      await mail.passOn(draft, queue, relay, items, () => custody.acceptance)
      return () => {
        metrics.count("chappe_relay_forwards_total", { to: relay })
      }
    })
    if (held.length === nodes.length) return
    links.goAround(relay, clock.monotonicMs())
    throw new ChappeError("signature", `${relay} has not signed for all that it was given`)
  }

  /** Brings an attachment to the next relay, from where it has it. Part by part: never whole in memory. */
  async #push({ hash, length }: AttachmentRef): Promise<void> {
    const { attachments } = this.#parts
    const offer = { name: "bodyOffer", body: { hash, length } } as const
    const has = await this.#ask(linkLanes.bulk, offer)
    let { offset } = expectAnswer(has, "bodyHave")
    while (offset < length) {
      const part = await attachments.read(hash, offset, limits.bodyPartBytesMax)
      const put = { name: "bodyPut", hash, offset, part } as const
      const answer = expectAnswer(await this.#ask(linkLanes.bulk, put), "bodyHave")
      if (answer.offset <= offset)
        throw new ChappeError(
          "attachments-missing",
          `${this.#peer.name} does not take ${toHex(hash)}`,
        )
      ;({ offset } = answer)
    }
  }

  async #slice(messageId: Uint8Array, node: string): Promise<SliceRecord | undefined> {
    const slice = await this.#parts.committer.read(sliceRecord, sliceKey(messageId, node))
    return slice?.queue === this.#queue ? slice : undefined
  }
}

/** Our own word, not a peer's that says it of itself. */
function isCut(cause: unknown): boolean {
  return cause instanceof ChappeError && !(cause instanceof Refusal) && cause.code === "link-down"
}

function requestOf(item: Exclude<QueueItem, { readonly name: "message" }>): Request {
  switch (item.name) {
    case "evidence":
      return { name: item.name, from: item.from, items: item.items, acceptance: item.acceptance }
    case "control":
      return { name: item.name, control: item.control }
    case "tombstone":
      return { name: item.name, tombstone: item.tombstone }
  }
}

function newTurn(): { readonly sent: Promise<void>; readonly end: () => void } {
  const ends: (() => void)[] = []
  const sent = new Promise<void>((resolve) => ends.push(resolve))
  return { sent, end: () => ends.forEach((end) => end()) }
}

function lanesOf(lane: number): LinkLane {
  return lane === 3 || lane === 2 || lane === 1 || lane === 0 ? linkLaneOf(lane) : linkLanes.control
}
