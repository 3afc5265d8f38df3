// Malformed frames and requests at every port of processes that run: a relay's links with a member's certificate
// and without one, its HTTPS pages, a node's interface with a session. Nothing may end a process, take memory
// for good, or answer outside the closed table of errors.

import { readFile } from "node:fs/promises"
import { type IncomingMessage, type RequestOptions, request as plainRequest } from "node:http"
import { request as tlsRequest } from "node:https"
import { join } from "node:path"
import { isErrorCode } from "../../protocol/errors.ts"
import { linkLanes } from "../../protocol/frames.ts"
import { encodeLinkMessage } from "../../protocol/link-messages.ts"
import { Refusal } from "../../relay/core/peer-link.ts"
import type { Json } from "../kit/command.ts"
import { Crowd, crowdRelay } from "../kit/crowd.ts"
import { Lab } from "../kit/lab.ts"
import { type Prng, mutate, prng } from "../kit/mutate.ts"
import { processMemory } from "../kit/relay-process.ts"
import { closedWithin, tlsTo, upgraded } from "../kit/raw-link.ts"
import type { Submission, TestNode } from "../kit/test-node.ts"
import { type Chaos, availableEverywhere } from "./chaos.ts"

const memoryMiB = 64
const members = 4
const atOnce = 8
const samplesOfMember = 8
/** Of so many inputs one breaks its link, and the next needs another. */
const linkBreaker = 50
const patienceMs = 20_000

type Tally = { inputs: number; refused: number; cut: number; readonly strange: Set<string> }

/** A word of the error table, or it is remembered as strange. */
function noted(tally: Tally, code: unknown): void {
  tally.refused += 1
  if (typeof code !== "string" || !isErrorCode(code)) tally.strange.add(String(code).slice(0, 80))
}

async function side(count: number, one: () => Promise<void>): Promise<void> {
  let left = count
  const worker = async (): Promise<void> => {
    while (left-- > 0) await one()
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}

// ---- Links

function bent(random: Prng, { request }: Submission): Submission["request"] {
  const bytes = (input: Uint8Array, max: number): Uint8Array => {
    const changed = mutate(random, input)
    return changed.length === 0 || changed.length > max ? input : changed
  }
  switch (random.below(6)) {
    case 0:
      return { ...request, header: bytes(request.header, 24_000) }
    case 1:
      return { ...request, auth: bytes(request.auth, 1_300) }
    case 2:
      return { ...request, leaves: request.leaves.map((leaf) => bytes(leaf, 1_300)) }
    case 3: {
      const { statement } = request
      return { ...request, statement: { ...statement, auth: bytes(statement.auth, 1_300) } }
    }
    case 4:
      return { ...request, statement: { ...request.statement, seq: random.u32() } }
    default: {
      const body = request.body.slice()
      body[random.below(body.length)] = random.below(256)
      return { ...request, body }
    }
  }
}

async function atLink(
  crowd: Crowd,
  node: TestNode,
  samples: readonly Submission[],
  random: Prng,
  tally: Tally,
): Promise<void> {
  const { links } = crowd.stage.place(crowdRelay)
  tally.inputs += 1
  const sample = random.pick(samples)
  if (random.below(linkBreaker) === 0) {
    const whole = encodeLinkMessage({ ...sample.request, request: 1 })
    const broken = mutate(random, whole)
    if (broken.length === 0) return
    const ended = node.ended(crowdRelay)
    node.sendBytes(crowdRelay, broken.slice(0, whole.length))
    // What is a message all the same is answered to nobody who asked: the link stands then.
    await Promise.race([
      ended,
      node
        .link(crowdRelay)
        .request(linkLanes.priority, {
          name: "directoryGet",
          origin: crowd.world.relay(crowdRelay).directoryLog.origin,
          from: 0,
        })
        .catch(() => undefined),
    ])
    if (!node.isLinked(crowdRelay)) {
      tally.cut += 1
      await node.connect(crowdRelay, links)
    }
    return
  }
  try {
    await node.link(crowdRelay).request(linkLanes.priority, bent(random, sample))
  } catch (cause) {
    if (cause instanceof Refusal) noted(tally, cause.code)
    else if (!node.isLinked(crowdRelay)) await node.connect(crowdRelay, links)
  }
}

/** Bytes that are no HELLO, of a member; and bytes of a stranger, which nobody may read. */
async function atListener(crowd: Crowd, random: Prng, tally: Tally): Promise<void> {
  const { links } = crowd.stage.place(crowdRelay)
  tally.inputs += 1
  const isMember = random.below(2) === 0
  const member = isMember ? { world: crowd.world, name: "AD" } : undefined
  const socket = await tlsTo(links, `127.0.2.${1 + random.below(200)}`, member)
  if (socket === undefined) return
  socket.resume()
  const link = isMember ? await upgraded(socket) : socket
  const junk = random.bytes(1 + random.below(125))
  link?.write(isMember ? Uint8Array.of(0x82, 0x80 | junk.length, 0, 0, 0, 0, ...junk) : junk)
  const closed = await closedWithin(socket, patienceMs)
  if (closed === undefined)
    tally.strange.add(`${isMember ? "a member's" : "a stranger's"} link stands`)
  tally.cut += 1
  socket.destroy()
}

// ---- HTTP

type Asked = {
  readonly secure: boolean
  readonly options: RequestOptions
  readonly body: Uint8Array | undefined
}

async function answered({ secure, options, body }: Asked, tally: Tally): Promise<void> {
  tally.inputs += 1
  const take = secure ? tlsRequest : plainRequest
  await new Promise<void>((resolve) => {
    const end = (): void => {
      resolve()
    }
    let asked
    try {
      asked = take(
        { ...options, agent: false, rejectUnauthorized: false },
        (answer: IncomingMessage) => {
          let text = ""
          answer
            .setEncoding("utf8")
            .on("data", (piece: string) => (text = `${text}${piece}`.slice(0, 4_096)))
          answer.on("error", end)
          answer.on("end", () => {
            if ((answer.statusCode ?? 0) >= 400 && options.method !== "HEAD")
              noted(tally, codeIn(text))
            end()
          })
        },
      )
    } catch {
      // Node's client refuses to send it.
      end()
      return
    }
    asked.on("error", () => {
      tally.cut += 1
      end()
    })
    asked.end(body)
  })
}

function codeIn(text: string): unknown {
  try {
    const { error, status } = JSON.parse(text) as {
      readonly error?: Json
      readonly status?: string
    }
    return error?.["code"] ?? status
  } catch {
    return text
  }
}

function wordFrom(random: Prng, words: readonly string[]): string {
  const word = random.pick(words)
  if (random.below(3) > 0) return encodeURIComponent(word)
  return encodeURIComponent(Buffer.from(mutate(random, Buffer.from(word))).toString("latin1"))
}

const relayPages = [
  "livez",
  "readyz",
  "version",
  "metrics",
  "statements",
  "join",
  "directory/checkpoint",
  "directory/tile/0/000",
  "directory/tile/entries/000",
  "traffic/2026/checkpoint",
  "traffic/2026/tile/entries/000",
]

function relayRequest(crowd: Crowd, sample: Uint8Array, random: Prng): Asked {
  const page =
    random.below(3) === 0
      ? random
          .pick(relayPages)
          .split("/")
          .map((part) => wordFrom(random, [part]))
          .join("/")
      : random.pick(relayPages)
  const isPost = random.below(2) === 0
  return {
    secure: true,
    options: {
      host: "127.0.0.1",
      port: crowd.stage.place(crowdRelay).https,
      localAddress: `127.0.3.${1 + random.below(250)}`,
      method: isPost ? "POST" : random.pick(["GET", "HEAD", "PUT", "DELETE", "OPTIONS"]),
      path: `/${page}`,
      headers: {
        "content-type": random.pick([
          "application/octet-stream",
          "application/json",
          "text/plain",
          "a/b; c",
        ]),
        authorization: `Bearer ${random.pick(["0".repeat(64), "x", ""])}`,
      },
    },
    body: isPost ? mutate(random, sample) : undefined,
  }
}

/** A session that is signed out would end the run; a stream has no end of its own. */
const passedBy = ["/v1/sessions", "/v1/inbox/stream"]

type Route = { readonly method: string; readonly path: string }
const words = [
  "0".repeat(32),
  "FR",
  "1",
  "-1",
  "routine",
  "__proto__",
  "constructor",
  "../..",
  "{}",
  "\u0000",
  "9".repeat(20),
]

function nodeRequest(url: URL, token: string, routes: readonly Route[], random: Prng): Asked {
  const { method, path } = random.pick(routes)
  const filled = path.replaceAll(/\{[^}]*\}/gu, () => wordFrom(random, words))
  const query =
    random.below(3) === 0
      ? `?${wordFrom(random, ["limit", "since", "name"])}=${wordFrom(random, words)}`
      : ""
  const document = JSON.stringify({
    type: "message",
    to: ["HQ"],
    subject: "s",
    text: "t",
    precedence: "routine",
    idempotencyKey: String(random.u32()),
    officer: "duty",
    secret: "x",
    [random.pick(words)]: random.pick(words),
  })
  const hasBody = method !== "get" && method !== "delete"
  return {
    secure: false,
    options: {
      host: url.hostname,
      port: url.port,
      method: method.toUpperCase(),
      path: `${filled}${query}`,
      headers: {
        ...(random.below(10) > 0 && { authorization: `Bearer ${token}` }),
        "content-type": random.pick([
          "application/json",
          "application/json",
          "application/json",
          "text/plain",
          "application/octet-stream",
        ]),
      },
    },
    body: hasBody ? mutate(random, Buffer.from(document)) : undefined,
  }
}

async function routesOf(url: URL): Promise<readonly Route[]> {
  const answer = (await (await fetch(new URL("/v1/openapi.json", url))).json()) as {
    readonly paths: Readonly<Record<string, object>>
  }
  return Object.entries(answer.paths).flatMap(([path, methods]) =>
    Object.keys(methods).flatMap((method) => (passedBy.includes(path) ? [] : [{ method, path }])),
  )
}

export const malformed: Chaos = {
  name: "malformed",
  says: "malformed frames and requests at each port: no process ends, memory ≤ idle + 64 MiB, only codes of the table",
  unit: "inputs",
  sizes: { brief: 2_000, ci: 200_000, long: 10_000_000 },
  unavailable: availableEverywhere,
  async run({ count, seed, say }) {
    const random = prng(seed)
    const crowd = await Crowd.gather(members)
    const lab = await Lab.init("--members", "FR", "--relays", "1")
    try {
      await lab.up()
      const { pid } = lab.process("FR")
      const api = JSON.parse(
        await readFile(join(lab.nodeDir("FR"), "run", "api.json"), "utf8"),
      ) as { readonly url: string }
      const url = new URL(api.url)
      const token = await lab.api("FR").token()
      const routes = await routesOf(url)
      const tally: Tally = { inputs: 0, refused: 0, cut: 0, strange: new Set() }
      const samples = new Map<TestNode, readonly Submission[]>()
      for (const node of crowd.members) {
        await crowd.prepare(node, samplesOfMember)
        samples.set(
          node,
          Array.from({ length: samplesOfMember }, () => crowd.next(node)).filter(
            (one) => one !== undefined,
          ),
        )
      }
      const statement = crowd.world.statements[0]?.statement ?? new Uint8Array(64)
      const round = async (inputs: number): Promise<void> => {
        const share = Math.ceil(inputs / 8)
        await Promise.all([
          // One worker a member: a link that breaks is its own to make again.
          ...crowd.members.map(async (node) => {
            for (let i = 0; i < (4 * share) / members; i++)
              await atLink(crowd, node, samples.get(node) ?? [], random, tally)
          }),
          side(Math.ceil(share / 8), async () => atListener(crowd, random, tally)),
          side(2 * share, async () => answered(relayRequest(crowd, statement, random), tally)),
          side(2 * share, async () => answered(nodeRequest(url, token, routes, random), tally)),
        ])
      }
      // What working at all takes is not what an attack takes.
      await round(Math.min(2_000, count / 4))
      const idle = {
        relay: (await crowd.relay.memory()).nowMiB,
        node: (await processMemory(pid)).nowMiB,
      }
      let [relayMiB, nodeMiB] = [0, 0]
      const pieces = 4
      for (let i = 0; i < pieces; i++) {
        await round(count / pieces)
        relayMiB = Math.max(relayMiB, (await crowd.relay.memory()).nowMiB)
        nodeMiB = Math.max(nodeMiB, (await processMemory(pid)).nowMiB)
        say(
          `${tally.inputs} inputs, relay ${relayMiB.toFixed(0)} MiB, node ${nodeMiB.toFixed(0)} MiB`,
        )
      }
      const nodeDied = lab.process("FR").pid !== pid
      const grown = Math.max(relayMiB - idle.relay, nodeMiB - idle.node)
      return {
        passed:
          crowd.relay.death === undefined &&
          !nodeDied &&
          tally.strange.size === 0 &&
          tally.inputs >= count &&
          grown <= memoryMiB,
        figures: {
          inputs: tally.inputs,
          refused: tally.refused,
          cut: tally.cut,
          strange: [...tally.strange].slice(0, 5).join(" | ") || 0,
          "relay MiB": `${idle.relay.toFixed(0)} → ${relayMiB.toFixed(0)}`,
          "node MiB": `${idle.node.toFixed(0)} → ${nodeMiB.toFixed(0)}`,
          died: crowd.relay.death ?? (nodeDied ? "the node" : "no"),
        },
      }
    } finally {
      await crowd.end()
      await lab.end()
    }
  },
}
