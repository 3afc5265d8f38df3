// This node's receipts: signed in batches of one purpose, kept until a relay has logged them, and sent
// again after a break. What a person did travels sealed to the sender. docs/PROTOCOL.md, "Receipts".

import { signBatch } from "../../keys/batch-signer.ts"
import { sha256 } from "../../keys/crypto.ts"
import { sealBase } from "../../keys/hpke.ts"
import { hedged } from "../../keys/hedge.ts"
import { batchBlind } from "../../keys/seal-envelope.ts"
import { encodeAuth } from "../../protocol/batch.ts"
import { equalBytes, fromHex, toHex } from "../../protocol/bytes.ts"
import { type Infer, bytes, flag, list, nullable, record, text } from "../../protocol/codec.ts"
import type { Directory } from "../../protocol/directory.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { linkLanes } from "../../protocol/frames.ts"
import { limits } from "../../protocol/limits.ts"
import { type Acceptance, type ReceiptItem, acceptance } from "../../protocol/link-messages.ts"
import { memberName } from "../../protocol/names.ts"
import {
  type Receipt,
  type ReceiptStep,
  decodeReceipt,
  encodeReceipt,
  encodeSealedReceiptInfo,
  encodeSealedReceiptInside,
  isSealedStep,
  receiptIdOf,
  receiptSteps,
} from "../../protocol/receipt.ts"
import { nodeLimits } from "../limits.ts"
import { Refused, ask } from "./ask.ts"
import { type Identity, requireSigningKey } from "./identity.ts"
import type { KemKeys } from "./kem-keys.ts"
import type { LinkTable } from "./link-table.ts"
import type { LogStatements, StoredStatement } from "./log-statements.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { Change, Log, Random, RelayLink } from "./ports.ts"
import { type Records, type Table, walk } from "./records.ts"
import type { Aged } from "./retention.ts"
import { Serials } from "./serial.ts"

const hash = bytes(32)
const bookItem = record({
  to: memberName,
  messageId: hash,
  receipt: bytes(1, limits.leafBytesMax),
  auth: bytes(1, limits.leafBytesMax),
})
/** Kept under the name of its first root; signed anew after its key has ended it has another. */
const bookBatch = record({
  root: hash,
  isSealed: flag,
  /** The relay that delivered the messages; empty where none is first choice. */
  relay: text(limits.relayNameMax),
  items: list(bookItem, 1, limits.batchMax),
  acceptance: nullable(acceptance),
})
type BookBatch = Infer<typeof bookBatch>
export type BookItem = Infer<typeof bookItem>

const sealedItems = list(
  record({ to: memberName, sealed: bytes(1, 4 * limits.leafBytesMax) }),
  1,
  limits.batchMax,
)
type SealedItems = Infer<typeof sealedItems>

/** What this node has to say about a message. */
export type NewReceipt = {
  readonly to: string
  readonly messageId: Uint8Array
  readonly step: ReceiptStep
  readonly reason: string | null
  readonly by: string | null
  readonly ref: Uint8Array | null
  /** Whose copy it is about; this node's own unless said. */
  readonly recipientNode?: string
}

/** A batch that no relay has logged. */
type OpenBatch = {
  /** The preferred relay; empty where none is. */
  readonly relay: string
  readonly sinceMs: number
  /** Relays that failed since the last pause for all. */
  readonly tried: Set<string>
  /** Relays that refused it for good since their last link. */
  readonly refusedBy: Set<string>
  notBeforeMs: number
}

export type SignedReceipts = {
  readonly root: Uint8Array
  readonly items: readonly BookItem[]
  readonly changes: readonly Change[]
  /** To be called once the changes are committed. */
  readonly committed: () => void
}

export class ReceiptBook {
  readonly #identity: Identity
  readonly #directory: Directory
  readonly #kemKeys: KemKeys
  readonly #links: LinkTable
  readonly #statements: LogStatements
  readonly #records: Records
  readonly #batches: Table<BookBatch>
  readonly #pending: Table<string>
  /** By a batch's later root, after it was signed anew: its name. */
  readonly #renamed: Table<Uint8Array>
  readonly #sealed: Table<SealedItems>
  readonly #clock: NetworkClock
  readonly #random: Random
  readonly #log: Log
  readonly #serials = new Serials()
  /** By name. */
  readonly #open = new Map<string, OpenBatch>()
  readonly #underWay = new Set<string>()
  /** By message and relay: the batch that says its receipt there once more, and since when. */
  readonly #repeats = new Map<string, { readonly name: string; readonly atMs: number }>()

  constructor(options: {
    readonly identity: Identity
    readonly directory: Directory
    readonly kemKeys: KemKeys
    readonly links: LinkTable
    readonly statements: LogStatements
    readonly records: Records
    readonly clock: NetworkClock
    readonly random: Random
    readonly log: Log
  }) {
    this.#identity = options.identity
    this.#directory = options.directory
    this.#kemKeys = options.kemKeys
    this.#links = options.links
    this.#statements = options.statements
    this.#records = options.records
    this.#batches = options.records.table("receipts", bookBatch)
    this.#pending = options.records.table("receipts-open", text(limits.relayNameMax))
    this.#renamed = options.records.table("receipts-renamed", hash)
    this.#sealed = options.records.table("receipts-sealed", sealedItems)
    this.#clock = options.clock
    this.#random = options.random
    this.#log = options.log
  }

  async load(): Promise<void> {
    for await (const { key, item } of walk(this.#pending)) this.#keepOpen(key, item)
  }

  #keepOpen(name: string, relay: string): void {
    this.#open.set(name, {
      relay,
      sinceMs: this.#clock.monotonicMs(),
      tried: new Set(),
      refusedBy: new Set(),
      notBeforeMs: 0,
    })
  }

  /** What is open to `to` and was seen by no relay yet; what a person did waits for a link. */
  async openFor(to: string): Promise<readonly ReceiptItem[]> {
    const found: ReceiptItem[] = []
    for (const name of this.#open.keys()) {
      const batch = await this.#batches.get(name)
      if (batch === undefined || batch.isSealed) continue
      for (const { to: sender, messageId, receipt, auth } of batch.items)
        if (sender === to) found.push({ to, messageId, receipt, auth })
    }
    return found
  }

  /** Receipts that a relay took long ago, with what stands beside them. */
  async aged(before: number, after: string | undefined): Promise<Aged> {
    const limit = nodeLimits.retentionBatches
    const page = await this.#batches.list({ limit, ...(after === undefined ? {} : { after }) })
    const changes: Change[] = []
    for (const { key, item } of page) {
      const isOld = item.items.every(({ receipt }) => decodeReceipt(receipt).at < before)
      if (!isOld || this.#open.has(key)) continue
      const root = toHex(item.root)
      changes.push(this.#batches.remove(key), ...(await this.#statements.forget(item.root)))
      if (root !== key) changes.push(this.#renamed.remove(root))
      for await (const sealed of walk(this.#sealed, `${root}/`))
        changes.push(this.#sealed.remove(sealed.key))
    }
    return { changes, last: page.length < limit ? undefined : page.at(-1)?.key }
  }

  get openCount(): number {
    return this.#open.size
  }

  /**
   * Signs 1 … 512 receipts, all for the relay or all sealed. They count with the commit that the changes
   * go into. Refused: `key-expired`.
   */
  sign(receipts: readonly NewReceipt[], relay: string): SignedReceipts {
    const at = this.#clock.now()
    const { signing } = requireSigningKey(this.#identity, this.#directory, at)
    const sealed = receipts.map(({ step }) => isSealedStep(receiptSteps[step]))
    const isSealed = sealed[0] === true
    if (sealed.some((one) => one !== isSealed)) throw new RangeError("receipts of two kinds")
    const encoded = receipts.map((item) => {
      const { messageId, reason, by, ref } = item
      const receipt: Receipt = {
        version: 1,
        messageId,
        recipientNode: item.recipientNode ?? this.#identity.name,
        step: receiptSteps[item.step],
        reason,
        at,
        keyId: signing.keyId,
        by,
        ref,
      }
      return encodeReceipt(receipt)
    })
    const items = receipts.flatMap(({ to, messageId }, i) => {
      const receipt = encoded[i]
      return receipt === undefined ? [] : [{ to, messageId, receipt }]
    })
    return this.#signEncoded(items, isSealed, relay)
  }

  #signEncoded(
    receipts: readonly Omit<BookItem, "auth">[],
    isSealed: boolean,
    relay: string,
  ): SignedReceipts {
    const { root, items } = this.#signItems(receipts)
    const name = toHex(root)
    const stored: BookBatch = { root, isSealed, relay, items, acceptance: null }
    return {
      root,
      items,
      changes: [this.#batches.put(name, stored), this.#pending.put(name, relay)],
      committed: () => {
        this.#keepOpen(name, relay)
        this.pump()
      },
    }
  }

  #signItems(receipts: readonly Omit<BookItem, "auth">[]): Pick<BookBatch, "root" | "items"> {
    const { signing } = requireSigningKey(this.#identity, this.#directory, this.#clock.now())
    const ids = receipts.map(({ receipt }) => receiptIdOf(sha256, receipt))
    const blinds = ids.map((id) => batchBlind(this.#identity.hedgeSecret, this.#random, id))
    const batch = signBatch(
      this.#identity.name,
      signing,
      ids.map((id, i) => ({ id, blind: blinds[i] ?? id })),
    )
    const items = receipts.flatMap((item, i): readonly BookItem[] => {
      const auth = batch.auths[i]
      return auth === undefined ? [] : [{ ...item, auth: encodeAuth(auth) }]
    })
    return { root: batch.root, items }
  }

  /** A relay delivered again what has its receipt: it gets the stored one, when that can be. */
  async repeat(root: Uint8Array, messageId: Uint8Array, link: RelayLink): Promise<void> {
    try {
      await this.#repeat(root, messageId, link)
    } catch (cause) {
      if (!(cause instanceof ChappeError)) throw cause
      const { relay } = link
      this.#log.info("repeat-failed", { id: toHex(messageId), relay, code: cause.code })
    }
  }

  async #repeat(root: Uint8Array, messageId: Uint8Array, link: RelayLink): Promise<void> {
    // Another relay may be getting it at this moment: this one gets it after that.
    const name = toHex(root)
    const origin = this.#statements.originOf(link.relay)
    const batch = await this.#batches.get(name)
    const made = await this.#statements.known(batch?.root ?? root, origin)
    if (made === undefined || made.acceptance === null) return await this.#quietly(name, link)
    // That relay has logged the batch before it had the message: the same receipt, in a batch of its own.
    const item = batch?.items.find((one) => equalBytes(one.messageId, messageId))
    const place = `${toHex(messageId)}/${link.relay}`
    if (item === undefined || this.#isBeingRepeated(place)) return
    const { signing } = requireSigningKey(this.#identity, this.#directory, this.#clock.now())
    // The same words; a later incarnation says them under its own key.
    const receipt = encodeReceipt({ ...decodeReceipt(item.receipt), keyId: signing.keyId })
    const signed = this.#signEncoded([{ to: item.to, messageId, receipt }], false, link.relay)
    this.#repeats.set(place, { name: toHex(signed.root), atMs: this.#clock.monotonicMs() })
    await this.#records.commit(signed.changes)
    signed.committed()
  }

  /** A relay that delivers again and again gets it now and then. */
  #isBeingRepeated(place: string): boolean {
    const since = this.#clock.monotonicMs() - nodeLimits.handAgainPauseMs
    for (const [key, { name, atMs }] of this.#repeats) {
      if (atMs > since) break
      if (!this.#open.has(name)) this.#repeats.delete(key)
    }
    return this.#repeats.has(place)
  }

  async linkUp(link: RelayLink): Promise<void> {
    for (const { tried, refusedBy } of this.#open.values()) {
      tried.delete(link.relay)
      refusedBy.delete(link.relay)
    }
    await this.useNumbers(link)
    this.pump()
  }

  /** Sends what has a number in that relay's log and no answer yet, whatever other relays have logged. */
  async useNumbers(link: RelayLink): Promise<void> {
    const origin = this.#statements.originOf(link.relay)
    for (const { kind, subject } of await this.#statements.openItems(origin))
      if (kind === "receipts") await this.#quietly(await this.#nameOf(subject), link)
  }

  async #nameOf(root: Uint8Array): Promise<string> {
    return toHex((await this.#renamed.get(toHex(root))) ?? root)
  }

  /** Sends what is open: through the relay that delivered, after a while through any. */
  pump(): void {
    const now = this.#clock.monotonicMs()
    for (const [name, batch] of this.#open) {
      if (this.#underWay.has(name) || batch.notBeforeMs > now) continue
      const link = this.#nextLink(batch, now)
      if (link !== undefined) void this.#quietly(name, link)
    }
  }

  /** One relay after another: none can hold back or end what this node says. */
  #nextLink({ relay, sinceMs, tried, refusedBy }: OpenBatch, now: number): RelayLink | undefined {
    const preferred = this.#links.get(relay)
    const except = new Set([...tried, ...refusedBy])
    if (relay !== "" && !except.has(relay)) {
      if (preferred !== undefined) return preferred
      const patience = sinceMs + nodeLimits.receiptPatienceMs - now
      if (patience > 0) this.#clock.after(patience, () => this.pump())
      if (patience > 0) return undefined
    }
    const next = this.#links.first(except)
    if (next !== undefined || tried.size === 0) return next
    tried.clear()
    return this.#links.first(refusedBy)
  }

  async #quietly(name: string, link: RelayLink): Promise<void> {
    let isRefused = false
    this.#underWay.add(name)
    try {
      await this.#serials.run(name, () => this.#send(name, link))
    } catch (cause) {
      if (!(cause instanceof ChappeError)) throw cause
      this.#log.info("receipts-failed", { root: name, relay: link.relay, code: cause.code })
      isRefused = cause instanceof Refused && cause.isFinal
      if (!isRefused) this.#pause(name, link)
    } finally {
      this.#underWay.delete(name)
    }
    // The next relay need not wait for what this one has decided.
    if (isRefused) this.pump()
  }

  #pause(name: string, link: RelayLink): void {
    const open = this.#open.get(name)
    if (open === undefined) return
    open.tried.add(link.relay)
    open.notBeforeMs = this.#clock.monotonicMs() + nodeLimits.retryMs
  }

  async #send(name: string, link: RelayLink): Promise<void> {
    const stored = await this.#batches.get(name)
    if (stored === undefined) return
    const batch = await this.#withLivingKey(name, stored)
    const origin = this.#statements.originOf(link.relay)
    const known = await this.#statements.known(batch.root, origin)
    if (known !== undefined && known.acceptance !== null) return
    const { made, items } = await this.#numbered(batch, origin)
    const root = batch.isSealed ? null : batch.root
    const request = { name: "receipts", statement: made.statement, root, items } as const
    try {
      const answer = await ask(link, linkLanes.immediate, request, "accepted")
      await this.#logged(name, batch, made, answer.acceptance)
    } catch (cause) {
      if (cause instanceof Refused && cause.isFinal)
        await this.#refused(name, made, batch, link.relay)
      throw cause
    }
  }

  /** A batch that no relay has logged before its key ended is signed anew: nobody else has seen it. */
  async #withLivingKey(name: string, batch: BookBatch): Promise<BookBatch> {
    const now = this.#clock.now()
    const receipts = batch.items.map((item) => ({ item, receipt: decodeReceipt(item.receipt) }))
    const keyId = receipts[0]?.receipt.keyId
    if (batch.acceptance !== null || keyId === undefined) return batch
    const found = this.#directory.stationKeyAt(this.#identity.name, keyId, "now", now)
    if (found.kind === "valid") return batch
    const { signing } = requireSigningKey(this.#identity, this.#directory, now)
    const anew = receipts.map(({ item, receipt }) => ({
      to: item.to,
      messageId: item.messageId,
      receipt: encodeReceipt({ ...receipt, keyId: signing.keyId }),
    }))
    const { root, items } = this.#signItems(anew)
    const renewed = { ...batch, root, items }
    await this.#records.commit([
      this.#batches.put(name, renewed),
      this.#renamed.put(toHex(root), fromHex(name)),
    ])
    return renewed
  }

  async #logged(
    name: string,
    batch: BookBatch,
    made: StoredStatement,
    answer: Acceptance,
  ): Promise<void> {
    const opened = { ...answer, salt: made.salt }
    this.#statements.opened(made, batch.root, answer)
    await this.#records.commit([
      ...this.#statements.answered(made, batch.root, opened),
      this.#batches.put(name, { ...batch, acceptance: batch.acceptance ?? opened }),
      this.#pending.remove(name),
    ])
    this.#open.delete(name)
  }

  /** The number at this relay is used up. The batch goes to the others: it ends when all have refused it. */
  async #refused(
    name: string,
    made: StoredStatement,
    batch: BookBatch,
    relay: string,
  ): Promise<void> {
    const refusedBy = this.#open.get(name)?.refusedBy.add(relay) ?? new Set()
    const isOver = this.#directory.activeRelays().every((one) => refusedBy.has(one))
    if (isOver) this.#log.warn("receipts-refused", { root: name })
    await this.#records.commit([
      ...this.#statements.answered(made, batch.root, null),
      ...(isOver ? [this.#pending.remove(name)] : []),
    ])
    if (isOver) this.#open.delete(name)
  }

  /**
   * The batch under its number in that log. Sealed receipts are sealed once for a log, so that sending again
   * sends the same bytes; the keys for that come first, or the number would wait for them.
   */
  async #numbered(
    batch: BookBatch,
    origin: string,
  ): Promise<{ readonly made: StoredStatement; readonly items: readonly ReceiptItem[] }> {
    const prepare = (): Promise<StoredStatement> =>
      this.#statements.prepare("receipts", batch.root, origin, !batch.isSealed)
    if (!batch.isSealed) return { made: await prepare(), items: batch.items }
    const place = `${toHex(batch.root)}/${origin}`
    const before = await this.#sealed.get(place)
    if (before !== undefined) return { made: await prepare(), items: before.map(itemOf) }
    const now = this.#clock.now()
    const keyed = await Promise.all(
      batch.items.map(async (item) => ({ item, ...(await this.#kemKeys.choose(item.to, now)) })),
    )
    const made = await prepare()
    const sealed = keyed.map(({ item, key }) => ({
      to: item.to,
      sealed: this.#seal(item, key, made),
    }))
    await this.#records.commit([this.#sealed.put(place, sealed)])
    return { made, items: sealed.map(itemOf) }
  }

  #seal({ to, receipt, auth }: BookItem, publicKey: Uint8Array, made: StoredStatement): Uint8Array {
    const plaintext = encodeSealedReceiptInside({ receipt, auth, salt: made.salt })
    const draw = hedged(this.#identity.hedgeSecret, this.#random, sha256(plaintext))
    return sealBase({
      publicKey,
      info: encodeSealedReceiptInfo(this.#identity.name, to),
      plaintext,
      seed: draw("kem", 64),
    })
  }
}

function itemOf({ to, sealed }: SealedItems[number]): ReceiptItem {
  return { to, messageId: null, receipt: sealed, auth: null }
}
