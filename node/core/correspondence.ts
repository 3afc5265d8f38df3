// What officers do with mail: write, publish, answer, take in charge, refuse. The officer signs the
// content here; the outbox seals it.

import { type Draft, draftContent, draftIdentity } from "../../keys/seal-envelope.ts"
import { judgeContent, verifyDisclosure, type OpenedMessage } from "../../keys/open-envelope.ts"
import { openAcceptance } from "../../keys/accepted-entry.ts"
import type { BatchVerifier } from "../../protocol/batch.ts"
import { compareText, toHex } from "../../protocol/bytes.ts"
import { type ContentType, isContentType, missingCapability } from "../../protocol/capability.ts"
import type { Value } from "../../protocol/codec.ts"
import type { Directory } from "../../protocol/directory.ts"
import {
  type Attachment,
  type Document,
  type Label,
  type Quoted,
  documentValue,
  readDocument,
  statedColour,
} from "../../protocol/document.ts"
import {
  type Lane,
  contentPae,
  decodeContent,
  decodeHeader,
  messageIdOf,
} from "../../protocol/envelope.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { isCodeName } from "../../protocol/names.ts"
import { limits } from "../../protocol/limits.ts"
import { sha256 } from "../../keys/crypto.ts"
import type { Attachments } from "./attachments.ts"
import type { BodyTransfer } from "./body-transfer.ts"
import type { DiskRoom } from "./disk-room.ts"
import type { Identity } from "./identity.ts"
import type { Inbox } from "./inbox.ts"
import type { InboxItem, InboxState, StoredMail } from "./inbox-records.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { Outbox } from "./outbox.ts"
import type { OutboxItem } from "./outbox-records.ts"
import type { BodyFiles, Random } from "./ports.ts"
import { type Session, requireCapability } from "./sessions.ts"

export const messageTypes = {
  message: "case/info",
  notice: "notice/request",
  diffusion: "diffusion/send",
} as const satisfies Record<string, ContentType>
export type MessageType = keyof typeof messageTypes

/** The key and a hash of the request as it came. */
export type Idempotency = { readonly key: string; readonly request: Uint8Array }

export type SendRequest = {
  readonly type: MessageType
  readonly to: readonly string[]
  readonly info: readonly string[]
  readonly subject: string
  readonly text: string
  readonly form: ReadonlyMap<string, Value> | undefined
  readonly attachments: readonly string[]
  readonly lane: Lane
  readonly ourRef: string | undefined
  readonly yourRef: string | undefined
  readonly expiresSeconds: number
  readonly label: Label | undefined
  readonly idempotency: Idempotency | undefined
}

const defaultLabel: Label = { classification: "OFFICIAL", handling: "H0" }

type NewContent = {
  readonly type: ContentType
  readonly document: Document
  readonly members: readonly string[]
  readonly lane: Lane
  readonly expiresSeconds: number
  readonly idempotency: Idempotency | undefined
}

/** A message as it was opened for a reader. */
export type ShownMessage = OpenedMessage & {
  readonly item: InboxItem
  readonly mail: StoredMail
  /** Of a publication: the notice it quotes, if its signatures hold. */
  readonly quoted: OpenedMessage | undefined
  readonly warnings: readonly string[]
}

export class Correspondence {
  readonly #identity: Identity
  readonly #directory: Directory
  readonly #inbox: Inbox
  readonly #outbox: Outbox
  readonly #attachments: Attachments
  readonly #bodies: BodyTransfer
  readonly #files: BodyFiles
  readonly #batches: BatchVerifier
  readonly #clock: NetworkClock
  readonly #random: Random
  readonly #room: DiskRoom

  constructor(options: {
    readonly identity: Identity
    readonly directory: Directory
    readonly inbox: Inbox
    readonly outbox: Outbox
    readonly attachments: Attachments
    readonly bodies: BodyTransfer
    readonly files: BodyFiles
    readonly batches: BatchVerifier
    readonly clock: NetworkClock
    readonly random: Random
    readonly room: DiskRoom
  }) {
    this.#identity = options.identity
    this.#directory = options.directory
    this.#inbox = options.inbox
    this.#outbox = options.outbox
    this.#attachments = options.attachments
    this.#bodies = options.bodies
    this.#files = options.files
    this.#batches = options.batches
    this.#clock = options.clock
    this.#random = options.random
    this.#room = options.room
  }

  // ---- Writing

  /**
   * Stored and, if keys are at hand, sealed when it resolves. Refused: `unknown-recipient`, `capability`,
   * `document`, `size`, `usage`, `not-found` for an attachment, `idempotency-key`, `disk-full`.
   */
  async send(session: Session, request: SendRequest): Promise<OutboxItem> {
    const { idempotency } = request
    const before = await this.#before(idempotency)
    if (before !== undefined) return before
    const type = messageTypes[request.type]
    const { to, info } = this.#addressees(request)
    const attachments: Attachment[] = []
    for (const id of request.attachments)
      attachments.push(await this.#attachments.take(id, session.officer.officer))
    const document: Document = {
      to,
      info,
      subject: request.subject,
      text: request.text,
      label: request.label ?? defaultLabel,
      form: request.form,
      ourRef: request.ourRef,
      yourRef: request.yourRef,
      inReplyTo: undefined,
      attachments,
      quoted: undefined,
    }
    const { lane, expiresSeconds } = request
    const members = [...to, ...info]
    return await this.#write(session, {
      type,
      document,
      members,
      lane,
      expiresSeconds,
      idempotency,
    })
  }

  /** The desk sends a notice on, quoted with its source's signatures, to all other members but those. */
  async publish(
    session: Session,
    item: InboxItem,
    request: {
      readonly exclude: readonly string[]
      readonly idempotency?: Idempotency | undefined
    },
  ): Promise<OutboxItem> {
    requireCapability(session, "desk/decide")
    const { exclude, idempotency } = request
    const before = await this.#before(idempotency)
    if (before !== undefined) return before
    const { content, document, mail } = await this.show(item)
    if (content.type !== "notice/request")
      throw new ChappeError("not-ready", "only a notice that was requested can be published")
    this.#directory.requireActive(exclude)
    const left = [this.#identity.name, ...exclude]
    const members = this.#directory
      .activeMembers()
      .map(({ node }) => node)
      .filter((name) => !left.includes(name))
    for (const { hash, cipherLength } of document.attachments)
      await this.#bodies.download({ hash, length: cipherLength })
    const published: Document = {
      to: members,
      info: [],
      subject: document.subject,
      text: "",
      label: document.label,
      form: undefined,
      ourRef: undefined,
      yourRef: undefined,
      inReplyTo: undefined,
      attachments: document.attachments,
      quoted: quotedOf(mail),
    }
    const header = decodeHeader(mail.header)
    return await this.#write(session, {
      type: "notice/published",
      document: published,
      members,
      lane: header.core.precedence,
      expiresSeconds: limits.lifetimeSecondsMax,
      idempotency,
    })
  }

  /** What the same request made before. Refused: `idempotency-key`. */
  async #before(idempotency: Idempotency | undefined): Promise<OutboxItem | undefined> {
    return idempotency === undefined
      ? undefined
      : await this.#outbox.known(idempotency.key, idempotency.request)
  }

  /** Answers a message to its sender; its ladder shows ANSWERED. */
  async reply(
    session: Session,
    item: InboxItem,
    request: { readonly text: string; readonly idempotency?: Idempotency | undefined },
  ): Promise<OutboxItem> {
    requireCapability(session, "take/charge")
    const { text, idempotency } = request
    const before = await this.#before(idempotency)
    if (before !== undefined && item.state === "answered") return before
    const { document } = await this.show(item)
    const prefixed = document.subject.startsWith("Re: ") ? "" : "Re: "
    const subject = Array.from(`${prefixed}${document.subject}`).slice(0, 150).join("")
    const answer = await this.#write(session, {
      type: "case/reply",
      document: {
        to: [item.from],
        info: [],
        subject,
        text,
        label: document.label,
        form: undefined,
        ourRef: undefined,
        yourRef: document.ourRef,
        inReplyTo: { sender: item.from, id: item.id },
        attachments: [],
        quoted: undefined,
      },
      members: [item.from],
      lane: item.lane,
      expiresSeconds: limits.lifetimeSecondsMax,
      idempotency,
    })
    const receipt = { step: "answered", reason: null, ref: answer.id } as const
    await this.#inbox.advance(item, "answered", { ...receipt, by: session.officer.officer })
    return answer
  }

  /** Refused: `not-ready` once it was answered or refused. */
  async takeInCharge(session: Session, item: InboxItem): Promise<InboxItem> {
    requireCapability(session, "take/charge")
    this.#requireState(item, ["new", "opened", "in-charge"])
    if (item.state === "in-charge") return item
    const receipt = { step: "in-charge", reason: null, ref: null } as const
    return await this.#inbox.advance(item, "in-charge", { ...receipt, by: session.officer.officer })
  }

  /** `reason`: a code, told to the sender sealed. Refused: `not-ready` once it was answered or refused. */
  async refuse(session: Session, item: InboxItem, reason: string): Promise<InboxItem> {
    requireCapability(session, "take/charge")
    if (!isCodeName(reason))
      throw new ChappeError("usage", "a reason is a code such as not_competent")
    this.#requireState(item, ["new", "opened", "in-charge"])
    const receipt = { step: "refused", reason, ref: null } as const
    return await this.#inbox.advance(item, "refused", { ...receipt, by: session.officer.officer })
  }

  /** The first reading is told to the sender, sealed. */
  async opened(session: Session, item: InboxItem): Promise<InboxItem> {
    if (item.state !== "new") return item
    const receipt = { step: "opened", reason: null, ref: null } as const
    return await this.#inbox.advance(item, "opened", { ...receipt, by: session.officer.officer })
  }

  #requireState(item: InboxItem, allowed: readonly InboxState[]): void {
    if (!allowed.includes(item.state))
      throw new ChappeError("not-ready", `the message is ${item.state} already`)
  }

  #addressees(request: SendRequest): {
    readonly to: readonly string[]
    readonly info: readonly string[]
  } {
    const me = this.#identity.name
    const desks = this.#directory.desks().filter((name) => this.#directory.isActiveMember(name))
    const others = (names: readonly string[]): readonly string[] =>
      this.#directory.requireActive(names).filter((name) => name !== me)
    const isNotice = request.type === "notice"
    const asked = others(isNotice ? desks : request.to)
    const missing = request.type === "diffusion" ? others(desks) : []
    const to = [...new Set([...asked, ...missing])].toSorted(compareText)
    const info = isNotice ? [] : others(request.info).filter((name) => !to.includes(name))
    if (to.length + info.length === 0)
      throw new ChappeError("usage", "nobody but this member would receive it")
    return { to, info }
  }

  async #write(session: Session, made: NewContent): Promise<OutboxItem> {
    this.#room.require(0)
    const { officer, signing } = session
    const { type, document, lane } = made
    if (made.members.length === 0) throw new ChappeError("usage", "it has no recipients")
    if (made.expiresSeconds < 1 || made.expiresSeconds > limits.lifetimeSecondsMax)
      throw new ChappeError("usage", `mail lives 1 … ${limits.lifetimeSecondsMax} seconds`)
    if (lane > officer.maxPrecedence)
      throw new ChappeError("capability", `${officer.officer} may not use this precedence`)
    const missing = missingCapability(type, statedColour(document), officer.capabilities)
    if (missing !== undefined)
      throw new ChappeError("capability", `${officer.officer} does not hold ${missing}`)
    const nodes = [...made.members].toSorted(compareText)
    const created = this.#clock.now()
    const value = documentValue(type, document)
    const draft: Draft = { type, officer: officer.officer, created, nodes, document: value }
    const id = draftIdentity(this.#identity.hedgeSecret, this.#random, draft)
    const content = draftContent(this.#identity.name, id, draft)
    return await this.#outbox.add({
      id,
      type,
      officer: officer.officer,
      subject: document.subject,
      created,
      expires: created + made.expiresSeconds,
      lane,
      members: nodes,
      attachments: uniqueBodies(document.attachments),
      draft: {
        content,
        officerSig: signing.sign(contentPae(content)),
        officerKeyId: signing.keyId,
      },
      idempotency: made.idempotency,
    })
  }

  // ---- Reading

  /** Everything that the sender said, checked again. Refused: `tampered`. */
  async show(item: InboxItem): Promise<ShownMessage> {
    const mail = await this.#inbox.mailOf(item)
    const header = decodeHeader(mail.header)
    const messageId = messageIdOf(sha256, mail.header)
    const accepted = openAcceptance(this.#directory, mail.acceptance, messageId)
    const inside = {
      content: mail.content,
      officerSig: mail.officerSig,
      officerKeyId: mail.officerKeyId,
      contentCommitKey: mail.contentCommitKey,
    }
    const opened = judgeContent({ header, accepted }, inside, this.#directory)
    const quoted = this.#quotedIn(opened.document)
    const warnings = [
      ...item.marks,
      ...(opened.document.quoted !== undefined && quoted === undefined ? ["quotation-fails"] : []),
    ]
    return { ...opened, item, mail, quoted, warnings }
  }

  /** A quotation brings its own signatures; undefined when they do not hold here. */
  #quotedIn({ quoted }: Document): OpenedMessage | undefined {
    if (quoted === undefined) return undefined
    const { header, auth, entry, salt, promise, index, path, ...inside } = quoted
    const acceptance = { entry, salt, promise, index, path }
    const facts = { directory: this.#directory, batches: this.#batches }
    try {
      return verifyDisclosure({ header, auth, acceptance, inside }, facts)
    } catch (cause) {
      if (cause instanceof ChappeError) return undefined
      throw cause
    }
  }

  /** An attachment of a received message, fetched first if it is large. Refused: `not-found`. */
  async attachment(item: InboxItem, index: number): Promise<Attachment> {
    const { document } = await this.show(item)
    const found = document.attachments[index]
    if (found === undefined)
      throw new ChappeError("not-found", "the message has no such attachment")
    const state = await this.#files.state(found.hash)
    if (state.kind !== "whole") {
      await this.#download(item, found)
      await this.#inbox.fetched(item, found.hash)
    }
    return found
  }

  /** What no relay gives is asked for from the sender; it can be fetched when it has come. */
  async #download(item: InboxItem, { hash, cipherLength }: Attachment): Promise<void> {
    try {
      await this.#bodies.download({ hash, length: cipherLength })
    } catch (cause) {
      if (cause instanceof ChappeError && cause.code === "attachments-missing")
        this.#inbox.wantBody(item, hash)
      throw cause
    }
  }

  /** The plaintext of an attachment, as a stream. */
  read(attachment: Attachment): AsyncGenerator<Uint8Array, void, void> {
    return this.#attachments.open(attachment)
  }

  /** What this node sent, as its officer wrote it. */
  async sent(
    item: OutboxItem,
  ): Promise<{ readonly document: Document; readonly type: ContentType }> {
    const draft = await this.#outbox.draftOf(item)
    if (draft === undefined)
      throw new ChappeError("tampered", `draft ${toHex(item.id)} is missing from the records`)
    const { type, document } = decodeContent(draft.content)
    if (!isContentType(type)) throw new ChappeError("tampered", "a draft has no known type")
    return { document: readDocument(type, document), type }
  }
}

function quotedOf(mail: StoredMail): Quoted {
  const { acceptance } = mail
  if (acceptance.salt === null) throw new ChappeError("entry", "the entry's salt is not known")
  return {
    header: mail.header,
    auth: mail.auth,
    entry: acceptance.entry,
    salt: acceptance.salt,
    promise: acceptance.promise,
    index: acceptance.index,
    path: acceptance.path,
    content: mail.content,
    officerSig: mail.officerSig,
    officerKeyId: mail.officerKeyId,
    contentCommitKey: mail.contentCommitKey,
  }
}

function uniqueBodies(attachments: readonly Attachment[]) {
  const bodies = new Map(
    attachments.map(({ hash, cipherLength }) => [toHex(hash), { hash, length: cipherLength }]),
  )
  return [...bodies.values()]
}

/** Names of content types as officers' scripts know them. */
export const shownTypes = {
  "case/info": "message",
  "case/reply": "reply",
  "notice/request": "notice",
  "notice/published": "publication",
  "diffusion/send": "diffusion",
} as const satisfies Record<ContentType, string>

export function shownType(type: string): string {
  return isContentType(type) ? shownTypes[type] : type
}
