// The operator's door: HTTP over a Unix socket in the relay's run folder. Who may open the folder (0700) and
// the socket (0600) is the operator; there is no port, so nobody else on the machine or beyond can ask.
// docs/operator.md, "Watching a relay".

import { chmod, rm } from "node:fs/promises"
import { type TypeBoxTypeProvider, Type } from "@fastify/type-provider-typebox"
import { fastify } from "fastify"
import { ChappeError } from "../../protocol/errors.ts"
import { limits } from "../../protocol/limits.ts"
import type { DrainFacts, MemberFacts, ProbeFacts, RelayFacts } from "../operator-facts.ts"
import type { Journal } from "../core/ports.ts"
import { doorPath } from "../door-path.ts"
import { relayLimits } from "../limits.ts"
import { makeFolder, onDisk } from "../../store/durable-files.ts"
import { sendError } from "./https-listener.ts"

export type DoorParts = {
  readonly journal: Journal
  readonly facts: () => Promise<RelayFacts>
  readonly member: (name: string) => Promise<MemberFacts>
  readonly probe: (member: string) => Promise<ProbeFacts>
  /** Begins or ends the relay's emptying, and says how far it is. */
  readonly drain: (isOn: boolean) => Promise<DrainFacts>
  /** With each member's lanes. */
  readonly metrics: () => Promise<string>
}

/** Refused: `config` where the path is too long for a socket, `storage`. */
export async function openOperatorDoor(
  parts: DoorParts,
  run: string,
): Promise<{ readonly close: () => Promise<void> }> {
  const path = doorPath(run)
  if (Buffer.byteLength(path) > relayLimits.socketPathBytesMax)
    throw new ChappeError("config", `paths.run is too long for a socket: ${path}`)
  const app = fastify({
    bodyLimit: relayLimits.probeBytesMax,
    forceCloseConnections: true,
  }).withTypeProvider<TypeBoxTypeProvider>()
  app.setErrorHandler((cause, _request, reply) => {
    sendError(parts.journal, reply, cause)
  })
  app.setNotFoundHandler((_request, reply) => {
    sendError(parts.journal, reply, new ChappeError("not-found", "no such page"))
  })
  app.get("/status", async () => parts.facts())
  app.get("/metrics", async (_request, reply) =>
    reply.type("text/plain; version=0.0.4; charset=utf-8").send(await parts.metrics()),
  )
  const params = Type.Object({ name: Type.String({ maxLength: limits.memberNameMax }) })
  app.get("/members/:name", { schema: { params } }, async (request) =>
    parts.member(request.params.name),
  )
  app.post("/members/:name/probe", { schema: { params } }, async (request) =>
    parts.probe(request.params.name),
  )
  app.post("/draining", async () => parts.drain(true))
  app.delete("/draining", async () => parts.drain(false))
  await onDisk("opening the operator's door", async () => {
    await makeFolder(run)
    // The store's lock is ours: a socket that is here was left by a process that is gone.
    await rm(path, { force: true })
    await app.listen({ path })
    await chmod(path, 0o600)
  })
  return { close: async () => app.close() }
}
