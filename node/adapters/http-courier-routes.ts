// A courier's file, out and in. docs/PROTOCOL.md, "Courier files".

import { Readable } from "node:stream"
import type { Courier } from "../core/courier.ts"
import type { Journal } from "../core/journal.ts"
import { type Sessions, requireCapability } from "../core/sessions.ts"
import { nodeLimits } from "../limits.ts"
import { courierParams } from "./http-schemas.ts"
import { piecesOf, record } from "./http-mail-routes.ts"
import { type HttpServer, sessionOf, uploadOnly } from "./http-server.ts"

export function courierRoutes(
  server: HttpServer,
  parts: {
    readonly sessions: Sessions
    readonly journal: Journal
    readonly courier: Courier
  },
): void {
  const { sessions, journal, courier } = parts
  server.get(
    "/v1/courier/:member",
    { schema: { params: courierParams } },
    async (request, reply) => {
      const session = sessionOf(sessions, request)
      requireCapability(session, "admin/node")
      const { member } = request.params
      await record(journal, request, session, "courier-export", member)
      void reply.type("application/octet-stream")
      return await reply.send(Readable.from(courier.export(member)))
    },
  )
  const bodyLimit = nodeLimits.courierBytesMax
  server.post("/v1/courier", { bodyLimit, onRequest: uploadOnly }, async (request) => {
    const session = sessionOf(sessions, request)
    requireCapability(session, "admin/node")
    await record(journal, request, session, "courier-import", "")
    return await courier.import(piecesOf(request.body))
  })
}
