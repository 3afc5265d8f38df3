// Routes for mail: attachments, messages, inbox, outbox, evidence. Every reading is in the journal before
// it is answered.

import { Readable } from "node:stream"
import type { FastifyRequest } from "fastify"
import { sha256 } from "../../keys/crypto.ts"
import { fromHex, toHex, utf8 } from "../../protocol/bytes.ts"
import { precedences } from "../../protocol/envelope.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { limits } from "../../protocol/limits.ts"
import type { Attachments } from "../core/attachments.ts"
import type { Correspondence, Idempotency } from "../core/correspondence.ts"
import type { CustodyWait } from "../core/custody-wait.ts"
import type { Escalations } from "../core/escalations.ts"
import { jsonOf, valueOfJson } from "../core/form-value.ts"
import type { Inbox } from "../core/inbox.ts"
import type { InboxItem } from "../core/inbox-records.ts"
import type { Journal } from "../core/journal.ts"
import { type Outbox, identityOfHex } from "../core/outbox.ts"
import type { OutboxItem } from "../core/outbox-records.ts"
import { type Session, type Sessions, requireCapability } from "../core/sessions.ts"
import {
  type Sources,
  escalationView,
  evidenceFileOf,
  gapView,
  inboxView,
  outboxView,
  sentMessageView,
  sentView,
  shownView,
  traceOf,
} from "../core/views.ts"
import { nodeLimits } from "../limits.ts"
import {
  attachmentParams,
  attachmentQuery,
  emptyBody,
  escalationsQuery,
  evidenceQuery,
  inboxQuery,
  messageBody,
  messageParams,
  pageQuery,
  publishBody,
  refuseBody,
  replyBody,
} from "./http-schemas.ts"
import { type HttpServer, sessionOf, uploadOnly } from "./http-server.ts"

const nothing = (): void => undefined

export type MailParts = {
  readonly sessions: Sessions
  readonly journal: Journal
  readonly inbox: Inbox
  readonly outbox: Outbox
  readonly escalations: Escalations
  readonly attachments: Attachments
  readonly correspondence: Correspondence
  readonly custody: CustodyWait
  readonly sources: Sources
}

/** Writes down who does what to what, before it is done. */
export async function record(
  journal: Journal,
  request: FastifyRequest,
  session: Session,
  action: string,
  subject: string,
): Promise<void> {
  const header = request.headers["chappe-purpose"]
  const purpose = typeof header === "string" ? header.slice(0, 200) : ""
  await journal.write({ officer: session.officer.officer, action, subject, purpose })
}

export function mailRoutes(server: HttpServer, parts: MailParts): void {
  writingRoutes(server, parts)
  readingRoutes(server, parts)
  actingRoutes(server, parts)
  outboxRoutes(server, parts)
}

function writingRoutes(server: HttpServer, parts: MailParts): void {
  const { sessions, journal, attachments, correspondence, custody } = parts
  server.post(
    "/v1/attachments",
    {
      schema: { querystring: attachmentQuery },
      bodyLimit: limits.attachmentBytesMax,
      onRequest: uploadOnly,
    },
    async (request) => {
      const session = sessionOf(sessions, request)
      requireCapability(session, "sign/case")
      const { name, mediaType, size, sha256: hash } = request.query
      const upload = {
        officer: session.officer.officer,
        name,
        mediaType,
        size,
        sha256: fromHex(hash),
      }
      return { attachment: await attachments.upload(upload, piecesOf(request.body)) }
    },
  )
  server.post(
    "/v1/messages",
    { schema: { body: messageBody }, bodyLimit: nodeLimits.messageBodyBytesMax },
    async (request) => {
      const session = sessionOf(sessions, request)
      const { body } = request
      await record(journal, request, session, "send", body.type ?? "message")
      const form = body.form === undefined ? undefined : jsonOf(body.form)
      const value = form === undefined ? undefined : valueOfJson(form)
      const lane = precedences.indexOf(body.precedence ?? "routine")
      const item = await correspondence.send(session, {
        type: body.type ?? "message",
        to: body.to ?? [],
        info: body.info ?? [],
        subject: body.subject,
        text: body.text ?? "",
        form: value instanceof Map ? value : undefined,
        attachments: body.attachments ?? [],
        lane: lane === 3 || lane === 2 || lane === 1 ? lane : 0,
        ourRef: body.ourRef,
        yourRef: body.yourRef,
        expiresSeconds: body.expiresSeconds ?? limits.lifetimeSecondsMax,
        label: body.label,
        idempotency: idempotencyOf("send", body),
      })
      return sentView(await custody.wait(item))
    },
  )
}

/** What makes two requests the same: everything but the uploads' ids, which a repetition has anew. */
function idempotencyOf(
  action: string,
  body: { readonly idempotencyKey?: string | undefined },
): Idempotency | undefined {
  const { idempotencyKey: key } = body
  if (key === undefined) return undefined
  // Keys of messages were hashed without their action, and still are.
  const said = action === "send" ? { ...body, attachments: undefined } : { ...body, action }
  return { key, request: sha256(utf8(JSON.stringify(said))) }
}

/** Of a body that `uploadOnly` let in. Whoever stops reading leaves the connection open: the answer goes over it. */
export async function* piecesOf(body: unknown): AsyncGenerator<Uint8Array> {
  if (!(body instanceof Readable)) throw new RangeError("an upload is a stream")
  for await (const piece of body.iterator({ destroyOnReturn: false }))
    if (piece instanceof Uint8Array) yield piece
}

function readingRoutes(server: HttpServer, parts: MailParts): void {
  const { sessions, journal, inbox, outbox, correspondence } = parts
  server.get("/v1/inbox", { schema: { querystring: inboxQuery } }, async (request) => {
    const session = sessionOf(sessions, request)
    requireCapability(session, "read/case")
    const { since, unread = false, limit = nodeLimits.inboxPageMax } = request.query
    await record(journal, request, session, "list", since ?? "")
    const messages: InboxItem[] = []
    for await (const item of itemsAfter(inbox, await numberOf(inbox, since)))
      if (!unread || item.state === "new") {
        messages.push(item)
        if (messages.length === limit) break
      }
    return { messages: messages.map(inboxView), missing: inbox.gaps.map(gapView) }
  })

  server.get(
    "/v1/inbox/stream",
    { schema: { querystring: inboxQuery } },
    async (request, reply) => {
      const session = sessionOf(sessions, request)
      requireCapability(session, "read/case")
      const { since, unread = false } = request.query
      await record(journal, request, session, "follow", since ?? "")
      const after = await numberOf(inbox, since)
      // A stream outlives its request: each line asks anew whether the officer may read it.
      const demand = (): void => requireCapability(sessions.again(session), "read/case")
      const reader = { demand, gone: new AbortController() }
      reply.raw.once("close", () => reader.gone.abort())
      const lines = followLines(inbox, after, unread, reader)
      return await reply.type("application/x-ndjson").send(Readable.from(lines))
    },
  )

  server.get("/v1/messages/:id", { schema: { params: messageParams } }, async (request) => {
    const session = sessionOf(sessions, request)
    requireCapability(session, "read/case")
    const id = identityOfHex(request.params.id)
    await record(journal, request, session, "read", request.params.id)
    const item = await inbox.byId(id)
    if (item !== undefined) {
      const shown = await correspondence.show(item)
      return shownView({ ...shown, item: await correspondence.opened(session, item) })
    }
    const sent = await requireSent(outbox, request.params.id)
    const { document } = await correspondence.sent(sent)
    return sentMessageView(sent, document)
  })

  server.get(
    "/v1/messages/:id/attachments/:index",
    { schema: { params: attachmentParams } },
    async (request, reply) => {
      const session = sessionOf(sessions, request)
      requireCapability(session, "read/case")
      const { id, index } = request.params
      const item = await requireReceived(inbox, id)
      await record(journal, request, session, "attachment", `${id} ${index}`)
      const attachment = await correspondence.attachment(item, index)
      const stream = Readable.from(await started(correspondence.read(attachment)))
      return await reply
        .header("content-length", attachment.plainLength)
        .header("content-disposition", "attachment")
        .type("application/octet-stream")
        .send(stream)
    },
  )
}

/** Waits for the first piece: a body that does not verify is refused before the answer begins. */
async function started(
  pieces: AsyncGenerator<Uint8Array, void, void>,
): Promise<AsyncGenerator<Uint8Array, void, void>> {
  const first = await pieces.next()
  return (async function* (): AsyncGenerator<Uint8Array, void, void> {
    if (first.done === true) return
    yield first.value
    yield* pieces
  })()
}

function actingRoutes(server: HttpServer, parts: MailParts): void {
  const { sessions, journal, inbox, correspondence, custody } = parts
  server.post(
    "/v1/messages/:id/publish",
    { schema: { params: messageParams, body: publishBody } },
    async (request) => {
      const session = sessionOf(sessions, request)
      const item = await requireReceived(inbox, request.params.id)
      await record(journal, request, session, "publish", request.params.id)
      const { exclude = [] } = request.body
      const idempotency = idempotencyOf(`publish ${request.params.id}`, request.body)
      const published = await correspondence.publish(session, item, { exclude, idempotency })
      return sentView(await custody.wait(published))
    },
  )
  server.post(
    "/v1/messages/:id/reply",
    {
      schema: { params: messageParams, body: replyBody },
      bodyLimit: nodeLimits.messageBodyBytesMax,
    },
    async (request) => {
      const session = sessionOf(sessions, request)
      const item = await requireReceived(inbox, request.params.id)
      await record(journal, request, session, "reply", request.params.id)
      const { text } = request.body
      const idempotency = idempotencyOf(`reply ${request.params.id}`, request.body)
      const answer = await correspondence.reply(session, item, { text, idempotency })
      return sentView(await custody.wait(answer))
    },
  )
  server.post(
    "/v1/messages/:id/take",
    { schema: { params: messageParams, body: emptyBody } },
    async (request) => {
      const session = sessionOf(sessions, request)
      const item = await requireReceived(inbox, request.params.id)
      await record(journal, request, session, "take", request.params.id)
      const taken = await correspondence.takeInCharge(session, item)
      return { id: toHex(taken.id), state: taken.state }
    },
  )
  server.post(
    "/v1/messages/:id/refuse",
    { schema: { params: messageParams, body: refuseBody } },
    async (request) => {
      const session = sessionOf(sessions, request)
      const item = await requireReceived(inbox, request.params.id)
      await record(journal, request, session, "refuse", request.params.id)
      const refused = await correspondence.refuse(session, item, request.body.reason)
      return { id: toHex(refused.id), state: refused.state }
    },
  )
}

function outboxRoutes(server: HttpServer, parts: MailParts): void {
  const { sessions, journal, outbox, escalations, sources } = parts
  server.get("/v1/outbox", { schema: { querystring: pageQuery } }, async (request) => {
    const session = sessionOf(sessions, request)
    requireCapability(session, "read/case")
    await record(journal, request, session, "outbox", "")
    const items = await outbox.list(request.query.limit ?? nodeLimits.inboxPageMax)
    return { messages: items.map(outboxView) }
  })
  server.get("/v1/escalations", { schema: { querystring: escalationsQuery } }, async (request) => {
    const session = sessionOf(sessions, request)
    requireCapability(session, "read/case")
    await record(journal, request, session, "escalations", "")
    const found = await escalations.list(request.query.all ?? false)
    return { escalations: found.map(escalationView) }
  })
  server.get("/v1/messages/:id/trace", { schema: { params: messageParams } }, async (request) => {
    const session = sessionOf(sessions, request)
    requireCapability(session, "read/case")
    await record(journal, request, session, "trace", request.params.id)
    return await traceOf(await requireSent(outbox, request.params.id), sources)
  })
  server.get(
    "/v1/messages/:id/evidence",
    { schema: { params: messageParams, querystring: evidenceQuery } },
    async (request, reply) => {
      const session = sessionOf(sessions, request)
      requireCapability(session, "export/evidence")
      const isDisclosed = request.query.disclose ?? false
      if (isDisclosed) requireCapability(session, "read/case")
      const action = isDisclosed ? "export-disclosed" : "export"
      await record(journal, request, session, action, request.params.id)
      const item = await requireSent(outbox, request.params.id)
      const file = await evidenceFileOf(item, isDisclosed, sources)
      return await reply.type("application/json").send(file)
    },
  )
}

async function requireReceived(inbox: Inbox, id: string): Promise<InboxItem> {
  const item = await inbox.byId(identityOfHex(id))
  if (item === undefined) throw new ChappeError("not-found")
  return item
}

async function requireSent(outbox: Outbox, id: string): Promise<OutboxItem> {
  const item = await outbox.byId(identityOfHex(id))
  if (item === undefined) throw new ChappeError("not-found")
  return item
}

/** The arrival number of the message with this id; 0 for none. */
async function numberOf(inbox: Inbox, since: string | undefined): Promise<number> {
  return since === undefined ? 0 : (await requireReceived(inbox, since)).number
}

async function* itemsAfter(inbox: Inbox, after: number): AsyncGenerator<InboxItem> {
  for (let last = after; ;) {
    const page = await inbox.list(last, nodeLimits.listPage)
    yield* page
    last = page.at(-1)?.number ?? last
    if (page.length < nodeLimits.listPage) return
  }
}

/** What is there, then what comes, one JSON object a line, until the reader goes. */
async function* followLines(
  inbox: Inbox,
  after: number,
  unread: boolean,
  { demand, gone }: { readonly demand: () => void; readonly gone: AbortController },
): AsyncGenerator<string, void, void> {
  let wake = nothing
  let isFresh = false
  const stop = inbox.whenNew(() => {
    isFresh = true
    wake()
  })
  gone.signal.addEventListener("abort", () => wake())
  try {
    for (let last = after; !gone.signal.aborted;) {
      isFresh = false
      for await (const item of itemsAfter(inbox, last)) {
        last = item.number
        demand()
        if (!unread || item.state === "new") yield `${JSON.stringify(inboxView(item))}\n`
      }
      if (isFresh) continue
      await new Promise<void>((resolve) => {
        wake = resolve
        if (isFresh || gone.signal.aborted) resolve()
      })
    }
  } finally {
    stop()
  }
}
