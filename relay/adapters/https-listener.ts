// The HTTPS listener: logs under tlog-tiles paths, self-authenticating statements, join requests, and the
// operators' four pages. Everything is denied unless a route allows it. docs/PROTOCOL.md, "HTTPS".

import { TLSSocket } from "node:tls"
import rateLimit from "@fastify/rate-limit"
import { type TypeBoxTypeProvider, Type } from "@fastify/type-provider-typebox"
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from "fastify"
import { spkiKeyOf } from "../../keys/link-certificate.ts"
import { fromHex } from "../../protocol/bytes.ts"
import type { Directory } from "../../protocol/directory.ts"
import { decodePostedStatement } from "../../protocol/directory-bundle.ts"
import { ChappeError, errorRow } from "../../protocol/errors.ts"
import { protocolVersions } from "../../protocol/hello.ts"
import { limits } from "../../protocol/limits.ts"
import { parseTilePath, tileWidth } from "../../protocol/tiles.ts"
import { type AccessRecord, openAuditorHeader } from "../core/auditor-access.ts"
import type { NetworkClock } from "../core/network-clock.ts"
import type { Journal } from "../core/ports.ts"
import type { PublishedLog } from "../core/published-log.ts"
import type { StatementDesk } from "../core/statement-desk.ts"
import { relayLimits } from "../limits.ts"
import { capByAddress } from "./address-cap.ts"
import type { JoinRequests } from "./join-requests.ts"
import {
  type CertificatePem,
  type Listener,
  demandHardening,
  hardening,
  listenError,
  portOf,
} from "./link-listener.ts"

export type HttpsParts = {
  readonly directory: Directory
  readonly network: NetworkClock
  readonly statements: StatementDesk
  readonly joins: JoinRequests
  readonly access: AccessRecord
  readonly journal: Journal
  /** By prefix, `directory` or `traffic/2027`; older shards too. */
  readonly logAt: (prefix: string) => Promise<PublishedLog | undefined>
  readonly isReady: () => boolean
  readonly metrics: () => Promise<string>
  readonly version: string
}

type Caller =
  | { readonly kind: "station"; readonly name: string }
  | { readonly kind: "invited"; readonly member: string }
  | { readonly kind: "auditor"; readonly name: string }

const octets = "application/octet-stream"
const bearerForm = /^Bearer (?<token>[0-9a-f]{64})$/u

/** Refused: `port-taken`. */
export async function listenForHttps(
  parts: HttpsParts,
  options: { readonly host: string; readonly port: number } & CertificatePem,
): Promise<Listener> {
  const app = fastify({
    https: {
      ...hardening,
      cert: options.certPem,
      key: options.keyPem,
      minVersion: "TLSv1.3",
      // A member's or relay's pinned key opens the logs; what is not pinned opens nothing.
      requestCert: true,
      rejectUnauthorized: false,
    },
    requestTimeout: hardening.requestTimeout,
    keepAliveTimeout: hardening.keepAliveTimeout,
    bodyLimit: relayLimits.probeBytesMax,
    routerOptions: { maxParamLength: 256 },
    forceCloseConnections: true,
  }).withTypeProvider<TypeBoxTypeProvider>()
  app.server.maxConnections = relayLimits.connectionsMax
  capByAddress(app.server, { max: relayLimits.connectionsPerAddressMax, until: "closed" })
  app.server.on("clientError", (_error, socket) => socket.destroy())
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(octets, { parseAs: "buffer" }, (_request, body, done) => {
    done(null, body)
  })
  await app.register(rateLimit, {
    max: relayLimits.requestsPerMinute,
    timeWindow: 60_000,
    errorResponseBuilder: () => new ChappeError("rate-limit"),
  })
  app.setErrorHandler((cause, _request, reply) => {
    sendError(parts.journal, reply, cause)
  })
  app.setNotFoundHandler((_request, reply) => {
    sendError(parts.journal, reply, new ChappeError("not-found", "no such page"))
  })
  operatorPages(app, parts)
  logPages(app, parts)
  postPages(app, parts)
  await app.ready()
  demandHardening(app.server)
  try {
    await app.listen({ host: options.host, port: options.port })
  } catch (cause) {
    throw listenError(cause, options.port)
  }
  return {
    port: portOf(app.server),
    renew: () => undefined,
    close: async () => app.close(),
  }
}

export function sendError(journal: Journal, reply: FastifyReply, cause: unknown): void {
  const error = errorOf(cause)
  if (error.code === "internal") journal.warn("http", { code: error.code, why: String(cause) })
  const { http, sentence, next } = errorRow(error.code)
  // Our own sentence of the table, and an error's own words where they are ours too.
  const message = error.code === "internal" ? sentence : error.message
  void reply
    .status(http)
    .type("application/json; charset=utf-8")
    .send(JSON.stringify({ error: { code: error.code, message, next } }))
}

function errorOf(cause: unknown): ChappeError {
  if (cause instanceof ChappeError) return cause
  const status =
    cause instanceof Error && "statusCode" in cause && typeof cause.statusCode === "number"
      ? cause.statusCode
      : 500
  if (status === 413) return new ChappeError("size", "the body is too large", { cause })
  if (status >= 400 && status < 500)
    return new ChappeError("usage", "the request does not have its form", { cause })
  return new ChappeError("internal", undefined, { cause })
}

function operatorPages(app: FastifyInstance, parts: HttpsParts): void {
  app.get("/livez", async (_request, reply) => reply.type("text/plain").send("live\n"))
  app.get("/readyz", async (_request, reply) =>
    reply
      .status(parts.isReady() ? 200 : 503)
      .type("text/plain")
      .send(parts.isReady() ? "ready\n" : "starting\n"),
  )
  app.get("/version", async (_request, reply) =>
    reply
      .type("application/json; charset=utf-8")
      .send(JSON.stringify({ version: parts.version, protocol: protocolVersions })),
  )
  app.get("/metrics", async (_request, reply) =>
    reply.type("text/plain; version=0.0.4; charset=utf-8").send(await parts.metrics()),
  )
}

/** Who asks. Refused: `unauthenticated`, `token-used`. */
async function callerOf(parts: HttpsParts, request: FastifyRequest): Promise<Caller> {
  const { authorization } = request.headers
  if (authorization?.startsWith("Chappe-Auditor ") === true) {
    const signed = { authorization, method: request.method, path: request.url }
    return {
      kind: "auditor",
      name: openAuditorHeader(parts.directory, parts.network.now, signed),
    }
  }
  const token = authorization === undefined ? undefined : bearerOf(authorization)
  if (token !== undefined) {
    const { member } = await parts.joins.invitation(token, parts.network.now)
    return { kind: "invited", member }
  }
  const owner = pinnedOwner(parts, request)
  if (owner === undefined) throw new ChappeError("unauthenticated", "nothing says who you are")
  return { kind: "station", name: owner }
}

function bearerOf(authorization: string): Uint8Array | undefined {
  const token = bearerForm.exec(authorization)?.groups?.["token"]
  return token === undefined ? undefined : fromHex(token)
}

function pinnedOwner(parts: HttpsParts, { raw }: FastifyRequest): string | undefined {
  if (!(raw.socket instanceof TLSSocket)) return undefined
  const der = raw.socket.getPeerX509Certificate()?.raw
  const key = der === undefined ? undefined : spkiKeyOf(der)
  return key === undefined ? undefined : parts.directory.linkOwner(key, parts.network.now)?.name
}

function logPages(app: FastifyInstance, parts: HttpsParts): void {
  const path = Type.String({ maxLength: 128 })
  const shard = Type.String({ pattern: "^[0-9]{4}(?:\\.[0-9]{1,3})?$" })
  const typed = app.withTypeProvider<TypeBoxTypeProvider>()
  typed.get(
    "/directory/*",
    { schema: { params: Type.Object({ "*": path }) } },
    async (request, reply) => {
      const caller = await callerOf(parts, request)
      return sendLogFile(parts, reply, { caller, prefix: "directory", path: request.params["*"] })
    },
  )
  typed.get(
    "/traffic/:shard/*",
    { schema: { params: Type.Object({ shard, "*": path }) } },
    async (request, reply) => {
      const caller = await callerOf(parts, request)
      const prefix = `traffic/${request.params.shard}`
      return sendLogFile(parts, reply, { caller, prefix, path: request.params["*"] })
    },
  )
}

async function sendLogFile(
  parts: HttpsParts,
  reply: FastifyReply,
  asked: { readonly caller: Caller; readonly prefix: string; readonly path: string },
): Promise<FastifyReply> {
  const { caller, prefix, path } = asked
  const isTraffic = prefix !== "directory"
  if (isTraffic && caller.kind === "invited")
    throw new ChappeError("forbidden", "an invitation opens the directory log only")
  const log = await parts.logAt(prefix)
  if (log === undefined) throw new ChappeError("not-found", "no such log")
  if (path === "checkpoint") {
    const checkpoint = await log.files.read("checkpoint")
    if (checkpoint === undefined) throw new ChappeError("not-found", "no checkpoint yet")
    return reply
      .type("text/plain; charset=utf-8")
      .header("cache-control", "max-age=1")
      .send(checkpoint)
  }
  const tile = parseTilePath(path)
  const isExport = isTraffic && tile.kind === "entries"
  if (isExport && caller.kind !== "auditor")
    throw new ChappeError("forbidden", "traffic entries are for auditors")
  const bytes = await log.files.read(path)
  if (bytes === undefined) throw new ChappeError("not-found", "no such tile")
  if (isExport && caller.kind === "auditor") {
    const from = tile.index * tileWidth
    parts.access.exported(caller.name, { from, to: from + tile.width })
  }
  return reply.type(octets).header("cache-control", "max-age=31536000, immutable").send(bytes)
}

function postPages(app: FastifyInstance, parts: HttpsParts): void {
  app.post(
    "/statements",
    {
      bodyLimit: limits.statementBytesMax + limits.leafBytesMax,
      config: { rateLimit: { max: relayLimits.statementsPerMinute, timeWindow: 60_000 } },
    },
    async (request, reply) => {
      const { kind, statement } = decodePostedStatement(bodyOf(request))
      const isNew = await parts.statements.take({ kind, statement })
      return reply
        .type("application/json; charset=utf-8")
        .send(JSON.stringify({ state: isNew ? "taken" : "known" }))
    },
  )
  app.post(
    "/join",
    {
      bodyLimit: limits.joinRequestBytesMax,
      config: { rateLimit: { max: relayLimits.joinsPerMinute, timeWindow: 60_000 } },
    },
    async (request, reply) => {
      const token = bearerOf(request.headers.authorization ?? "")
      if (token === undefined) throw new ChappeError("unauthenticated", "a token is missing")
      await parts.joins.take(token, bodyOf(request), parts.network.now)
      return reply
        .type("application/json; charset=utf-8")
        .send(JSON.stringify({ state: "waiting" }))
    },
  )
}

function bodyOf({ body }: FastifyRequest): Uint8Array {
  if (!(body instanceof Uint8Array)) throw new ChappeError("usage", `a body of type ${octets}`)
  return new Uint8Array(body)
}
