// The officers' interface: who may, in which form, and what is written down before it is answered.

import { once } from "node:events"
import { type IncomingMessage, request } from "node:http"
import type { Socket } from "node:net"
import { Readable } from "node:stream"
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import { readAnswer, sendRequest } from "../../cli/adapters/http-request.ts"
import { deskRoutes } from "../../node/adapters/http-desk-routes.ts"
import { mailRoutes } from "../../node/adapters/http-mail-routes.ts"
import { type HttpServer, makeHttpServer } from "../../node/adapters/http-server.ts"
import { nodeMetrics } from "../../node/adapters/metrics.ts"
import { measure, statusView } from "../../node/core/status.ts"
import { nodeLimits } from "../../node/limits.ts"
import { sha256 } from "../../keys/crypto.ts"
import { possessionOf } from "../../keys/statements.ts"
import { toBase64, toHex, utf8 } from "../../protocol/bytes.ts"
import { parseEvidenceFile } from "../../protocol/evidence-file.ts"
import { MemoryNode, StillClock, settle } from "../kit/memory-node.ts"
import { RelayDouble } from "../kit/relay-double.ts"
import { World, seededKey } from "../kit/world.ts"

const at = 1_800_000_000
const world = new World({ at, members: ["BR", "FR", "HQ", "JP"] })

let clock: StillClock
let hub1: RelayDouble
let nodes: Map<string, { readonly node: MemoryNode; readonly server: HttpServer }>

async function serve(name: string): Promise<void> {
  const node = new MemoryNode(world, name, clock)
  const core = await node.start()
  await node.link(hub1)
  const server = await makeHttpServer(core)
  mailRoutes(server, core)
  deskRoutes(server, {
    ...core,
    metrics: nodeMetrics(() => measure(core)),
    version: "0",
    isReady: () => true,
    status: () => statusView(core, []),
  })
  nodes.set(name, { node, server })
}

beforeEach(async () => {
  clock = new StillClock(at)
  hub1 = new RelayDouble("hub1", world, () => clock.seconds())
  nodes = new Map()
  for (const name of ["FR", "HQ", "JP"]) await serve(name)
})
afterEach(async () => {
  for (const { server } of nodes.values()) await server.close()
})

type Answer = { readonly status: number; readonly body: Readonly<Record<string, never>> }

function part(name: string) {
  const found = nodes.get(name)
  if (found === undefined) throw new Error(name)
  return found
}

async function call(
  name: string,
  token: string,
  method: "GET" | "POST" | "DELETE",
  url: string,
  payload?: object,
): Promise<Answer> {
  const { statusCode, body } = await part(name).server.inject({
    method,
    url,
    headers: token === "" ? {} : { authorization: `Bearer ${token}` },
    ...(payload === undefined ? {} : { payload }),
  })
  return { status: statusCode, body: body === "" ? {} : JSON.parse(body) }
}

async function signIn(name: string, officer = "duty"): Promise<string> {
  const secret = toBase64(world.member(name).dataKey)
  const { body } = await call(name, "", "POST", "/v1/sessions", { officer, secret })
  return String(body["token"])
}

async function send(name: string, message: object): Promise<Answer> {
  const sending = call(name, await signIn(name), "POST", "/v1/messages", message)
  await settle()
  clock.move(1)
  return await sending
}

function listOf(found: unknown): readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(found) ? found : []
}

const refusal = (status: number, code: string) => ({
  status,
  body: { error: expect.objectContaining({ code }) },
})

describe("default deny", () => {
  test("nothing but health, version, metrics and the interface's description is open", async () => {
    for (const path of ["/livez", "/readyz", "/version", "/v1/openapi.json"])
      expect((await call("FR", "", "GET", path)).status).toBe(200)
    expect((await part("FR").server.inject("/metrics")).body).toContain("chappe_node_links 1")
    const paths = ["/v1/inbox", "/v1/outbox", "/v1/status", "/v1/roster", "/v1/journal", "/nowhere"]
    for (const path of paths)
      expect(await call("FR", "", "GET", path)).toEqual(refusal(401, "unauthenticated"))
    expect(await call("FR", "f".repeat(64), "GET", "/v1/inbox")).toEqual(
      refusal(401, "unauthenticated"),
    )
    expect(await call("FR", "", "POST", "/v1/messages", {})).toEqual(
      refusal(401, "unauthenticated"),
    )
  })

  test("each role may do its own and nothing else, and a refusal names what is missing", async () => {
    const operator = await signIn("FR", "operator")
    expect((await call("FR", operator, "GET", "/v1/status")).status).toBe(200)
    const refused = await call("FR", operator, "GET", "/v1/inbox")
    expect(refused).toEqual(refusal(403, "capability"))
    expect(JSON.stringify(refused.body)).toContain("read/case")
    const duty = await signIn("FR")
    expect(await call("FR", duty, "GET", "/v1/status")).toEqual(refusal(403, "capability"))
    expect(await call("FR", duty, "GET", "/v1/journal")).toEqual(refusal(403, "capability"))
    const auditor = await signIn("FR", "auditor")
    expect((await call("FR", auditor, "GET", "/v1/journal/verify")).body).toMatchObject({
      ok: true,
    })
    expect(await call("FR", auditor, "POST", "/v1/messages", { subject: "x", to: ["JP"] })).toEqual(
      refusal(403, "capability"),
    )
  })

  test("a session ends when it is closed", async () => {
    const token = await signIn("FR")
    expect((await call("FR", token, "DELETE", "/v1/sessions/current")).status).toBe(204)
    expect(await call("FR", token, "GET", "/v1/inbox")).toEqual(refusal(401, "unauthenticated"))
  })
})

test("on loopback a foreign name is refused, whoever asks; addresses and localhost are its own", async () => {
  const { server } = part("JP")
  const port = await server.listen({ host: "127.0.0.1", port: 0 })
  const over = async (host: string): Promise<number> =>
    await new Promise((resolve, reject) => {
      request(`${port}/livez`, { headers: { host } }, (answer) => {
        answer.resume()
        resolve(answer.statusCode ?? 0)
      })
        .on("error", reject)
        .end()
    })
  expect(await over("evil.example:80")).toBe(403)
  expect(await over("127.0.0.1.evil.example")).toBe(403)
  for (const host of ["localhost:7440", "fr.localhost", "127.0.0.1:7440", "[::1]:7440"])
    expect(await over(host)).toBe(200)
})

test("whoever is refused in the middle of an upload reads why", async () => {
  const { server } = part("FR")
  const address = await server.listen({ host: "127.0.0.1", port: 0 })
  const token = await signIn("FR")
  const query = `name=a&mediaType=image/png&size=10&sha256=${"0".repeat(64)}`
  let connection: Socket | undefined
  server.server.once("connection", (socket) => (connection = socket))
  let pieces = 0
  // It never ends by itself: only the answer can end it.
  const body = new Readable({
    read() {
      pieces += 1
      this.push(Buffer.alloc(65_536))
    },
  })
  const answer = await sendRequest({
    method: "POST",
    url: `${address}/v1/attachments?${query}`,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/octet-stream" },
    body,
    timeoutMs: 0,
  })
  expect(connection?.destroyed, "what is sent still must not reset the connection").toBe(false)
  expect(answer.status).toBe(400)
  expect(new TextDecoder().decode(await readAnswer(answer, 1_000))).toContain("usage")
  expect(body.destroyed).toBe(true)
  expect(pieces).toBeGreaterThan(1)
})

describe("forms", () => {
  const cases: readonly (readonly [string, object, string])[] = [
    ["an unknown field", { subject: "x", to: ["JP"], colour: "red" }, "usage"],
    ["no subject", { to: ["JP"] }, "usage"],
    ["a recipient that is no name", { subject: "x", to: ["../JP"] }, "usage"],
    ["nobody", { subject: "x", to: [] }, "usage"],
    ["oneself only", { subject: "x", to: ["FR"] }, "usage"],
    ["a stranger", { subject: "x", to: ["XX"] }, "unknown-recipient"],
    ["a life that is too long", { subject: "x", to: ["JP"], expiresSeconds: 9_999_999 }, "usage"],
    ["a fraction in the form", { subject: "x", to: ["JP"], form: { a: 1.5 } }, "document"],
    [
      "an attachment that is not there",
      { subject: "x", to: ["JP"], attachments: ["0".repeat(32)] },
      "not-found",
    ],
    ["a subject of 151 characters", { subject: "x".repeat(151), to: ["JP"] }, "document"],
  ]
  test.each(cases)("%s is refused", async (_, message, code) => {
    const token = await signIn("FR")
    const { body } = await call("FR", token, "POST", "/v1/messages", message)
    expect(body).toEqual({ error: expect.objectContaining({ code }) })
    expect(hub1.mail).toEqual([])
  })

  test("ids that are none, and unknown ones", async () => {
    const token = await signIn("FR")
    expect(await call("FR", token, "GET", "/v1/messages/..%2Fx")).toEqual(refusal(400, "usage"))
    expect(await call("FR", token, "GET", `/v1/messages/${"0".repeat(32)}`)).toEqual(
      refusal(404, "not-found"),
    )
  })
})

describe("mail", () => {
  test("has the contract's fields, on both sides", async () => {
    const { body } = await send("FR", {
      to: ["JP"],
      subject: "Véhicule مركبة",
      text: "Bonjour",
      form: { plate: "AB-123", year: 2_019 },
      precedence: "immediate",
      ourRef: "FR-12",
    })
    expect(body).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{32}$/u),
      state: "custody",
      recipients: ["JP"],
    })
    await hub1.deliver()
    const token = await signIn("JP")
    const { messages } = (await call("JP", token, "GET", "/v1/inbox?unread=true")).body as never
    expect(messages).toEqual([
      {
        id: body["id"],
        from: "FR",
        type: "message",
        subject: "Véhicule مركبة",
        precedence: "immediate",
        created: at,
        received: expect.any(Number),
        channel: { incarnation: 1, seq: 1, prev: "00".repeat(32) },
        attachments: [],
        state: "new",
        warnings: [],
      },
    ])
    const shown = await call("JP", token, "GET", `/v1/messages/${body["id"]}`)
    expect(shown.body).toMatchObject({
      state: "opened",
      text: "Bonjour",
      document: { plate: "AB-123", year: 2_019 },
      officer: "FR/duty",
      label: { classification: "OFFICIAL", handling: "H0" },
      ourRef: "FR-12",
      warnings: [],
    })
    expect((await call("JP", token, "GET", "/v1/inbox?unread=true")).body).toEqual({
      messages: [],
      missing: [],
    })
    expect((await call("JP", token, "GET", `/v1/inbox?since=${body["id"]}`)).body).toEqual({
      messages: [],
      missing: [],
    })
  })

  test("an attachment is streamed in and out, and only its own officer may send it", async () => {
    const photo = Uint8Array.from({ length: 300_000 }, (_, i) => i % 253)
    const token = await signIn("FR")
    const query = `name=..%2Fphoto.png&mediaType=image/png&size=${photo.length}&sha256=${toHex(sha256(photo))}`
    const upload = async (payload: Uint8Array) =>
      await part("FR").server.inject({
        method: "POST",
        url: `/v1/attachments?${query}`,
        headers: { authorization: `Bearer ${token}`, "content-type": "application/octet-stream" },
        payload: Buffer.from(payload),
      })
    expect((await upload(photo.slice(1))).json()).toMatchObject({ error: { code: "usage" } })
    const { attachment } = (await upload(photo)).json<{ attachment: string }>()
    const { body } = await send("FR", { to: ["JP"], subject: "Photo", attachments: [attachment] })
    await hub1.deliver()
    const reader = await signIn("JP")
    const got = await part("JP").server.inject({
      url: `/v1/messages/${body["id"]}/attachments/0`,
      headers: { authorization: `Bearer ${reader}` },
    })
    expect(Uint8Array.from(got.rawPayload)).toEqual(photo)
    expect(got.headers).toMatchObject({
      "content-type": "application/octet-stream",
      "x-content-type-options": "nosniff",
      "content-disposition": "attachment",
    })
    expect(await call("JP", reader, "GET", `/v1/messages/${body["id"]}/attachments/1`)).toEqual(
      refusal(404, "not-found"),
    )
  })

  test("whatever is no file is refused before it comes, where files of any size may come", async () => {
    const query = `name=a&mediaType=b/c&size=1&sha256=${"00".repeat(32)}`
    const token = await signIn("FR")
    const url = await part("FR").server.listen({ host: "127.0.0.1", port: 0 })
    const asked = request(`${url}/v1/attachments?${query}`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${token}`,
        "content-type": "application/json",
        "content-length": "1000000000",
      },
    })
    asked.on("error", () => undefined)
    asked.flushHeaders()
    const [{ statusCode }] = (await once(asked, "response")) as [IncomingMessage]
    asked.destroy()
    expect(statusCode).toBe(400)
  })

  test("a notice goes to the desk, which publishes it to all but the excluded", async () => {
    await serve("BR")
    const { body } = await send("FR", {
      type: "notice",
      to: ["BR"],
      subject: "Missing child",
      text: "Last seen in Lyon.",
      form: { colour: "yellow" },
    })
    expect(body["recipients"]).toEqual(["HQ"])
    await hub1.deliver()
    const desk = await signIn("HQ")
    const publishing = call("HQ", desk, "POST", `/v1/messages/${body["id"]}/publish`, {
      exclude: ["BR"],
    })
    await settle()
    clock.move(1)
    const published = (await publishing).body
    expect(published["recipients"]).toEqual(["FR", "JP"])
    await hub1.deliver()
    const token = await signIn("JP")
    const shown = await call("JP", token, "GET", `/v1/messages/${published["id"]}`)
    expect(shown.body).toMatchObject({
      from: "HQ",
      type: "publication",
      text: "Last seen in Lyon.",
      document: { colour: "yellow" },
      quoted: { from: "FR", id: body["id"], officer: "FR/duty", colour: "yellow" },
      warnings: [],
    })
    const other = await send("FR", { type: "message", to: ["HQ"], subject: "No notice" })
    await hub1.deliver()
    expect(await call("HQ", desk, "POST", `/v1/messages/${other.body["id"]}/publish`, {})).toEqual(
      refusal(409, "not-ready"),
    )
  })

  test("publishing and answering again with the same key is done once", async () => {
    await serve("BR")
    const notice = { type: "notice", to: ["HQ"], subject: "Child", form: { colour: "yellow" } }
    const { body } = await send("BR", notice)
    await hub1.deliver()
    const desk = await signIn("HQ")
    const act = async (verb: string, request: object) => {
      const acting = call("HQ", desk, "POST", `/v1/messages/${body["id"]}/${verb}`, request)
      await settle()
      clock.move(1)
      return await acting
    }
    const publication = { exclude: ["JP"], idempotencyKey: "pub-1" }
    const first = await act("publish", publication)
    expect(first.status).toBe(200)
    expect((await act("publish", publication)).body["id"]).toBe(first.body["id"])
    expect(await act("publish", { ...publication, exclude: [] })).toEqual(
      refusal(409, "idempotency-key"),
    )
    const answer = { text: "Received.", idempotencyKey: "answer-1" }
    const replied = await act("reply", answer)
    expect((await act("reply", answer)).body["id"]).toBe(replied.body["id"])
    expect(await act("reply", { ...answer, text: "Other." })).toEqual(
      refusal(409, "idempotency-key"),
    )
    await hub1.deliver()
    expect(await part("BR").node.subjects()).toEqual(["Child", "Re: Child"])
  })

  test("the desk reads which deadlines were missed", async () => {
    const id = new Uint8Array(16)
    const times = { created: at, deadline: at + 60, expires: at + 600 }
    const { core } = part("HQ").node
    const report = {
      name: "missed",
      id,
      messageId: null,
      recipient: "JP",
      lane: 3,
      ...times,
    } as const
    await core.escalations.take("FR", { ...report, relays: ["hub1"], outcome: null })
    const desk = await signIn("HQ")
    const { body } = await call("HQ", desk, "GET", "/v1/escalations")
    expect(body["escalations"]).toEqual([
      {
        from: "FR",
        recipient: "JP",
        id: "00".repeat(16),
        messageId: null,
        precedence: "flash",
        ...times,
        relays: ["hub1"],
        heard: clock.seconds(),
        outcome: null,
      },
    ])
  })

  test("a diffusion always goes to the desk too", async () => {
    const { body } = await send("FR", { type: "diffusion", to: ["JP"], subject: "Wanted vehicle" })
    expect(body["recipients"]).toEqual(["HQ", "JP"])
    await hub1.deliver()
    expect(await part("HQ").node.subjects()).toEqual(["Wanted vehicle"])
  })

  test("is traced and proved, with its content only when that is asked for", async () => {
    const { body } = await send("FR", { to: ["JP"], subject: "Evidence", text: "CANARY" })
    await hub1.deliver()
    await settle()
    await hub1.passEvidence()
    const token = await signIn("FR")
    const trace = await call("FR", token, "GET", `/v1/messages/${body["id"]}/trace`)
    expect(trace.body["steps"]).toEqual([
      expect.objectContaining({
        step: "submitted",
        by: "FR",
        log: expect.objectContaining({ index: 0 }),
      }),
      expect.objectContaining({ step: "custody", by: "hub1" }),
      expect.objectContaining({ step: "delivered", by: "JP", recipient: "JP" }),
    ])
    const exported = async (query: string) =>
      (
        await part("FR").server.inject({
          url: `/v1/messages/${body["id"]}/evidence${query}`,
          headers: { authorization: `Bearer ${token}` },
        })
      ).body
    expect(parseEvidenceFile(await exported("")).disclosure).toBeUndefined()
    const file = parseEvidenceFile(await exported("?disclose=true"))
    expect(file.receipts).toHaveLength(1)
    expect(new TextDecoder().decode(file.disclosure?.content)).toContain("CANARY")
  })

  test("taken in charge and refused: no way back, and a reason is a code", async () => {
    const { body } = await send("FR", { to: ["JP"], subject: "Case" })
    await hub1.deliver()
    const token = await signIn("JP")
    const url = `/v1/messages/${body["id"]}`
    expect((await call("JP", token, "POST", `${url}/take`, {})).body).toMatchObject({
      state: "in-charge",
    })
    expect(await call("JP", token, "POST", `${url}/refuse`, { reason: "No!" })).toEqual(
      refusal(400, "usage"),
    )
    expect(
      (await call("JP", token, "POST", `${url}/refuse`, { reason: "not_competent" })).body,
    ).toMatchObject({
      state: "refused",
    })
    expect(await call("JP", token, "POST", `${url}/take`, {})).toEqual(refusal(409, "not-ready"))
  })

  test("comes line by line to who follows, from the past into the future", async () => {
    const first = await send("FR", { to: ["JP"], subject: "one" })
    await hub1.deliver()
    const token = await signIn("JP")
    const address = await part("JP").server.listen({ host: "127.0.0.1", port: 0 })
    const end = new AbortController()
    const response = await fetch(`${address}/v1/inbox/stream`, {
      headers: { authorization: `Bearer ${token}` },
      signal: end.signal,
    })
    const reader = response.body?.getReader()
    const next = async (): Promise<string> =>
      new TextDecoder().decode((await reader?.read())?.value)
    expect(JSON.parse(await next())).toMatchObject({ id: first.body["id"], subject: "one" })
    await send("FR", { to: ["JP"], subject: "two" })
    await hub1.deliver()
    expect(JSON.parse(await next())).toMatchObject({ subject: "two" })
    end.abort()
  })

  test("ends for who follows once the officer's key has ended", async () => {
    const { node, server } = part("JP")
    await send("FR", { to: ["JP"], subject: "one" })
    await hub1.deliver()
    const token = await signIn("JP")
    const address = await server.listen({ host: "127.0.0.1", port: 0 })
    const response = await fetch(`${address}/v1/inbox/stream`, {
      headers: { authorization: `Bearer ${token}` },
    })
    await part("FR").node.send({ subject: "not for a revoked officer" })
    await settle()
    vi.spyOn(node.core.directory, "isRevokedAnywhere").mockReturnValue(true)
    await hub1.deliver()
    expect(await node.subjects()).toEqual(["one", "not for a revoked officer"])
    await expect(response.text()).rejects.toThrow("terminated")
  })
})

describe("what officers do", () => {
  test("is in the journal before it is answered, with officer, subject and purpose", async () => {
    const { body } = await send("FR", { to: ["JP"], subject: "Case" })
    await hub1.deliver()
    const token = await signIn("JP")
    await part("JP").server.inject({
      url: `/v1/messages/${body["id"]}`,
      headers: { authorization: `Bearer ${token}`, "chappe-purpose": "case 12" },
    })
    const auditor = await signIn("JP", "auditor")
    const { entries } = (await call("JP", auditor, "GET", "/v1/journal")).body as never
    expect(entries).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ officer: "JP/duty", action: "sign-in" }),
        expect.objectContaining({
          officer: "JP/duty",
          action: "read",
          subject: body["id"],
          purpose: "case 12",
        }),
      ]),
    )
    expect(JSON.stringify(entries)).not.toContain('Case"')
  })

  test("a supervisor enrols and revokes officers, within its own capabilities", async () => {
    const key = seededKey("officer", "FR/new")
    const enrolment = {
      officer: "new",
      key: toHex(key.publicKey),
      possession: toHex(possessionOf("FR", key)),
      roles: ["officer"],
    }
    const token = await signIn("FR", "supervisor")
    const asDuty = await call("FR", await signIn("FR"), "POST", "/v1/officers", enrolment)
    expect(asDuty).toEqual(refusal(403, "capability"))
    const excess = await call("FR", token, "POST", "/v1/officers", {
      ...enrolment,
      roles: ["operator"],
    })
    expect(excess).toEqual(refusal(403, "capability"))
    expect((await call("FR", token, "POST", "/v1/officers", enrolment)).status).toBe(200)
    const list = async () =>
      listOf((await call("FR", token, "GET", "/v1/officers")).body["officers"]).find(
        (one) => one["officer"] === "FR/new",
      )
    expect(await list()).toMatchObject({ roles: ["officer"], valid: true, revoked: false })
    expect((await call("FR", token, "POST", "/v1/officers/new/revoke", undefined)).status).toBe(200)
    expect(await list()).toMatchObject({ valid: false, revoked: true })
    expect(hub1.statements.length).toBeGreaterThanOrEqual(world.statements.length + 2)
  })
})

test("the limits of the server are those that were asked for: an option that is ignored is silent", () => {
  const { server } = part("FR").server
  expect(server).toMatchObject({
    headersTimeout: nodeLimits.httpHeadersMs,
    requestTimeout: nodeLimits.httpUploadMs,
    keepAliveTimeout: nodeLimits.httpKeepAliveMs,
    maxConnections: nodeLimits.httpConnectionsMax,
  })
})

test("the interface describes itself", async () => {
  const { body } = await call("FR", "", "GET", "/v1/openapi.json")
  const paths = Object.keys(body["paths"] ?? {})
  expect(paths).toContain("/v1/messages/{id}/attachments/{index}")
  expect(paths).toContain("/v1/inbox/stream")
})

test("nothing of a message's words is in the node's records, nor in its log lines", async () => {
  const canary = "CANARYxyz"
  await send("FR", { to: ["JP"], subject: canary, text: canary, form: { [canary]: canary } })
  await hub1.deliver()
  const token = await signIn("JP")
  await call("JP", token, "GET", "/v1/inbox")
  const wanted = utf8(canary)
  const holds = (bytes: Uint8Array): boolean => Buffer.from(bytes).includes(Buffer.from(wanted))
  expect(holds(utf8(`before ${canary} after`))).toBe(true)
  for (const name of ["FR", "JP"]) {
    const { node } = part(name)
    const values = [...node.records].flatMap(([key, value]) => [utf8(key), value])
    expect(values.filter(holds)).toEqual([])
    expect(node.lines.filter((line) => line.includes(canary))).toEqual([])
  }
})
