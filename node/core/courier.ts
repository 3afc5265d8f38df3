// Mail for a node whose link is down, carried on a file: what a relay has accepted and nobody has
// receipted yet, with its acceptance, attachments, receipts, and the directory logs to judge it by. It is
// taken in by the very checks of a link; what comes twice is shown once. docs/PROTOCOL.md, "Courier files".

import { sha256 } from "../../keys/crypto.ts"
import { toHex } from "../../protocol/bytes.ts"
import { uint } from "../../protocol/codec.ts"
import { type CourierFrame, CourierWriter, readCourier } from "../../protocol/courier-file.ts"
import { decodeHeader, recipientIndex } from "../../protocol/envelope.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { limits } from "../../protocol/limits.ts"
import {
  type Acceptance,
  type AttachmentRef,
  type LinkMessage,
  type ReceiptItem,
  decodeLinkMessage,
  encodeLinkMessage,
} from "../../protocol/link-messages.ts"
import { inclusionPaths, leafHash } from "../../protocol/tree.ts"
import { nodeLimits } from "../limits.ts"
import type { DirectoryFollower } from "./directory-follower.ts"
import type { DiskRoom } from "./disk-room.ts"
import type { Evidence } from "./evidence.ts"
import type { Inbox } from "./inbox.ts"
import type { LogStatements } from "./log-statements.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { Outbox } from "./outbox.ts"
import type { ActiveEnvelope } from "./outbox-records.ts"
import type { BodyFiles, RelayLink } from "./ports.ts"
import type { ReceiptBook } from "./receipt-book.ts"
import type { Records, Table } from "./records.ts"
import { type Aged, agedIn } from "./retention.ts"

/** `messages`: taken in now or before; `refused`: such as did not hold, or cannot be judged yet. */
export type CourierTaken = {
  readonly from: string
  readonly messages: number
  readonly receipts: number
  readonly refused: number
}

/** Nobody answers on the way of a courier. */
const road: RelayLink = {
  relay: "",
  ask: () => Promise.reject(new ChappeError("link-down")),
  end: () => undefined,
}

export class Courier {
  readonly #me: string
  readonly #follower: DirectoryFollower
  readonly #outbox: Outbox
  readonly #statements: LogStatements
  readonly #receipts: ReceiptBook
  readonly #inbox: Inbox
  readonly #evidence: Evidence
  readonly #files: BodyFiles
  readonly #records: Records
  readonly #seen: Table<number>
  readonly #clock: NetworkClock
  readonly #room: DiskRoom

  constructor(options: {
    readonly me: string
    readonly follower: DirectoryFollower
    readonly outbox: Outbox
    readonly statements: LogStatements
    readonly receipts: ReceiptBook
    readonly inbox: Inbox
    readonly evidence: Evidence
    readonly files: BodyFiles
    readonly records: Records
    readonly clock: NetworkClock
    readonly room: DiskRoom
  }) {
    this.#me = options.me
    this.#follower = options.follower
    this.#outbox = options.outbox
    this.#statements = options.statements
    this.#receipts = options.receipts
    this.#inbox = options.inbox
    this.#evidence = options.evidence
    this.#files = options.files
    this.#records = options.records
    this.#seen = options.records.table("courier-seen", uint(0xffff_ffff))
    this.#clock = options.clock
    this.#room = options.room
  }

  // ---- Giving out

  /** Everything that is here for `to`, as the pieces of one file. */
  async *export(to: string): AsyncGenerator<Uint8Array, void, void> {
    const writer = new CourierWriter(sha256)
    yield writer.begin({ from: this.#me, to, at: this.#clock.now() })
    const put = (message: LinkMessage): Uint8Array =>
      writer.add({ name: "message", message: encodeLinkMessage(message) })
    for (const origin of this.#follower.origins())
      for await (const part of this.#directory(origin)) yield writer.add(part)
    for (const envelope of this.#outbox.active()) {
      const deliver = await this.#delivery(envelope, to)
      if (deliver === undefined) continue
      for (const body of deliver.attachments)
        for await (const message of this.#body(body)) yield put(message)
      yield put(deliver)
    }
    const items = await this.#receipts.openFor(to)
    for (let at = 0; at < items.length; at += limits.batchMax)
      yield put(this.#evidenceOf(items.slice(at, at + limits.batchMax)))
    yield writer.end()
  }

  async *#directory(origin: string): AsyncGenerator<CourierFrame, void, void> {
    const verified = this.#follower.verifiedOf(origin)
    if (verified === undefined || verified.checkpoint.length === 0) return
    const entries = await this.#follower.entriesOf(origin, verified.head.size)
    const none = new Uint8Array(0)
    for (let first = 0; first < entries.length; first += nodeLimits.courierEntries) {
      const some = entries.slice(first, first + nodeLimits.courierEntries)
      const isLast = first + some.length >= entries.length
      const note = isLast ? verified.checkpoint : none
      yield { name: "directory", origin, first, entries: some, note }
    }
  }

  /** What a relay would deliver; undefined where it is not for them, or no relay has accepted it. */
  async #delivery(
    { messageId }: ActiveEnvelope,
    to: string,
  ): Promise<LinkMessage<"deliver"> | undefined> {
    const envelope = await this.#outbox.envelope(messageId)
    const item = await this.#outbox.ofEnvelope(messageId)
    if (envelope === undefined || item === undefined) return undefined
    const { core } = decodeHeader(envelope.header)
    const index = recipientIndex(core, to)
    const acceptance = await this.#acceptanceOf(messageId)
    const leaf = envelope.leaves[index]
    const paths = inclusionPaths(
      sha256,
      envelope.leaves.map((one) => leafHash(sha256, one)),
    )
    const path = paths[index]
    if (leaf === undefined || path === undefined || acceptance === undefined) return undefined
    const { header, auth, body } = envelope
    const { attachments } = item
    const slice = { leaf, path }
    return { name: "deliver", request: 0, header, auth, slice, acceptance, attachments, body }
  }

  async #acceptanceOf(messageId: Uint8Array): Promise<Acceptance | undefined> {
    for (const { acceptance, salt } of await this.#statements.statementsOf(messageId))
      if (acceptance !== null) return { ...acceptance, salt }
    return undefined
  }

  async *#body({ hash, length }: AttachmentRef): AsyncGenerator<LinkMessage, void, void> {
    yield { name: "bodyOffer", request: 0, body: { hash, length } }
    for (let offset = 0; offset < length;) {
      const part = await this.#files.read(hash, offset, limits.bodyPartBytesMax)
      yield { name: "bodyPut", request: 0, hash, offset, part }
      offset += part.length
    }
  }

  #evidenceOf(items: readonly ReceiptItem[]): LinkMessage<"evidence"> {
    return { name: "evidence", request: 0, from: this.#me, items, acceptance: null }
  }

  // ---- Taking in

  /**
   * Takes a file in, part by part. Refused: `courier` for one that is cut or changed, `not-for-me`,
   * `duplicate` for one that was taken in before, `disk-full`.
   */
  async import(source: AsyncIterable<Uint8Array>): Promise<CourierTaken> {
    this.#room.require(0)
    const frames = readCourier(source, sha256)
    let taken = { from: "", messages: 0, receipts: 0, refused: 0 }
    let body: AttachmentRef | undefined
    for (;;) {
      const found = await frames.next()
      if (found.done === true) return await this.#remember(found.value, taken)
      const item = found.value
      if (item.name === "head") {
        if (item.to !== this.#me) throw new ChappeError("not-for-me", `the file is for ${item.to}`)
        taken = { ...taken, from: item.from }
      } else if (item.name === "directory") await this.#takeDirectory(item)
      else if (item.name === "message") {
        const message = decodeLinkMessage(item.message)
        if (message.name === "bodyOffer") body = message.body
        else if (message.name === "bodyPut") await this.#takePart(body, message)
        else if (message.name === "deliver") taken = await this.#takeMail(message, taken)
        else if (message.name === "evidence") {
          await this.#evidence.take(road, message)
          taken = { ...taken, receipts: taken.receipts + message.items.length }
        } else throw new ChappeError("courier", `a courier brings no ${message.name}`)
      }
    }
  }

  async #takeMail(message: LinkMessage<"deliver">, taken: CourierTaken): Promise<CourierTaken> {
    const answer = await this.#inbox.deliver(road, message)
    if (answer.kind === "taken") return { ...taken, messages: taken.messages + 1 }
    return { ...taken, refused: taken.refused + 1 }
  }

  async #takeDirectory(item: CourierFrame & { readonly name: "directory" }): Promise<void> {
    const { origin, first, entries, note } = item
    await this.#follower.take(origin, first, entries)
    if (note.length === 0) return
    const opened = this.#follower.open(note, origin)
    // A file that was long on its way tells of less than is known here.
    if (opened.size > this.#follower.headOf(origin).size)
      await this.#follower.confirmCheckpoint(opened, note)
  }

  /** Files that were taken in long ago: what is in them has expired. */
  async aged(before: number, after: string | undefined): Promise<Aged> {
    return agedIn(this.#seen, (at) => at < before, after)
  }

  async #takePart(
    body: AttachmentRef | undefined,
    { hash, offset, part }: LinkMessage<"bodyPut">,
  ): Promise<void> {
    if (body === undefined || toHex(body.hash) !== toHex(hash))
      throw new ChappeError("courier", "a part of an attachment is out of place")
    const state = await this.#files.state(hash)
    const have = state.kind === "none" ? 0 : state.length
    // What is here already, whole or in part, is not written again.
    if (state.kind === "whole" || offset + part.length <= have) return
    this.#room.require(body.length - offset)
    if (offset !== have) throw new ChappeError("courier", "a part of an attachment is missing")
    await this.#files.append(hash, offset, part)
    if (offset + part.length === body.length) await this.#files.finish(hash, body.length)
  }

  async #remember(file: Uint8Array, taken: CourierTaken): Promise<CourierTaken> {
    const name = toHex(file)
    if ((await this.#seen.get(name)) !== undefined)
      throw new ChappeError("duplicate", "this courier's file was taken in before")
    await this.#records.commit([this.#seen.put(name, this.#clock.now())])
    return taken
  }
}
