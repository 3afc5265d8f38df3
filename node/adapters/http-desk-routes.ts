// Routes beside mail: sessions, status, roster, journal, officers; and what needs no session.

import { fromBase64, fromHex, toBase64, toHex } from "../../protocol/bytes.ts"
import { capabilitiesOf } from "../../protocol/capability.ts"
import type { Directory } from "../../protocol/directory.ts"
import { precedences } from "../../protocol/envelope.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { limits } from "../../protocol/limits.ts"
import { memberStatuses } from "../../protocol/roster.ts"
import type { Enrolment } from "../core/enrolment.ts"
import type { Journal } from "../core/journal.ts"
import type { NetworkClock } from "../core/network-clock.ts"
import { type Sessions, requireCapability, rolesOf } from "../core/sessions.ts"
import type { JsonObject } from "../core/views.ts"
import { nodeLimits } from "../limits.ts"
import { record } from "./http-mail-routes.ts"
import {
  officerBody,
  officerParams,
  pageQuery,
  sessionBody,
  statementBody,
} from "./http-schemas.ts"
import { type HttpServer, sessionOf, tokenOf } from "./http-server.ts"
import type { Metrics } from "./metrics.ts"

export type DeskParts = {
  readonly me: string
  readonly directory: Directory
  readonly sessions: Sessions
  readonly journal: Journal
  readonly enrolment: Enrolment
  readonly clock: NetworkClock
  readonly metrics: Metrics
  readonly version: string
  readonly isReady: () => boolean
  readonly status: () => JsonObject
}

export function deskRoutes(server: HttpServer, parts: DeskParts): void {
  openRoutes(server, parts)
  sessionRoutes(server, parts)
  lookRoutes(server, parts)
  officerRoutes(server, parts)
}

function openRoutes(server: HttpServer, parts: DeskParts): void {
  server.get("/livez", async () => ({ live: true }))
  server.get("/readyz", async (_, reply) => {
    const ready = parts.isReady()
    return await reply.status(ready ? 200 : 503).send({ ready })
  })
  server.get("/version", async () => ({ name: "chappe", version: parts.version, protocol: [1] }))
  server.get("/metrics", async (_, reply) =>
    reply.type(parts.metrics.contentType).send(await parts.metrics.text()),
  )
  server.get("/v1/openapi.json", { schema: { hide: true } }, async () => server.swagger())
}

function sessionRoutes(server: HttpServer, parts: DeskParts): void {
  const { sessions, journal, clock } = parts
  server.post("/v1/sessions", { schema: { body: sessionBody } }, async (request) => {
    const { officer, secret } = request.body
    const { token, session } = await sessions.open(officer, secretOf(secret))
    await record(journal, request, session, "sign-in", "")
    return {
      token,
      officer: session.officer.officer,
      roles: rolesOf(session.officer),
      expires: clock.now() + nodeLimits.sessionIdleMs / 1_000,
    }
  })
  server.delete("/v1/sessions/current", async (request, reply) => {
    sessions.close(tokenOf(request))
    return await reply.status(204).send()
  })
}

function secretOf(text: string): Uint8Array {
  try {
    return fromBase64(text)
  } catch (cause) {
    throw new ChappeError("usage", "the secret is not base64", { cause })
  }
}

function lookRoutes(server: HttpServer, parts: DeskParts): void {
  const { sessions, journal, directory } = parts
  server.get("/v1/status", async (request) => {
    const session = sessionOf(sessions, request)
    requireCapability(session, "admin/node")
    await record(journal, request, session, "status", "")
    return parts.status()
  })
  server.get("/v1/roster", async (request) => {
    sessionOf(sessions, request)
    return rosterView(directory)
  })
  server.get("/v1/journal", { schema: { querystring: pageQuery } }, async (request) => {
    const session = sessionOf(sessions, request)
    requireCapability(session, "read/journal")
    await record(journal, request, session, "journal", "")
    const { after = 0, limit = nodeLimits.inboxPageMax } = request.query
    const entries = await journal.list(after, limit)
    return { entries: entries.map((entry) => ({ ...entry, prev: toHex(entry.prev) })) }
  })
  server.get("/v1/journal/verify", async (request) => {
    const session = sessionOf(sessions, request)
    requireCapability(session, "read/journal")
    await record(journal, request, session, "journal-verify", "")
    const verdict = await journal.verify()
    if (verdict.kind === "broken") throw new ChappeError("tampered", `the journal's ${verdict.why}`)
    return { ok: true, entries: verdict.entries, anchors: verdict.anchors }
  })
}

function rosterView(directory: Directory): JsonObject {
  const roster = directory.roster()
  return {
    number: roster.number,
    at: roster.at,
    expires: roster.expires,
    custodians: { threshold: roster.custodians.threshold, of: roster.custodians.keys.length },
    members: roster.members.map(({ node, status, flags }) => ({
      name: node,
      status: statusName(status),
      flags,
      homes: directory.homes(node),
    })),
    relays: roster.relays.map(({ name, status }) => ({ name, status: statusName(status) })),
  }
}

function statusName(status: number): string {
  return Object.entries(memberStatuses).find(([, number]) => number === status)?.[0] ?? "unknown"
}

function officerRoutes(server: HttpServer, parts: DeskParts): void {
  const { me, sessions, journal, directory, enrolment, clock } = parts
  server.get("/v1/officers", async (request) => {
    sessionOf(sessions, request)
    const now = clock.now()
    const officers = directory.station(me)?.officers ?? []
    return {
      officers: officers.map((officer) => ({
        officer: officer.officer,
        roles: rolesOf(officer),
        capabilities: officer.capabilities,
        maxPrecedence: precedences[officer.maxPrecedence] ?? "routine",
        notAfter: officer.notAfter,
        keyId: toHex(officer.keyId),
        revoked: directory.isRevokedAnywhere(me, officer.keyId),
        valid: directory.officers(me, now).includes(officer),
      })),
    }
  })
  server.post("/v1/officers", { schema: { body: officerBody } }, async (request) => {
    const session = sessionOf(sessions, request)
    requireCapability(session, "enrol/officer")
    const { officer, key, possession, roles, maxPrecedence = "flash", days = 90 } = request.body
    await record(journal, request, session, "enrol", officer)
    const precedence = precedences.indexOf(maxPrecedence)
    const statement = await enrolment.enrol(session, {
      officer: `${me}/${officer}`,
      key: fromHex(key),
      possession: fromHex(possession),
      capabilities: capabilitiesOf(roles),
      maxPrecedence: precedence === 3 || precedence === 2 || precedence === 1 ? precedence : 0,
      seconds: days * limits.secondsPerDay,
    })
    return { officer: `${me}/${officer}`, statement: toBase64(statement) }
  })
  server.post(
    "/v1/officers/:officer/revoke",
    { schema: { params: officerParams } },
    async (request) => {
      const session = sessionOf(sessions, request)
      requireCapability(session, "enrol/officer")
      const { officer } = request.params
      await record(journal, request, session, "revoke", officer)
      const statements = await enrolment.revoke(session, `${me}/${officer}`)
      return { officer: `${me}/${officer}`, statements: statements.map(toBase64) }
    },
  )
  server.post("/v1/statements", { schema: { body: statementBody } }, async (request) => {
    const session = sessionOf(sessions, request)
    requireCapability(session, "admin/node")
    await record(journal, request, session, "statement", "")
    await enrolment.publish(secretOf(request.body.statement))
    return { published: true }
  })
}
