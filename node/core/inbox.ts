// The inbox: what relays deliver passes every check, in the order of docs/PROTOCOL.md, "Release order",
// before anybody sees it. What fails before it could be opened is answered to the relay (NACK) and set
// aside there; what fails later is REJECTED with a receipt and takes its place in the channel.

import { openAcceptance } from "../../keys/accepted-entry.ts"
import {
  type OpenedMessage,
  type ParsedDelivery,
  type VerifiedDelivery,
  openDelivery,
  parseDelivery,
  verifyDelivery,
} from "../../keys/open-envelope.ts"
import { type OpenedTombstone, openTombstone } from "../../keys/open-tombstone.ts"
import type { BatchVerifier } from "../../protocol/batch.ts"
import { equalBytes, toHex } from "../../protocol/bytes.ts"
import { uint } from "../../protocol/codec.ts"
import type { DeliveryPolicy } from "../../protocol/delivery-policy.ts"
import type { Directory } from "../../protocol/directory.ts"
import { decodeHeader, precedences } from "../../protocol/envelope.ts"
import { ChappeError, type ErrorCode } from "../../protocol/errors.ts"
import { limits } from "../../protocol/limits.ts"
import type { AttachmentRef, LinkMessage } from "../../protocol/link-messages.ts"
import { decodeTombstone } from "../../protocol/tombstone.ts"
import { nodeLimits } from "../limits.ts"
import type { Alarms } from "./alarms.ts"
import type { BodyRequests } from "./body-requests.ts"
import type { BodyTransfer } from "./body-transfer.ts"
import {
  type ChannelIn,
  type ChannelVerdict,
  channelKey,
  hasMostGaps,
  isAfterGap,
  judgePlace,
} from "./channel.ts"
import { ChannelBook } from "./channel-book.ts"
import type { DirectoryFollower } from "./directory-follower.ts"
import type { DiskRoom } from "./disk-room.ts"
import type { Gap, Gaps } from "./gaps.ts"
import {
  type HeldDelivery,
  type InboxItem,
  type InboxState,
  type RejectedDelivery,
  type StoredMail,
  type StoredTombstone,
  inboxItem,
  inboxStates,
  knownId,
  rejectedDelivery,
  storedMail,
} from "./inbox-records.ts"
import type { InboxWriter } from "./inbox-writer.ts"
import type { LinkTable } from "./link-table.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { OwnPrekeys } from "./own-prekeys.ts"
import type { Change, Log, RelayLink } from "./ports.ts"
import type { NewReceipt, ReceiptBook } from "./receipt-book.ts"
import { type Records, type Table, numberKey, walk } from "./records.ts"
import { type Aged, agedIn } from "./retention.ts"
import { Serials } from "./serial.ts"

export type DeliveryAnswer =
  /** Kept, or answered by a receipt that is on disk. */
  | { readonly kind: "taken" }
  | {
      readonly kind: "refused"
      readonly code: ErrorCode
      readonly final: boolean
      readonly retrySeconds: number
    }

/** What taking it may write, all in all. */
function bytesOf({ body, attachments }: LinkMessage<"deliver">): number {
  const eager = attachments.filter(({ length }) => length <= limits.attachmentEagerBytesMax)
  return eager.reduce((sum, { length }) => sum + length, 2 * body.length)
}

/** Not now: the relay keeps it and delivers it again. */
class Postponed extends ChappeError {
  readonly retrySeconds: number

  constructor(code: ErrorCode, retrySeconds: number) {
    super(code)
    this.retrySeconds = retrySeconds
  }
}

/** A message on its way through the checks. `relay` delivered it; a held one came at `now`. */
type Incoming = {
  readonly verified: VerifiedDelivery
  readonly relay: string
  readonly now: number
  readonly marks: readonly string[]
}

/** What became of a held message. `stuck`: this node can take in nothing now, whatever it is. */
type HeldFate = "taken" | "dropped" | "waits" | "stuck"

/** Marks that a reader must see. */
export const inboxMarks = {
  earlierMissing: "earlier-missing",
  late: "late",
  /** The key counted where the relay accepted the message, and was revoked since. */
  keyRevoked: "key-revoked-since",
} as const

export class Inbox {
  readonly #me: string
  readonly #directory: Directory
  readonly #follower: DirectoryFollower
  readonly #links: LinkTable
  readonly #prekeys: OwnPrekeys
  readonly #bodies: BodyTransfer
  readonly #receipts: ReceiptBook
  readonly #writer: InboxWriter
  readonly #batches: BatchVerifier
  readonly #records: Records
  readonly #items: Table<InboxItem>
  readonly #mail: Table<StoredMail>
  readonly #numbers: Table<number>
  readonly #known: Table<{ readonly root: Uint8Array; readonly at: number }>
  readonly #rejected: Table<RejectedDelivery>
  readonly #alarms: Alarms
  readonly #clock: NetworkClock
  readonly #log: Log
  readonly #policy: () => DeliveryPolicy
  readonly #book: ChannelBook
  readonly #gaps: Gaps
  readonly #wanted: BodyRequests
  readonly #room: DiskRoom
  readonly #serials = new Serials()
  /** By relay: the last time its directory was fetched for a doubtful key. */
  readonly #refreshes = new Map<string, { readonly atMs: number; readonly done: Promise<void> }>()
  readonly #onNew: ((item: InboxItem) => void)[] = []
  #last = 0

  constructor(options: {
    readonly me: string
    readonly directory: Directory
    readonly follower: DirectoryFollower
    readonly links: LinkTable
    readonly prekeys: OwnPrekeys
    readonly bodies: BodyTransfer
    readonly receipts: ReceiptBook
    readonly writer: InboxWriter
    readonly batches: BatchVerifier
    readonly records: Records
    readonly alarms: Alarms
    readonly clock: NetworkClock
    readonly log: Log
    readonly policy: () => DeliveryPolicy
    readonly gaps: Gaps
    readonly wanted: BodyRequests
    readonly room: DiskRoom
  }) {
    const { records } = options
    this.#me = options.me
    this.#directory = options.directory
    this.#follower = options.follower
    this.#links = options.links
    this.#prekeys = options.prekeys
    this.#bodies = options.bodies
    this.#receipts = options.receipts
    this.#writer = options.writer
    this.#batches = options.batches
    this.#records = records
    this.#items = records.table("inbox", inboxItem)
    this.#mail = records.table("mail", storedMail)
    this.#numbers = records.table("inbox-number", uint(0xffff_ffff))
    this.#known = records.table("known", knownId)
    this.#rejected = records.table("rejected", rejectedDelivery)
    this.#alarms = options.alarms
    this.#clock = options.clock
    this.#log = options.log
    this.#policy = options.policy
    this.#book = new ChannelBook(records)
    this.#gaps = options.gaps
    this.#wanted = options.wanted
    this.#room = options.room
  }

  async load(): Promise<void> {
    let expected = 1
    for await (const { item } of walk(this.#items)) {
      if (item.number !== expected)
        throw new ChappeError("tampered", `message ${expected} is missing from the records`)
      expected += 1
    }
    this.#last = expected - 1
    const open = await this.#book.load()
    for (const channel of new Set([...open, ...(await this.#gaps.load())]))
      await this.#gaps.see(channel, await this.#book.missing(channel))
  }

  /** Of a channel: everything up to it was settled. */
  async lastNumber(channel: string): Promise<number> {
    return (await this.#book.state(channel)).last
  }

  /** Ids that were answered long ago: what comes now under them has expired. */
  async aged(before: number, after: string | undefined): Promise<Aged> {
    return agedIn(this.#known, ({ at }) => at < before, after)
  }

  whenNew(task: (item: InboxItem) => void): () => void {
    this.#onNew.push(task)
    return () => this.#onNew.splice(this.#onNew.indexOf(task), 1)
  }

  get heldCount(): number {
    return this.#book.heldCount
  }

  // ---- Taking in

  async deliver(link: RelayLink, message: LinkMessage<"deliver">): Promise<DeliveryAnswer> {
    try {
      return await this.#take(link, message)
    } catch (cause) {
      if (!(cause instanceof ChappeError)) throw cause
      if (cause.code === "storage" || cause.code === "disk-full") throw cause
      this.#log.info("delivery-refused", { relay: link.relay, code: cause.code })
      const isPostponed = cause instanceof Postponed || isStuck(cause)
      return {
        kind: "refused",
        code: cause.code,
        final: !isPostponed,
        retrySeconds: cause instanceof Postponed ? cause.retrySeconds : isPostponed ? 60 : 0,
      }
    }
  }

  async #take(link: RelayLink, message: LinkMessage<"deliver">): Promise<DeliveryAnswer> {
    // 1 and 2
    const parsed = parseDelivery({ ...message, leaf: message.slice.leaf, path: message.slice.path })
    // 3: however late, whatever became of keys and times since.
    if (await this.#isAnswered(parsed.messageId, link.relay)) return { kind: "taken" }
    if (this.#clock.isOff) throw new Postponed("clock", 60)
    if (!this.#room.has(bytesOf(message))) throw new Postponed("busy", nodeLimits.fullRetrySeconds)
    // 4 to 8
    const now = this.#clock.now()
    const verified = await this.#verify(parsed, link, now)
    const { core } = verified.header
    const channel = channelKey(core.senderNode, verified.leaf.incarnation, core.precedence)
    return await this.#serials.run(channel, async () => {
      if (await this.#isAnswered(parsed.messageId, link.relay)) return { kind: "taken" }
      const incoming = { verified, relay: link.relay, now }
      const answer = await this.#judgePlace(channel, incoming, message.attachments)
      await this.#noteGaps(channel)
      return answer
    })
  }

  /** A known id gets its stored receipt; a held one waits. */
  async #isAnswered(messageId: Uint8Array, relay: string): Promise<boolean> {
    const known = await this.#known.get(toHex(messageId))
    if (known === undefined) return false
    const link = this.#links.get(relay)
    if (link !== undefined) void this.#receipts.repeat(known.root, messageId, link)
    return true
  }

  async #verify(parsed: ParsedDelivery, link: RelayLink, now: number): Promise<VerifiedDelivery> {
    await this.#catchUp(parsed, link)
    const facts = { me: this.#me, now, directory: this.#directory, batches: this.#batches }
    try {
      return verifyDelivery(parsed, facts)
    } catch (cause) {
      if (!(await this.#isRefreshed(cause, ["entry", "sender-key", "suite"], link))) throw cause
      return verifyDelivery(parsed, facts)
    }
  }

  /** Keys are judged in the accepting relay's directory log, so as much of it must be here. */
  async #catchUp(parsed: ParsedDelivery, link: RelayLink): Promise<void> {
    let place: { readonly origin: string; readonly size: number }
    let relay: string
    try {
      const accepted = openAcceptance(this.#directory, parsed.bytes.acceptance, parsed.messageId)
      place = accepted.place
      relay = accepted.relay
    } catch (cause) {
      // Judged again, in its turn.
      if (cause instanceof ChappeError) return
      throw cause
    }
    if (this.#follower.sizeOf(place.origin) >= place.size) return
    const source = relay === link.relay ? link : this.#links.get(relay)
    if (source !== undefined) await this.#refresh(source)
    if (this.#follower.sizeOf(place.origin) < place.size) throw new Postponed("stale", 10)
  }

  /** Before a doubtful key is refused the directory is fetched once more. */
  async #isRefreshed(
    cause: unknown,
    codes: readonly ErrorCode[],
    link: RelayLink | undefined,
  ): Promise<boolean> {
    if (!(cause instanceof ChappeError) || !codes.includes(cause.code)) return false
    if (link === undefined) return false
    const atMs = this.#clock.monotonicMs()
    let refresh = this.#refreshes.get(link.relay)
    if (refresh === undefined || atMs - refresh.atMs >= nodeLimits.refreshPauseMs) {
      refresh = { atMs, done: this.#refresh(link) }
      this.#refreshes.set(link.relay, refresh)
    }
    // Who comes while it is under way waits for it too.
    await refresh.done
    return true
  }

  /** A directory that cannot be had now says nothing against a message. */
  async #refresh(link: RelayLink): Promise<void> {
    try {
      await this.#follower.refresh(link)
    } catch (cause) {
      if (!(cause instanceof ChappeError) || !isDropped(cause)) throw cause
      throw new Postponed("stale", 10)
    }
  }

  /** 9 */
  async #judgePlace(
    channel: string,
    incoming: Omit<Incoming, "marks">,
    attachments: readonly AttachmentRef[],
  ): Promise<DeliveryAnswer> {
    const state = await this.#book.state(channel)
    const verdict = await this.#verdictOn(channel, state, incoming.verified)
    if (verdict === "hold") return await this.#hold(channel, incoming, attachments)
    await this.#takeIn(channel, state, { ...incoming, verdict })
    if (verdict === "next") await this.#releaseNext(channel)
    return { kind: "taken" }
  }

  async #verdictOn(
    channel: string,
    state: ChannelIn,
    { leaf, messageId }: VerifiedDelivery,
  ): Promise<ChannelVerdict["kind"]> {
    const { channelSeq } = leaf
    const held = this.#book.heldId(channel, channelSeq)
    if (held !== undefined && held !== toHex(messageId)) return "fork"
    const verdict = judgePlace(state, leaf).kind
    if (verdict !== "fork" || channelSeq > state.last) return verdict
    const stone = await this.#book.tombstone(channel, channelSeq)
    // Its tombstone was wrong, or early: a message that does come is never hidden by one.
    return stone !== undefined && equalBytes(stone.messageId, messageId) ? "late" : "fork"
  }

  /** Refused: `channel-fork`, and as `#open`. */
  async #takeIn(
    channel: string,
    state: ChannelIn,
    {
      verdict,
      ...incoming
    }: Omit<Incoming, "marks"> & { readonly verdict: "next" | "late" | "fork" },
  ): Promise<void> {
    const { bytes, leaf } = incoming.verified
    if (verdict === "fork") return await this.#forked(channel, leaf.channelSeq, bytes.header)
    const isLate = verdict === "late"
    const marks = isLate ? [inboxMarks.late] : isAfterGap(state) ? [inboxMarks.earlierMissing] : []
    await this.#open(channel, state, { ...incoming, marks })
  }

  async #forked(channel: string, seq: number, header: Uint8Array): Promise<never> {
    await this.#raiseFork(channel, seq, header)
    throw new ChappeError("channel-fork", `${channel}: number ${seq} is taken`)
  }

  async #raiseFork(channel: string, seq: number, header: Uint8Array): Promise<void> {
    await this.#alarms.raise("channel-fork", `${channel} ${seq}`, [header])
  }

  async #hold(
    channel: string,
    { verified, relay, now }: Omit<Incoming, "marks">,
    attachments: readonly AttachmentRef[],
  ): Promise<DeliveryAnswer> {
    const { channelSeq } = verified.leaf
    if (this.#book.isHeld(channel, channelSeq)) return { kind: "taken" }
    if (this.#book.waitingCount(channel) >= limits.channelHoldMax) throw new Postponed("busy", 30)
    const { header, auth, leaf, path, acceptance, body } = verified.bytes
    const { messageId } = verified
    const held: HeldDelivery = {
      relay,
      heldAt: now,
      header,
      auth,
      leaf,
      path,
      acceptance,
      attachments,
      body,
      messageId,
    }
    await this.#book.hold(channel, channelSeq, held)
    return { kind: "taken" }
  }

  /** Takes in what waited, messages and tombstones, as long as the next number is there. */
  async #releaseNext(channel: string): Promise<void> {
    while (this.#book.waitingCount(channel) > 0) {
      const state = await this.#book.state(channel)
      const next = state.last + 1
      if (this.#book.isHeld(channel, next)) {
        const fate = await this.#releaseHeld(channel, state, next)
        if (fate === "taken") continue
        if (fate !== "dropped") return
      }
      if (!this.#book.hasGrave(channel, next)) return
      await this.#releaseGrave(channel, state, next)
    }
  }

  async #releaseHeld(channel: string, state: ChannelIn, seq: number): Promise<HeldFate> {
    const held = await this.#book.held(channel, seq)
    if (held === undefined) throw new ChappeError("tampered", `${channel}: held ${seq} is missing`)
    const now = held.heldAt
    const facts = { me: this.#me, now, directory: this.#directory, batches: this.#batches }
    try {
      const verified = verifyDelivery(parseDelivery(held), facts)
      const verdict = await this.#verdictOn(channel, state, verified)
      if (verdict === "hold") throw new RangeError(`${channel}: ${seq} is released out of its turn`)
      await this.#takeIn(channel, state, { verified, relay: held.relay, now, verdict })
      return "taken"
    } catch (cause) {
      if (!(cause instanceof ChappeError) || !isDropped(cause)) throw cause
      if (isStuck(cause)) return "stuck"
      // Its relay has been told that it is here and does not bring it again.
      if (cause instanceof Postponed && !this.#hasExpired(held, cause)) return "waits"
      // What can no longer be taken in is a missing number: it is asked for, and judged anew.
      await this.#book.drop(channel, seq)
      return "dropped"
    }
  }

  /** An attachment that did not come in the message's lifetime is kept by nobody any more. */
  #hasExpired({ header }: HeldDelivery, { code }: Postponed): boolean {
    return code === "attachments-missing" && this.#clock.now() > decodeHeader(header).core.expires
  }

  /** Takes in what was passed over although it was here. What still cannot be lets the others pass. */
  async #releaseLate(channel: string): Promise<void> {
    for (;;) {
      const state = await this.#book.state(channel)
      const seq = this.#book.heldNumbers(channel).find((one) => one <= state.last)
      if (seq === undefined) return
      const fate = await this.#releaseHeld(channel, state, seq)
      if (fate === "stuck") return
      if (fate === "waits") return this.#book.putBack(channel, seq)
    }
  }

  // ---- Tombstones

  /**
   * A number will not come. One whose message is here changes nothing. Refused: as `openTombstone`,
   * `channel-fork`.
   */
  async settleByTombstone(link: RelayLink, bytes: Uint8Array): Promise<void> {
    if (this.#clock.isOff) throw new Postponed("clock", 60)
    const opened = await this.#openTombstone(link, bytes)
    const { header, leaf, messageId, step, signer } = opened
    if (leaf.node !== this.#me) throw new ChappeError("not-for-me")
    const { channelSeq, channelPrev } = leaf
    const at = this.#clock.now()
    const stone = { messageId, channelSeq, channelPrev, at, step, signer, tombstone: bytes }
    const { senderNode, precedence } = header.core
    const channel = channelKey(senderNode, leaf.incarnation, precedence)
    await this.#serials.run(channel, async () => {
      if ((await this.#known.get(toHex(messageId))) !== undefined) return
      await this.#placeTombstone(channel, stone, opened.tombstone.header)
      await this.#releaseNext(channel)
      await this.#noteGaps(channel)
    })
  }

  async #openTombstone(link: RelayLink, bytes: Uint8Array): Promise<OpenedTombstone> {
    const now = this.#clock.now()
    const facts = { now, directory: this.#directory, batches: this.#batches }
    try {
      return openTombstone(bytes, facts)
    } catch (cause) {
      if (!(await this.#isRefreshed(cause, ["sender-key"], link))) throw cause
      return openTombstone(bytes, facts)
    }
  }

  async #placeTombstone(
    channel: string,
    stone: StoredTombstone,
    header: Uint8Array,
  ): Promise<void> {
    const { channelSeq, messageId } = stone
    const state = await this.#book.state(channel)
    const verdict = judgePlace(state, stone).kind
    const before = await this.#book.tombstone(channel, channelSeq)
    // Said before: it settles only what is missing all the same.
    const isSame = before !== undefined && equalBytes(before.messageId, messageId)
    if (isSame && verdict !== "late") return
    // Its message is here and waits, as for an attachment: that goes first.
    const isHeld = this.#book.heldId(channel, channelSeq) === toHex(messageId)
    switch (isHeld && verdict === "next" ? "hold" : verdict) {
      case "next":
      case "late":
        await this.#book.settleBy(channel, state, stone)
        break
      case "hold":
        if (this.#book.waitingCount(channel) >= limits.channelHoldMax)
          throw new Postponed("busy", 30)
        await this.#book.bury(channel, stone)
        return
      case "fork":
        return await this.#forked(channel, channelSeq, header)
    }
    this.#log.info("settled", { channel, seq: channelSeq, step: stone.step, by: stone.signer })
  }

  async #releaseGrave(channel: string, state: ChannelIn, seq: number): Promise<void> {
    const stone = await this.#book.tombstone(channel, seq)
    if (stone === undefined)
      throw new ChappeError("tampered", `${channel}: the tombstone of ${seq} is missing`)
    const verdict = judgePlace(state, stone).kind
    if (verdict === "next" || verdict === "late")
      return void (await this.#book.settleBy(channel, state, stone))
    // Another message has its place: that is told, and the number stays open.
    await this.#book.exhume(channel, seq)
    const { header } = decodeTombstone(stone.tombstone)
    await this.#raiseFork(channel, seq, header)
  }

  // ---- Gaps

  get gaps(): readonly Gap[] {
    return this.#gaps.list()
  }

  async #noteGaps(channel: string): Promise<void> {
    if (this.#book.waitingCount(channel) > 0 || this.#gaps.has(channel))
      await this.#seeGaps(channel)
  }

  async #seeGaps(channel: string): Promise<void> {
    // Nothing vanishes unseen: from here on the oldest gap may go.
    if (hasMostGaps(await this.#book.state(channel))) await this.#alarms.raise("gaps-full", channel)
    await this.#gaps.see(channel, await this.#book.missing(channel))
  }

  /** Asks for what is missing; after the lane's deadline shows what was held. */
  async tick(): Promise<void> {
    if (this.#clock.isOff) return
    for (const channel of this.#book.channelsThatHold()) {
      try {
        await this.#serials.run(channel, () => this.#goOn(channel))
      } catch (cause) {
        // A damaged record holds up its own channel alone.
        if (!(cause instanceof ChappeError) || cause.code !== "tampered") throw cause
        this.#log.warn("channel-failed", { channel, code: cause.code })
      }
    }
    await this.#gaps.ask()
  }

  async #goOn(channel: string): Promise<void> {
    // What a crash or a lost link kept from its turn.
    await this.#releaseNext(channel)
    const state = await this.#book.state(channel)
    if (this.#isOverdue(channel, state)) await this.#giveUpGap(channel, state)
    await this.#releaseLate(channel)
    await this.#seeGaps(channel)
  }

  /** Whether what is held has waited for its lane's deadline, or its sender's node was replaced. */
  #isOverdue(channel: string, { last }: ChannelIn): boolean {
    const heldAt = this.#book.oldestHeldAt(channel, last)
    if (!Number.isFinite(heldAt)) return false
    const [sender = "", incarnation = "", lane = ""] = channel.split("/")
    const precedence = precedences[Number(lane)] ?? "routine"
    const deadline = heldAt + this.#policy().deadlineSeconds[precedence]
    return (
      this.#clock.now() > deadline ||
      this.#directory.currentIncarnation(sender) > Number(incarnation)
    )
  }

  async #giveUpGap(channel: string, before: ChannelIn): Promise<void> {
    const { last } = before
    const seq = Math.min(...this.#book.heldNumbers(channel).filter((one) => one > last))
    const isGap = seq > last + 1
    const state = isGap ? await this.#book.passOver(channel, before, seq) : before
    const fate = await this.#releaseHeld(channel, state, seq)
    // It must not hold up what stands behind it.
    if (fate === "waits") await this.#book.passOver(channel, state, seq + 1)
    await this.#releaseNext(channel)
  }

  /** A link came up: what is missing may be had through it. */
  linkUp(): void {
    this.#gaps.linkUp()
  }

  /** 10 to 18, the attachments, and the one commit that makes it count. */
  async #open(channel: string, state: ChannelIn, incoming: Incoming): Promise<void> {
    const { verified } = incoming
    let opened: OpenedMessage
    try {
      opened = await this.#openOnce(incoming)
    } catch (cause) {
      if (!(cause instanceof ChappeError) || cause.code === "body") throw cause
      if (cause instanceof Postponed) throw cause
      return await this.#reject(channel, state, incoming, cause.code)
    }
    for (const { hash, cipherLength } of opened.document.attachments) {
      if (cipherLength > limits.attachmentEagerBytesMax) continue
      await this.#fetch({ hash, length: cipherLength }, incoming)
    }
    const { core } = verified.header
    const identity = `${toHex(core.id)}/${core.senderNode}`
    const item = await this.#serials.run(`identity ${identity}`, async () => {
      const isShown = (await this.#numbers.get(identity)) !== undefined
      let shown: InboxItem | undefined
      await this.#writer.settle({
        relay: incoming.relay,
        receipt: receiptOf(verified, "delivered", null),
        changes: (root) => {
          // Numbered at the last moment: a number without its message would look like a loss.
          shown = isShown ? undefined : this.#itemOf(incoming, opened)
          return [
            ...this.#settledChanges(channel, state, incoming, root),
            ...(shown === undefined ? [] : this.#shownChanges(identity, shown, verified, opened)),
          ]
        },
      })
      return shown
    })
    this.#book.forget(channel, verified.leaf.channelSeq)
    if (item === undefined) return
    await this.#gossip(verified)
    this.#log.info("received", { id: toHex(core.id), from: core.senderNode, relay: incoming.relay })
    for (const task of this.#onNew) task(item)
  }

  /** The sender's view of its homes' directory logs must be one that is known here too. */
  async #gossip({ header, bytes }: VerifiedDelivery): Promise<void> {
    const { senderNode, checkpoint } = header.core
    const judged = this.#directory.homes(senderNode).map((relay) => {
      const origin = this.#directory.currentLog(relay, "directory")?.origin
      return origin === undefined ? "unknown" : this.#follower.judgeHead(origin, checkpoint)
    })
    if (judged.length > 0 && judged.every((one) => one === "differs"))
      await this.#alarms.raise("checkpoint-mismatch", `${senderNode} ${checkpoint.size}`, [
        bytes.header,
      ])
  }

  async #openOnce({ verified, relay, now }: Incoming): Promise<OpenedMessage> {
    const facts = {
      me: this.#me,
      now,
      directory: this.#directory,
      batches: this.#batches,
      prekey: (id: Uint8Array) => this.#prekeys.secret(id),
    }
    try {
      return openDelivery(verified, facts)
    } catch (cause) {
      const codes = ["officer-key", "capability", "officer-signature"] as const
      if (!(await this.#isRefreshed(cause, codes, this.#links.get(relay)))) throw cause
      return openDelivery(verified, facts)
    }
  }

  async #fetch(body: AttachmentRef, { relay, verified }: Incoming): Promise<void> {
    try {
      await this.#bodies.download(body, this.#links.get(relay))
    } catch (cause) {
      if (!(cause instanceof ChappeError) || cause.code !== "attachments-missing") throw cause
      const { messageId, header } = verified
      this.#wanted.want({ sender: header.core.senderNode, messageId, hash: body.hash })
      throw new Postponed("attachments-missing", 10)
    }
  }

  async #reject(
    channel: string,
    state: ChannelIn,
    incoming: Incoming,
    code: ErrorCode,
  ): Promise<void> {
    const { verified, relay } = incoming
    const { header, auth, leaf, acceptance } = verified.bytes
    const name = toHex(verified.messageId)
    this.#log.warn("rejected", { messageId: name, code })
    await this.#writer.settle({
      relay,
      receipt: receiptOf(verified, "rejected", code),
      changes: (root) => [
        ...this.#settledChanges(channel, state, incoming, root),
        this.#rejected.put(name, { code, header, auth, leaf, acceptance }),
      ],
    })
    this.#book.forget(channel, verified.leaf.channelSeq)
  }

  #settledChanges(
    channel: string,
    state: ChannelIn,
    { verified, now }: Incoming,
    root: Uint8Array,
  ): readonly Change[] {
    const { messageId, leaf } = verified
    return [
      this.#known.put(toHex(messageId), { root, at: now }),
      ...this.#book.settledChanges(channel, state, leaf, messageId),
    ]
  }

  #itemOf(incoming: Incoming, { content, document }: OpenedMessage): InboxItem {
    const { verified } = incoming
    const { core } = verified.header
    const isRevoked = this.#directory.isRevokedAnywhere(core.senderNode, core.senderKeyId)
    const marks = isRevoked ? [...incoming.marks, inboxMarks.keyRevoked] : incoming.marks
    const { incarnation, channelSeq, channelPrev } = verified.leaf
    return {
      number: ++this.#last,
      messageId: verified.messageId,
      id: core.id,
      from: core.senderNode,
      type: content.type,
      officer: content.officer,
      subject: document.subject,
      lane: core.precedence,
      created: content.created,
      received: this.#clock.now(),
      channel: { incarnation, seq: channelSeq, prev: channelPrev },
      attachments: document.attachments.map((one) => ({
        hash: one.hash,
        cipherLength: one.cipherLength,
        plainLength: one.plainLength,
        plainHash: one.plainHash,
        name: one.name,
        mediaType: one.mediaType,
      })),
      state: "new",
      marks,
    }
  }

  #shownChanges(
    identity: string,
    item: InboxItem,
    { bytes }: VerifiedDelivery,
    { inside }: OpenedMessage,
  ): readonly Change[] {
    const { header, auth, acceptance } = bytes
    return [
      this.#items.put(numberKey(item.number), item),
      this.#numbers.put(identity, item.number),
      this.#mail.put(toHex(item.messageId), { header, auth, acceptance, ...inside }),
    ]
  }

  // ---- Showing

  /** The message with this id; of the sender whose message came first, should two have chosen the same. */
  async byId(id: Uint8Array): Promise<InboxItem | undefined> {
    const found = await this.#numbers.list({ prefix: `${toHex(id)}/`, limit: limits.membersMax })
    const number = Math.min(...found.map(({ item }) => item))
    return Number.isFinite(number) ? await this.#items.get(numberKey(number)) : undefined
  }

  async mailOf(item: InboxItem): Promise<StoredMail> {
    const mail = await this.#mail.get(toHex(item.messageId))
    if (mail === undefined)
      throw new ChappeError("tampered", `message ${item.number} is missing from the records`)
    return mail
  }

  /** In the order of arrival, after the message with this number. */
  async list(after: number, limit: number): Promise<readonly InboxItem[]> {
    const found = await this.#items.list({ after: numberKey(after), limit })
    return found.map(({ item }) => item)
  }

  /** Every hash in `hashes` that a message here names. */
  async isUsed(hash: Uint8Array): Promise<boolean> {
    for await (const { item } of walk(this.#items))
      if (item.attachments.some((one) => equalBytes(one.hash, hash))) return true
    return false
  }

  /** What an officer did: the new state and its receipt, in one commit. A state that was passed stays. */
  async advance(
    item: InboxItem,
    state: InboxState,
    receipt: Pick<NewReceipt, "step" | "reason" | "by" | "ref">,
  ): Promise<InboxItem> {
    return await this.#serials.run(`item ${item.number}`, async () => {
      const key = numberKey(item.number)
      const current = (await this.#items.get(key)) ?? item
      // Two officers at once: the second act finds the first one's state. Every answer is told.
      const isPassed = inboxStates.indexOf(state) <= inboxStates.indexOf(current.state)
      if (isPassed && state !== "answered") return current
      const next = { ...current, state }
      const { from: to, messageId } = item
      const signed = this.#receipts.sign([{ to, messageId, ...receipt }], "")
      await this.#records.commit([this.#items.put(key, next), ...signed.changes])
      signed.committed()
      return next
    })
  }

  /** No relay gives this attachment now: its sender is asked. */
  wantBody({ from: sender, messageId }: InboxItem, hash: Uint8Array): void {
    this.#wanted.want({ sender, messageId, hash })
  }

  /** A large attachment was fetched. */
  async fetched(item: InboxItem, hash: Uint8Array): Promise<void> {
    const { from: to, messageId } = item
    const receipt = { to, messageId, step: "fetched", reason: null, by: null, ref: hash } as const
    const signed = this.#receipts.sign([receipt], "")
    await this.#records.commit(signed.changes)
    signed.committed()
  }
}

/** This node's own lack: it says nothing about any message. */
function isStuck({ code }: ChappeError): boolean {
  return code === "key-expired"
}

function isDropped({ code }: ChappeError): boolean {
  return code !== "storage" && code !== "disk-full" && code !== "tampered"
}

function receiptOf(
  verified: VerifiedDelivery,
  step: "delivered" | "rejected",
  reason: string | null,
): NewReceipt {
  const { senderNode } = verified.header.core
  return { to: senderNode, messageId: verified.messageId, step, reason, by: null, ref: null }
}
