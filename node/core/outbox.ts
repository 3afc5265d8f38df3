// The outbox: what officers sent, sealed and kept until it expires, receipt or not.
//
// A message is stored when its officer has signed it. Sealing takes its places in the channels in the
// same commit that stores the envelope. Where no key is at hand it waits unsealed: nothing is lost.

import { signBatch } from "../../keys/batch-signer.ts"
import { sha256 } from "../../keys/crypto.ts"
import { type SealRecipient, batchBlind, sealEnvelope } from "../../keys/seal-envelope.ts"
import { encodeAuth } from "../../protocol/batch.ts"
import { equalBytes, fromHex, toHex, utf8 } from "../../protocol/bytes.ts"
import { bytes, uint } from "../../protocol/codec.ts"
import type { Directory } from "../../protocol/directory.ts"
import { type Lane, decodeHeader, decodeLeaf, lanes } from "../../protocol/envelope.ts"
import { ChappeError } from "../../protocol/errors.ts"
import type { AttachmentRef } from "../../protocol/link-messages.ts"
import { nodeLimits } from "../limits.ts"
import { channelKey, channelOut, nextPlace } from "./channel.ts"
import type { DirectoryFollower } from "./directory-follower.ts"
import { type Identity, type OwnKey, sealingKeyAt } from "./identity.ts"
import type { ChosenKemKey, KemKeys } from "./kem-keys.ts"
import { type Rung, isHigher, isSettled } from "./ladder.ts"
import type { NetworkClock } from "./network-clock.ts"
import {
  type ActiveEnvelope,
  type OutboxItem,
  type RecipientState,
  type SealedHead,
  type SignedDraft,
  activeEnvelope,
  idempotencyRecord,
  outboxItem,
  sealedBody,
  sealedHead,
  signedDraft,
} from "./outbox-records.ts"
import type { Change, Log, Random } from "./ports.ts"
import { type Records, type Table, numberKey, walk } from "./records.ts"
import { Serial } from "./serial.ts"
import { Unsealed, isUnsealed } from "./unsealed.ts"
import type { Fate } from "./tombstone-maker.ts"

export type NewMessage = Omit<OutboxItem, "number" | "recipients" | "envelopes" | "attachments"> & {
  readonly members: readonly string[]
  readonly attachments: readonly AttachmentRef[]
  readonly draft: SignedDraft
  readonly idempotency: { readonly key: string; readonly request: Uint8Array } | undefined
}

type Sealable = {
  readonly key: OwnKey
  readonly kemKeys: ReadonlyMap<string, ChosenKemKey>
}

export type LoadedEnvelope = SealedHead & { readonly body: Uint8Array }

export class Outbox {
  readonly #identity: Identity
  readonly #directory: Directory
  readonly #follower: DirectoryFollower
  readonly #kemKeys: KemKeys
  readonly #records: Records
  readonly #items: Table<OutboxItem>
  readonly #numbers: Table<number>
  readonly #drafts: Table<SignedDraft>
  readonly #idempotency: Table<{ readonly id: Uint8Array; readonly request: Uint8Array }>
  readonly #heads: Table<SealedHead>
  readonly #bodies: Table<Uint8Array>
  readonly #active: Table<ActiveEnvelope>
  readonly #channels: Table<{ readonly seq: number; readonly id: Uint8Array }>
  readonly #places: Table<Uint8Array>
  readonly #clock: NetworkClock
  readonly #random: Random
  readonly #log: Log
  readonly #serial = new Serial()
  readonly #expiries: Table<number>
  readonly #unsealedMarks: Table<number>
  readonly #activeById = new Map<string, ActiveEnvelope>()
  /** Without custody; for each lane in the order of sealing. */
  readonly #waiting = lanes.map(() => new Map<string, ActiveEnvelope>())
  readonly #unsealed = new Unsealed()
  /** Nothing that waits was sealed by an earlier incarnation than this one. */
  #incarnation = 0
  readonly #onSealed: ((envelope: ActiveEnvelope) => void)[] = []
  readonly #onChanged: ((item: OutboxItem) => void)[] = []
  #last = 0

  constructor(options: {
    readonly identity: Identity
    readonly directory: Directory
    readonly follower: DirectoryFollower
    readonly kemKeys: KemKeys
    readonly records: Records
    readonly clock: NetworkClock
    readonly random: Random
    readonly log: Log
  }) {
    const { records } = options
    this.#identity = options.identity
    this.#directory = options.directory
    this.#follower = options.follower
    this.#kemKeys = options.kemKeys
    this.#records = records
    this.#items = records.table("outbox", outboxItem)
    this.#numbers = records.table("outbox-number", uint(0xffff_ffff))
    this.#drafts = records.table("draft", signedDraft)
    this.#idempotency = records.table("idempotency", idempotencyRecord)
    this.#heads = records.table("sealed", sealedHead)
    this.#bodies = records.table("sealed-body", sealedBody)
    this.#active = records.table("active", activeEnvelope)
    this.#expiries = records.table("sealed-expiry", uint(0xffff_ffff))
    this.#unsealedMarks = records.table("unsealed", uint(0xffff_ffff))
    this.#channels = records.table("channel-out", channelOut)
    this.#places = records.table("channel-place", bytes(32))
    this.#clock = options.clock
    this.#random = options.random
    this.#log = options.log
  }

  whenSealed(task: (envelope: ActiveEnvelope) => void): void {
    this.#onSealed.push(task)
  }

  whenChanged(task: (item: OutboxItem) => void): void {
    this.#onChanged.push(task)
  }

  async load(): Promise<void> {
    const active: ActiveEnvelope[] = []
    for await (const { item } of walk(this.#active)) active.push(item)
    for (const envelope of active.toSorted((a, b) => a.number - b.number)) this.#keep(envelope)
    for await (const { item: number } of walk(this.#unsealedMarks)) {
      const item = await this.byNumber(number)
      if (item !== undefined) this.#unsealed.update(item)
    }
    const [last] = await this.#items.list({ limit: 1, reverse: true })
    this.#last = last?.item.number ?? 0
  }

  #keep(envelope: ActiveEnvelope): void {
    const name = toHex(envelope.messageId)
    this.#activeById.set(name, envelope)
    if (envelope.custodians.length === 0) this.#waiting[envelope.lane]?.set(name, envelope)
    else this.#waiting[envelope.lane]?.delete(name)
  }

  #drop(name: string): void {
    const envelope = this.#activeById.get(name)
    this.#activeById.delete(name)
    if (envelope !== undefined) this.#waiting[envelope.lane]?.delete(name)
  }

  /** Envelopes that some recipient has no receipt for. */
  active(): readonly ActiveEnvelope[] {
    return [...this.#activeById.values()]
  }

  /** Whether some recipient has no receipt for it. */
  isActive(messageId: Uint8Array): boolean {
    return this.#activeById.has(toHex(messageId))
  }

  /** Whether a relay has promised to keep it, and a recipient still waits. */
  isInCustody(messageId: Uint8Array): boolean {
    return this.custodiansOf(messageId).length > 0
  }

  /** Whether no relay has promised to keep it yet, and a recipient waits. */
  isWaiting(messageId: Uint8Array): boolean {
    return this.#activeById.get(toHex(messageId))?.custodians.length === 0
  }

  get activeCount(): number {
    return this.#activeById.size
  }

  /** Envelopes of a lane without custody, in the order of sealing. */
  waiting(lane: Lane): Iterable<ActiveEnvelope> {
    return this.#waiting[lane]?.values() ?? []
  }

  get unsealedCount(): number {
    return this.#unsealed.size
  }

  /** Refused: `idempotency-key` when the key was used for another request. */
  async known(key: string, request: Uint8Array): Promise<OutboxItem | undefined> {
    const before = await this.#idempotency.get(idempotencyName(key))
    if (before === undefined) return undefined
    if (!equalBytes(before.request, request)) throw new ChappeError("idempotency-key")
    return await this.byId(before.id)
  }

  /** Stores a signed message and seals it if it can be sealed now. Synced when it resolves. */
  async add(message: NewMessage): Promise<OutboxItem> {
    const created = await this.#serial.run(async () => {
      const { idempotency } = message
      if (idempotency !== undefined) {
        const before = await this.known(idempotency.key, idempotency.request)
        if (before !== undefined) return before
      }
      const item = newItem(message, ++this.#last)
      const id = toHex(item.id)
      await this.#records.commit([
        this.#items.put(numberKey(item.number), item),
        this.#numbers.put(id, item.number),
        this.#drafts.put(id, message.draft),
        this.#unsealedMarks.put(numberKey(item.number), item.number),
        ...(idempotency === undefined
          ? []
          : [
              this.#idempotency.put(idempotencyName(idempotency.key), {
                id: item.id,
                request: idempotency.request,
              }),
            ]),
      ])
      this.#unsealed.update(item)
      for (const task of this.#onChanged) task(item)
      return item
    })
    await this.seal(created.number)
    return (await this.byNumber(created.number)) ?? created
  }

  /** Tries again to seal what had no keys, the oldest first. */
  async sealWaiting(most?: number): Promise<void> {
    await this.#unsealEnded()
    for (const number of this.#unsealed.numbers().slice(0, most)) await this.seal(number)
  }

  /**
   * What an earlier incarnation sealed no relay takes any more: each copy that nobody has signed for loses
   * its envelope. Receipts for that one still count, and a recipient shows one of the two.
   */
  async #unsealEnded(): Promise<void> {
    const key = sealingKeyAt(this.#identity, this.#directory, this.#clock.now())
    const incarnation = key?.station.incarnation ?? 0
    if (incarnation <= this.#incarnation) return
    // What is being sealed at this moment is among them.
    for (const { messageId } of await this.#serial.run(() => Promise.resolve(this.active()))) {
      const [leaf] = (await this.headOf(messageId))?.leaves ?? []
      if (leaf === undefined || decodeLeaf(leaf).incarnation >= incarnation) continue
      await this.#serial.run(() => this.#unseal(messageId))
    }
    this.#incarnation = incarnation
  }

  async #unseal(messageId: Uint8Array): Promise<void> {
    const item = await this.ofEnvelope(messageId)
    if (item === undefined) return
    const recipients = item.recipients.map((state) =>
      isSame(state.messageId, messageId) && !isSettled(state.rung)
        ? { ...state, messageId: null }
        : state,
    )
    const mark = this.#unsealedMarks.put(numberKey(item.number), item.number)
    await this.#store({ ...item, recipients }, recipients.some(isUnsealed) ? [mark] : [])
    this.#log.info("sealed-anew", { id: toHex(messageId) })
  }

  /**
   * Seals for the recipients that no envelope carries yet, as far as keys are at hand and nothing earlier
   * waits for them; then what stood in line behind it.
   */
  async seal(number: number): Promise<void> {
    const due = [number]
    for (let tries = 0; tries < nodeLimits.sealsPerTick; tries++) {
      const next = due.shift()
      if (next === undefined) return
      due.push(...(await this.#sealOne(next)))
    }
  }

  /** Returns whose turn it is now. */
  async #sealOne(number: number): Promise<readonly number[]> {
    const before = await this.byNumber(number)
    if (before === undefined) return []
    const wanted = before.recipients.filter(isUnsealed).map(({ member }) => member)
    const sealable = await this.#sealable(before, wanted)
    if (sealable === undefined) return []
    const sealed = await this.#serial.run(async () => {
      const item = await this.byNumber(number)
      const draft = await this.#drafts.get(toHex(before.id))
      if (item === undefined || draft === undefined) return undefined
      return await this.#sealNow(item, draft, sealable)
    })
    if (sealed === undefined) return []
    for (const task of this.#onSealed) task(sealed.envelope)
    return sealed.next
  }

  async #sealable(item: OutboxItem, wanted: readonly string[]): Promise<Sealable | undefined> {
    if (wanted.length === 0 || this.#clock.isOff) return undefined
    const now = this.#clock.now()
    const key = sealingKeyAt(this.#identity, this.#directory, now)
    if (key === undefined || now >= item.expires) return undefined
    const desks = this.#desksBeside(item)
    const members = [...new Set([...wanted, ...desks])].toSorted()
    const kemKeys = new Map<string, ChosenKemKey>()
    for (const member of members) {
      try {
        kemKeys.set(member, await this.#kemKeys.choose(member, now))
      } catch (cause) {
        if (!(cause instanceof ChappeError) || cause.code !== "no-prekey") throw cause
        this.#log.warn("no-prekey", { member })
      }
    }
    // Without the desk every recipient would reject it for good.
    if (desks.length > 0 && !desks.some((desk) => kemKeys.has(desk))) return undefined
    return wanted.some((member) => kemKeys.has(member)) ? { key, kemKeys } : undefined
  }

  /** The desks that must be among the recipients of each envelope of this message: of a member's diffusion. */
  #desksBeside(item: OutboxItem): readonly string[] {
    const desks = this.#directory.desks()
    if (!item.type.startsWith("diffusion/") || desks.includes(this.#identity.name)) return []
    const intended = item.recipients.map(({ member }) => member)
    return desks.filter((desk) => intended.includes(desk))
  }

  async #sealNow(
    item: OutboxItem,
    draft: SignedDraft,
    { key, kemKeys }: Sealable,
  ): Promise<{ readonly envelope: ActiveEnvelope; readonly next: readonly number[] } | undefined> {
    // Its incarnation may have ended while keys were fetched.
    const newest = sealingKeyAt(this.#identity, this.#directory, this.#clock.now())
    if (newest?.station.incarnation !== key.station.incarnation) return undefined
    const unsealed = item.recipients.filter(isUnsealed).map(({ member }) => member)
    const wanted = unsealed.filter((member) => this.#unsealed.isNext(item, member))
    if (!wanted.some((member) => kemKeys.has(member))) return undefined
    const { incarnation } = key.station
    const recipients: SealRecipient[] = []
    const desks = this.#desksBeside(item)
    if (desks.some((desk) => unsealed.includes(desk) && !wanted.includes(desk))) return undefined
    for (const [node, chosen] of kemKeys) {
      if (!wanted.includes(node) && !desks.includes(node)) continue
      const last = await this.#channels.get(channelKey(node, incarnation, item.lane))
      recipients.push({ node, kemKey: chosen.key, ...nextPlace(last) })
    }
    const sealed = sealEnvelope({
      sender: { node: this.#identity.name, keyId: key.signing.keyId, incarnation },
      hedgeSecret: this.#identity.hedgeSecret,
      random: this.#random,
      id: item.id,
      ...draft,
      created: this.#clock.now(),
      expires: item.expires,
      precedence: item.lane,
      recipients,
      checkpoint: this.#homeHead(),
      room: null,
    })
    const { messageId } = sealed
    const blind = batchBlind(this.#identity.hedgeSecret, this.#random, messageId)
    const [auth] = signBatch(this.#identity.name, key.signing, [{ id: messageId, blind }]).auths
    if (auth === undefined) throw new RangeError("a batch of one has one auth")
    const states = item.recipients.map((state): RecipientState => {
      const chosen = kemKeys.get(state.member)
      return chosen === undefined || !wanted.includes(state.member)
        ? state
        : { ...state, messageId, reducedSecrecy: !chosen.exact }
    })
    const next = { ...item, recipients: states, envelopes: [...item.envelopes, messageId] }
    const envelope: ActiveEnvelope = {
      messageId,
      number: item.number,
      lane: item.lane,
      expires: item.expires,
      custodians: [],
      custodyAt: 0,
    }
    const name = toHex(messageId)
    const { header, leaves, contentCommitKey, body } = sealed
    await this.#records.commit([
      this.#items.put(numberKey(item.number), next),
      this.#heads.put(name, {
        number: item.number,
        header,
        auth: encodeAuth(auth),
        leaves,
        contentCommitKey,
      }),
      this.#bodies.put(name, body),
      this.#active.put(name, envelope),
      this.#expiries.put(`${numberKey(item.expires)}/${name}`, item.number),
      ...(states.some(isUnsealed) ? [] : [this.#unsealedMarks.remove(numberKey(item.number))]),
      ...recipients.flatMap(({ node, channelSeq }) => {
        const channel = channelKey(node, incarnation, item.lane)
        return [
          this.#channels.put(channel, { seq: channelSeq, id: messageId }),
          this.#places.put(`${channel}/${numberKey(channelSeq)}`, messageId),
        ]
      }),
    ])
    this.#keep(envelope)
    const freed = this.#unsealed.update(next)
    for (const task of this.#onChanged) task(next)
    return { envelope, next: freed }
  }

  #homeHead() {
    const home = this.#directory.homes(this.#identity.name)[0] ?? ""
    const origin = this.#directory.currentLog(home, "directory")?.origin ?? ""
    return this.#follower.headOf(origin)
  }

  async byNumber(number: number): Promise<OutboxItem | undefined> {
    return await this.#items.get(numberKey(number))
  }

  async byId(id: Uint8Array): Promise<OutboxItem | undefined> {
    const number = await this.#numbers.get(toHex(id))
    return number === undefined ? undefined : await this.byNumber(number)
  }

  async ofEnvelope(messageId: Uint8Array): Promise<OutboxItem | undefined> {
    const head = await this.#heads.get(toHex(messageId))
    return head === undefined ? undefined : await this.byNumber(head.number)
  }

  async draftOf(item: OutboxItem): Promise<SignedDraft | undefined> {
    return await this.#drafts.get(toHex(item.id))
  }

  async headOf(messageId: Uint8Array): Promise<SealedHead | undefined> {
    return await this.#heads.get(toHex(messageId))
  }

  /** The sealed copy, as long as it is kept. */
  async envelope(messageId: Uint8Array): Promise<LoadedEnvelope | undefined> {
    const name = toHex(messageId)
    const head = await this.#heads.get(name)
    const body = await this.#bodies.get(name)
    return head === undefined || body === undefined ? undefined : { ...head, body }
  }

  /** The newest first. */
  async list(limit: number): Promise<readonly OutboxItem[]> {
    const found = await this.#items.list({ limit, reverse: true })
    return found.map(({ item }) => item)
  }

  /** The envelopes with these numbers of a channel to `member`, as far as copies are kept. */
  async inChannel(
    member: string,
    channel: { readonly incarnation: number; readonly lane: 0 | 1 | 2 | 3 },
    first: number,
    last: number,
  ): Promise<readonly Uint8Array[]> {
    const prefix = `${channelKey(member, channel.incarnation, channel.lane)}/`
    const found = await this.#places.list({
      prefix,
      ...(first > 0 ? { after: `${prefix}${numberKey(first - 1)}` } : {}),
      limit: nodeLimits.listPage,
    })
    const end = `${prefix}${numberKey(last)}`
    return found.filter(({ key }) => key <= end).map(({ item }) => item)
  }

  /** Why this envelope will not come to `member` any more; undefined while it may. */
  async fateOf(messageId: Uint8Array, member: string): Promise<Fate | undefined> {
    const name = toHex(messageId)
    const head = await this.#heads.get(name)
    if (head === undefined) return undefined
    if (this.#clock.now() > decodeHeader(head.header).core.expires)
      return { step: "expired", reason: null }
    const item = await this.byNumber(head.number)
    const state = item?.recipients.find((one) => one.member === member)
    const isCurrent = state?.messageId !== undefined && isSame(state.messageId, messageId)
    if (isCurrent && state.rung === "rejected") return { step: "rejected", reason: state.reason }
    if ((await this.#bodies.get(name)) === undefined) return { step: "erased", reason: null }
    return undefined
  }

  /** A relay has the envelope in custody, and logged it `at`. */
  async inCustody(
    messageId: Uint8Array,
    relay: string,
    at: number,
    changes: readonly Change[],
  ): Promise<void> {
    await this.#serial.run(async () => {
      const name = toHex(messageId)
      const envelope = this.#activeById.get(name)
      const item = await this.ofEnvelope(messageId)
      if (item === undefined) return await this.#records.commit(changes)
      const moved = item.recipients.map((state) =>
        state.messageId !== null && equalBytes(state.messageId, messageId)
          ? raised(state, "custody", at, null)
          : state,
      )
      const next = { ...item, recipients: moved }
      const kept =
        envelope === undefined || envelope.custodians.includes(relay)
          ? envelope
          : {
              ...envelope,
              custodians: [...envelope.custodians, relay],
              // By our clock: no relay's word puts off what follows a missed deadline.
              custodyAt: envelope.custodyAt === 0 ? this.#clock.now() : envelope.custodyAt,
            }
      await this.#records.commit([
        ...changes,
        this.#items.put(numberKey(item.number), next),
        ...(kept === undefined ? [] : [this.#active.put(name, kept)]),
      ])
      if (kept !== undefined) this.#keep(kept)
      for (const task of this.#onChanged) task(next)
    })
  }

  /**
   * A recipient's copy has come to a rung, as a receipt for this envelope says. `prekey-gone` unseals
   * the recipient's copy, so that it is sealed anew. Returns whether that is to be done.
   */
  async reached(
    messageId: Uint8Array,
    member: string,
    rung: { readonly name: Rung; readonly at: number; readonly reason: string | null },
    changes: readonly Change[],
  ): Promise<boolean> {
    return await this.#serial.run(async () => {
      const item = await this.ofEnvelope(messageId)
      if (item === undefined) {
        await this.#records.commit(changes)
        return false
      }
      let reseal = false
      const moved = item.recipients.map((state) => {
        if (state.member !== member) return state
        const isCurrent = state.messageId !== null && equalBytes(state.messageId, messageId)
        if (rung.name === "rejected" && rung.reason === "prekey-gone") {
          if (!isCurrent || isSettled(state.rung)) return state
          if (state.reseals < nodeLimits.resealsMax) {
            reseal = true
            return { ...state, messageId: null, reseals: state.reseals + 1 }
          }
        }
        // What failed with an older envelope says nothing about the newer one.
        if (!isCurrent && !isHigher(rung.name, "rejected")) return state
        return raised(state, rung.name, rung.at, rung.reason)
      })
      const mark = this.#unsealedMarks.put(numberKey(item.number), item.number)
      await this.#store({ ...item, recipients: moved }, reseal ? [...changes, mark] : changes)
      return reseal
    })
  }

  /** The recipient's node has not signed for it at its deadline. */
  async missed(
    number: number,
    member: string,
    rung: { readonly name: Rung; readonly at: number; readonly reason: string },
    changes: readonly Change[],
  ): Promise<void> {
    await this.#serial.run(async () => {
      const item = await this.byNumber(number)
      if (item === undefined) return await this.#records.commit(changes)
      const recipients = item.recipients.map((state) =>
        state.member === member ? raised(state, rung.name, rung.at, rung.reason) : state,
      )
      await this.#store({ ...item, recipients }, changes)
    })
  }

  /** Messages that some recipient has not signed for. */
  async unsettled(): Promise<readonly OutboxItem[]> {
    const active = [...this.#activeById.values()].map(({ number }) => number)
    const items: OutboxItem[] = []
    for (const number of new Set([...active, ...this.#unsealed.numbers()])) {
      const item = await this.byNumber(number)
      if (item !== undefined) items.push(item)
    }
    return items
  }

  /** The relays that promised to keep this envelope, while a recipient waits. */
  custodiansOf(messageId: Uint8Array | null): readonly string[] {
    if (messageId === null) return []
    return this.#activeById.get(toHex(messageId))?.custodians ?? []
  }

  /** Gives up what has expired, by network time. */
  async expire(now: number): Promise<void> {
    for (const envelope of this.active()) {
      if (envelope.expires >= now) continue
      await this.#serial.run(async () => {
        const item = await this.byNumber(envelope.number)
        const name = toHex(envelope.messageId)
        const drop = [this.#active.remove(name)]
        if (item === undefined) await this.#records.commit(drop)
        else await this.#store(expired(item, now), drop)
        this.#drop(name)
      })
    }
    for (const number of this.#unsealed.numbers())
      await this.#serial.run(async () => {
        const item = await this.byNumber(number)
        if (item === undefined || item.expires >= now) return
        await this.#store(expired(item, now), [this.#unsealedMarks.remove(numberKey(number))])
      })
  }

  /** Whether a message that has not expired carries this body. */
  async isUsed(hash: Uint8Array): Promise<boolean> {
    const now = this.#clock.now()
    for await (const { item } of walk(this.#items))
      if (item.expires >= now && item.attachments.some((one) => equalBytes(one.hash, hash)))
        return true
    return false
  }

  /** Sealed copies whose time is over, receipt or not, but those that are still `awaited` somewhere. */
  async forgetBodies(
    now: number,
    isAwaited: (messageId: Uint8Array) => Promise<boolean>,
  ): Promise<void> {
    const due = await this.#expiries.list()
    for (const { key } of due) {
      const [expires = "", name = ""] = key.split("/")
      if (expires >= numberKey(now)) return
      if (await isAwaited(fromHex(name))) continue
      // Its place stays known: whoever misses it is told that it will not come.
      await this.#records.commit([this.#expiries.remove(key), this.#bodies.remove(name)])
    }
  }

  async #store(item: OutboxItem, changes: readonly Change[]): Promise<void> {
    const done = item.envelopes.filter((messageId) => isDone(item, messageId)).map(toHex)
    await this.#records.commit([
      ...changes,
      this.#items.put(numberKey(item.number), item),
      ...done.filter((name) => this.#activeById.has(name)).map((name) => this.#active.remove(name)),
    ])
    for (const name of done) this.#drop(name)
    this.#unsealed.update(item)
    for (const task of this.#onChanged) task(item)
  }
}

function isSame(current: Uint8Array | null, messageId: Uint8Array): boolean {
  return current !== null && equalBytes(current, messageId)
}

/** Whatever a caller chose as its key: records are named by its hash. */
function idempotencyName(key: string): string {
  return toHex(sha256(utf8(key)))
}

/** No recipient waits for this envelope any more. */
function isDone(item: OutboxItem, messageId: Uint8Array): boolean {
  return item.recipients.every(
    (state) =>
      isSettled(state.rung) || state.messageId === null || !equalBytes(state.messageId, messageId),
  )
}

function raised(
  state: RecipientState,
  rung: Rung,
  at: number,
  reason: string | null,
): RecipientState {
  return isHigher(rung, state.rung) ? { ...state, rung, at, reason } : state
}

function expired(item: OutboxItem, now: number): OutboxItem {
  const recipients = item.recipients.map((state) =>
    isSettled(state.rung) ? state : raised(state, "expired", now, "expired"),
  )
  return { ...item, recipients }
}

function newItem(message: NewMessage, number: number): OutboxItem {
  const { members, draft: _, idempotency: __, ...fields } = message
  const recipients = members.map((member): RecipientState => ({
    member,
    rung: "queued",
    at: message.created,
    reason: null,
    messageId: null,
    reseals: 0,
    reducedSecrecy: false,
  }))
  return { ...fields, number, recipients, envelopes: [] }
}

/** Ids in paths and JSON. Refused: `not-found` for what is no id. */
export function identityOfHex(hex: string): Uint8Array {
  if (!/^[0-9a-f]{32}$/u.test(hex)) throw new ChappeError("not-found", "this is no message id")
  return fromHex(hex)
}
