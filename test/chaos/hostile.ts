// Connections that are made to hurt: the relay ends every one of them, takes little memory for them, and goes on
// serving the honest. RELIABILITY's attacks on every listener, several at once.

import { setTimeout as pause } from "node:timers/promises"
import type { Socket } from "node:net"
import { linkLanes } from "../../protocol/frames.ts"
import { limits } from "../../protocol/limits.ts"
import { Crowd, crowdRelay, median, quantile } from "../kit/crowd.ts"
import { closedWithin, frameHead, tcpTo, tlsTo, upgraded } from "../kit/raw-link.ts"
import { type Chaos, availableEverywhere } from "./chaos.ts"

const MiB = 2 ** 20
const memoryMiB = 64
const honestRatio = 2
const roundMs = 1_500
const messagesPerRound = 200
const warmMessages = 8_192
const warmAtOnce = 64
/** Longer than any time-out that must end them, on a machine that is busy. */
const patienceMs = 20_000
const sampleMs = 100

type Attack = {
  readonly name: string
  /** Resolves with how many connections were made, and how many of them the relay left standing. */
  readonly run: (target: Target) => Promise<Score>
}
type Score = { readonly made: number; readonly standing: number }
type Target = {
  readonly crowd: Crowd
  readonly links: number
  readonly https: number
  /** An address for an attacker, another one each time. */
  readonly address: () => string
  readonly member: () => string
}

async function scored(sockets: readonly (Socket | undefined)[]): Promise<Score> {
  const made = sockets.filter((socket) => socket !== undefined)
  // An end that is not read is not seen.
  for (const socket of made) socket.resume()
  const closed = await Promise.all(made.map(async (socket) => closedWithin(socket, patienceMs)))
  for (const socket of made) socket.destroy()
  return { made: made.length, standing: closed.filter((ms) => ms === undefined).length }
}

async function times<T>(count: number, make: (i: number) => Promise<T>): Promise<readonly T[]> {
  return Promise.all(Array.from({ length: count }, async (_, i) => make(i)))
}

function nothing(): void {
  // Until somebody waits.
}

/** Writes until the other side has had enough; never faster than it is taken. */
async function pour(socket: Socket, pieces: Iterable<Uint8Array>): Promise<void> {
  let isOver = false
  let goOn = nothing
  socket.on("drain", () => goOn())
  socket.on("close", () => {
    isOver = true
    goOn()
  })
  for (const piece of pieces) {
    if (isOver) return
    if (!socket.write(piece)) await new Promise<void>((resolve) => (goOn = resolve))
  }
}

async function asMember({ crowd, links, address, member }: Target): Promise<Socket | undefined> {
  const socket = await tlsTo(links, address(), { world: crowd.world, name: member() })
  return socket === undefined ? undefined : upgraded(socket)
}

const attacks: readonly Attack[] = [
  {
    name: "silent TCP",
    run: async ({ links, https, address }) =>
      scored(Array.from({ length: 80 }, (_, i) => tcpTo(i % 2 === 0 ? links : https, address()))),
  },
  {
    name: "slowloris",
    run: async (target) => {
      const { crowd, links, https, address, member } = target
      const sockets = await times(40, async (i) =>
        i % 2 === 0
          ? tlsTo(https, address())
          : tlsTo(links, address(), { world: crowd.world, name: member() }),
      )
      for (const socket of sockets) {
        socket?.write("GET / HTTP/1.1\r\nX-A: ")
        const drip = setInterval(() => socket?.write("a"), 250)
        socket?.once("close", () => clearInterval(drip))
      }
      return scored(sockets)
    },
  },
  {
    name: "slow body",
    run: async ({ https, address }) => {
      const sockets = await times(20, async () => tlsTo(https, address()))
      for (const socket of sockets) {
        socket?.write(
          "POST /statements HTTP/1.1\r\nHost: r\r\nContent-Type: application/octet-stream\r\nContent-Length: 60000\r\n\r\n",
        )
        const drip = setInterval(() => socket?.write("a"), 250)
        socket?.once("close", () => clearInterval(drip))
      }
      return scored(sockets)
    },
  },
  {
    name: "unfinished 99 MiB",
    run: async (target) => {
      const sockets = await times(20, async () => asMember(target))
      const piece = new Uint8Array(MiB)
      await Promise.all(
        sockets.map(async (socket) => {
          socket?.write(frameHead({ isFinal: true, opcode: 2, length: 99 * MiB }))
          if (socket !== undefined)
            await pour(
              socket,
              Array.from({ length: 20 }, () => piece),
            )
        }),
      )
      return scored(sockets)
    },
  },
  {
    name: "one-byte fragments",
    run: async (target) => {
      const sockets = await times(10, async () => asMember(target))
      const fragment = new Uint8Array(7)
      fragment.set(frameHead({ isFinal: false, opcode: 0, length: 1 }))
      const many = new Uint8Array(7 * 1_000)
      for (let i = 0; i < 1_000; i++) many.set(fragment, 7 * i)
      await Promise.all(
        sockets.map(async (socket) => {
          socket?.write(frameHead({ isFinal: false, opcode: 2, length: 1 }))
          socket?.write(Uint8Array.of(0))
          if (socket !== undefined)
            await pour(
              socket,
              Array.from({ length: 100 }, () => many),
            )
        }),
      )
      return scored(sockets)
    },
  },
  {
    name: "2,000 headers",
    run: async (target) => {
      const { crowd, links, https, address, member } = target
      const sockets = await times(20, async (i) =>
        i % 2 === 0
          ? tlsTo(https, address())
          : tlsTo(links, address(), { world: crowd.world, name: member() }),
      )
      const headers = Array.from({ length: 2_000 }, (_, i) => `X-${i}: y\r\n`).join("")
      for (const socket of sockets) socket?.write(`GET / HTTP/1.1\r\nHost: r\r\n${headers}\r\n`)
      return scored(sockets)
    },
  },
  {
    name: "connects and waits",
    run: async (target) => scored(await times(16, async () => asMember(target))),
  },
]

/** Connects and vanishes, some at once. */
async function vanish({ links, https, address }: Target, count: number): Promise<void> {
  let left = count
  await times(20, async (lane) => {
    while (left-- > 0) {
      const socket = await tlsTo(lane % 2 === 0 ? links : https, address())
      socket?.destroy()
    }
  })
}

/** The median over rounds of how long all but a twentieth of a round's answers took at most. */
function p95(rounds: readonly (readonly number[])[]): number {
  return median(rounds.map((round) => quantile(round, 0.95)))
}

/** One honest member sends one message after the other; how long each took. */
async function honest(crowd: Crowd, ms: number): Promise<readonly number[]> {
  const [node] = crowd.members
  if (node === undefined) throw new Error("no members")
  const answersMs: number[] = []
  const end = performance.now() + ms
  while (performance.now() < end) {
    const next = crowd.next(node)
    if (next === undefined) break
    const began = performance.now()
    await node.submit(crowdRelay, next)
    answersMs.push(performance.now() - began)
  }
  return answersMs
}

export const hostile: Chaos = {
  name: "hostile",
  says: "hostile connections of every kind: all ended, relay memory ≤ idle + 64 MiB, honest p99 ≤ 2 × quiet",
  unit: "vanishing connections",
  sizes: { brief: 300, ci: 3_000, long: 60_000 },
  measures: true,
  unavailable: availableEverywhere,
  async run({ count, say }) {
    // The first is honest and the last never reads; the others lend their certificates to attackers.
    const crowd = await Crowd.gather(8)
    const { links, https } = crowd.stage.place(crowdRelay)
    let [addresses, turns] = [0, 0]
    const target: Target = {
      crowd,
      links,
      https,
      address: () => `127.0.1.${1 + (addresses++ % 200)}`,
      member: () => crowd.members[1 + (turns++ % 6)]?.name ?? "",
    }
    try {
      const [first] = crowd.members
      const deaf = crowd.members.at(-1)
      if (first === undefined || deaf === undefined) throw new Error("no members")
      const quiet = async (): Promise<readonly number[]> => {
        await crowd.prepare(first, messagesPerRound)
        return honest(crowd, roundMs)
      }
      let highestMiB = 0
      const sampling = setInterval(() => {
        void crowd.relay.memory().then(({ nowMiB }) => (highestMiB = Math.max(highestMiB, nowMiB)))
      }, sampleMs)
      // What honest work takes: so long that garbage was collected several times.
      await crowd.prepare(first, warmMessages)
      for (let left = warmMessages; left > 0; left -= warmAtOnce)
        await Promise.all(
          Array.from({ length: warmAtOnce }, async () => {
            const next = crowd.next(first)
            if (next !== undefined) await first.submit(crowdRelay, next)
          }),
        )
      const quietMs = [await quiet(), await quiet()]
      const idleMiB = highestMiB
      const attackedMs: (readonly number[])[] = []
      const standing: string[] = []
      let made = 0
      const under = async (name: string, attack: () => Promise<Score>): Promise<void> => {
        await crowd.prepare(first, messagesPerRound)
        const attacking = attack()
        attackedMs.push(await honest(crowd, roundMs))
        const score = await attacking
        made += score.made
        if (score.standing > 0) standing.push(`${name}: ${score.standing}`)
        quietMs.push(await quiet())
        say(
          `${name}: ${score.made} connections, honest p99 ${quantile(attackedMs.at(-1) ?? [], 0.99).toFixed(0)} ms, relay ${highestMiB.toFixed(0)} MiB`,
        )
      }
      try {
        const unheard = deaf.deafen(crowdRelay)
        const { origin } = crowd.world.relay(crowdRelay).directoryLog
        const asked = Array.from({ length: 300 }, async () =>
          deaf
            .link(crowdRelay)
            .request(linkLanes.priority, { name: "directoryGet", origin, from: 0 })
            .catch(() => undefined),
        )
        const deafUntilMs = performance.now() + limits.deadAfterMs + patienceMs / 2
        for (const { name, run } of attacks) await under(name, async () => run(target))
        await under("vanishers", async () => {
          await vanish(target, count)
          return { made: count, standing: 0 }
        })
        await pause(Math.max(sampleMs, deafUntilMs - performance.now()))
        await under("never reads", async () => scored([unheard]))
        await Promise.all(asked)
      } finally {
        clearInterval(sampling)
      }
      // A round has some hundred answers: its p95 is judged, and p99 over all is told.
      const ratio = p95(attackedMs) / p95(quietMs)
      const grownMiB = highestMiB - idleMiB
      return {
        passed:
          crowd.relay.death === undefined &&
          standing.length === 0 &&
          grownMiB <= memoryMiB &&
          ratio <= honestRatio,
        figures: {
          connections: made,
          standing: standing.join(" ") || 0,
          "idle MiB": idleMiB.toFixed(0),
          "highest MiB": highestMiB.toFixed(0),
          "honest p99 quiet ms": quantile(quietMs.flat(), 0.99).toFixed(1),
          "honest p99 attacked ms": quantile(attackedMs.flat(), 0.99).toFixed(1),
          "ratio of p95": ratio.toFixed(2),
          died: crowd.relay.death ?? "no",
        },
      }
    } finally {
      await crowd.end()
    }
  },
}
