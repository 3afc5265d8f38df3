// The officers' HTTP server: hardened, default deny, one form for errors. Routes are registered by others.

import { isIP } from "node:net"
import fastifySwagger from "@fastify/swagger"
import type { TypeBoxTypeProvider } from "@fastify/type-provider-typebox"
import Fastify, {
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type RawReplyDefaultExpression,
  type RawRequestDefaultExpression,
  type RawServerDefault,
} from "fastify"
import { ChappeError, type ErrorCode, errorRow } from "../../protocol/errors.ts"
import type { Clock, Log } from "../core/ports.ts"
import type { Session, Sessions } from "../core/sessions.ts"
import { nodeLimits } from "../limits.ts"

export type HttpServer = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyInstance["log"],
  TypeBoxTypeProvider
>

const open: readonly string[] = [
  "/livez",
  "/readyz",
  "/metrics",
  "/version",
  "/v1/openapi.json",
  "POST /v1/sessions",
]

/** The token of `Authorization: Bearer …`; empty without one. */
export function tokenOf(request: FastifyRequest): string {
  return /^Bearer ([0-9a-f]{64})$/u.exec(request.headers.authorization ?? "")?.[1] ?? ""
}

/** Refused: `unauthenticated`, `officer-revoked`, `key-expired`. */
export function sessionOf(sessions: Sessions, request: FastifyRequest): Session {
  return sessions.require(tokenOf(request))
}

function errorBody(code: ErrorCode, message: string) {
  return { error: { code, message, next: errorRow(code).next } }
}

export async function makeHttpServer(options: {
  readonly sessions: Sessions
  readonly clock: Pick<Clock, "after">
  readonly log: Log
}): Promise<HttpServer> {
  const server: HttpServer = Fastify({
    logger: false,
    bodyLimit: nodeLimits.smallBodyBytesMax,
    requestTimeout: nodeLimits.httpUploadMs,
    keepAliveTimeout: nodeLimits.httpKeepAliveMs,
    forceCloseConnections: true,
    ajv: { customOptions: { removeAdditional: false } },
    http: {
      maxHeaderSize: nodeLimits.httpHeaderBytesMax,
      headersTimeout: nodeLimits.httpHeadersMs,
      connectionsCheckingInterval: nodeLimits.httpCheckMs,
    },
  }).withTypeProvider<TypeBoxTypeProvider>()
  server.server.maxConnections = nodeLimits.httpConnectionsMax
  server.server.on("clientError", (_, socket) => socket.destroy())
  // Attachments come as a stream; whoever reads them counts the bytes.
  server.removeContentTypeParser("text/plain")
  server.addContentTypeParser("application/octet-stream", (_, payload, done) => {
    done(null, payload)
  })
  await server.register(fastifySwagger, {
    openapi: {
      openapi: "3.1.0",
      info: { title: "Chappe node: officers' interface", version: "1" },
    },
  })
  guard(server, options)
  return server
}

/**
 * For routes that take a file of any size: nothing but a stream, asked for before the body is read, so that
 * nothing else is ever gathered in memory under their limit. Refused: `usage`.
 */
export async function uploadOnly(request: FastifyRequest): Promise<void> {
  if (!isUpload(request)) throw new ChappeError("usage", "a file comes as application/octet-stream")
}

function isUpload(request: FastifyRequest): boolean {
  return request.headers["content-type"] === "application/octet-stream"
}

function guard(
  server: HttpServer,
  {
    sessions,
    clock,
    log,
  }: { readonly sessions: Sessions; readonly clock: Pick<Clock, "after">; readonly log: Log },
): void {
  const timers = new WeakMap<FastifyRequest, () => void>()
  // A web page whose name was made to point to this machine brings that name along.
  server.addHook("onRequest", async ({ raw: { socket }, hostname }) => {
    const isLoopback = /^(?:::1|(?:::ffff:)?127\.)/u.test(socket.localAddress ?? "")
    if (isLoopback && !isOwnName(hostname))
      throw new ChappeError("forbidden", `this machine is not called ${hostname.slice(0, 64)}`)
  })
  // Default deny: what is not listed needs a session, also what does not exist.
  server.addHook("onRequest", async (request) => {
    const path = request.url.split("?")[0] ?? ""
    if (open.includes(path) || open.includes(`${request.method} ${path}`)) return
    sessions.require(tokenOf(request))
  })
  // The server's own limit is for uploads; every other body must come quickly.
  server.addHook("onRequest", async (request) => {
    if (isUpload(request)) return
    const { socket } = request.raw
    timers.set(
      request,
      clock.after(nodeLimits.httpBodyMs, () => socket.destroy()),
    )
  })
  server.addHook("preValidation", async (request) => timers.get(request)?.())
  server.addHook("onSend", async (_, reply) => {
    void reply.header("x-content-type-options", "nosniff")
    void reply.header("cache-control", "no-store")
  })
  server.addHook("onResponse", async (request) => timers.get(request)?.())
  server.setErrorHandler((error: unknown, request, reply) => {
    timers.get(request)?.()
    const { code, message } = translated(error)
    if (code === "internal")
      log.error("request-failed", {
        route: request.routeOptions.url,
        error: error instanceof Error ? error.name : "unknown",
        where: error instanceof Error ? error.stack?.split("\n")[1]?.trim() : undefined,
      })
    if (isUpload(request)) linger(request, reply, clock)
    void reply.status(errorRow(code).http).send(errorBody(code, message))
  })
  server.setNotFoundHandler((_, reply) => {
    void reply.status(404).send(errorBody("not-found", "there is no such address"))
  })
}

/**
 * A refused upload: its answer goes out at once, and whoever still sends has time to read it. To close under
 * unread bytes would reset the connection, and the answer with it.
 */
function linger(request: FastifyRequest, reply: FastifyReply, clock: Pick<Clock, "after">): void {
  const { raw } = request
  if (raw.complete) return
  void reply.header("connection", "keep-alive")
  raw.resume()
  raw.once(
    "close",
    clock.after(nodeLimits.httpLingerMs, () => raw.socket.destroy()),
  )
}

/** An address, or a name that no DNS server can point elsewhere. */
function isOwnName(host: string): boolean {
  const name = host.replace(/^\[|\]$/gu, "")
  return isIP(name) !== 0 || name === "localhost" || name.endsWith(".localhost") || name === ""
}

function translated(error: unknown): { readonly code: ErrorCode; readonly message: string } {
  if (error instanceof ChappeError) return error
  if (typeof error === "object" && error !== null) {
    if ("validation" in error && "message" in error)
      return { code: "usage", message: String(error.message) }
    if ("statusCode" in error && error.statusCode === 413)
      return { code: "size", message: "the request is too large" }
    if ("statusCode" in error && typeof error.statusCode === "number" && error.statusCode < 500)
      return { code: "usage", message: "the request is not of the documented form" }
  }
  return { code: "internal", message: errorRow("internal").sentence }
}
