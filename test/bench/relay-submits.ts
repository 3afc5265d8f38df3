// How many submits a relay takes, how much of its processor each costs, and how long one needs. The relay is a
// process of its own on a real disk; this one plays a member's node, which has sealed everything before the
// clock starts. Run: npx tsc -b && node dist/test/bench/relay-submits.js [messages] [rounds] [work]

import { RelayProcess } from "../kit/relay-process.ts"
import { Stage } from "../kit/running-relays.ts"
import type { Submission, TestNode } from "../kit/test-node.ts"

const messages = Number(process.argv[2] ?? 4_000)
const rounds = Number(process.argv[3] ?? 3)
const document = "x".repeat(900)
const only = process.argv[4]
const works = [
  { name: "a signature each", batch: 1, inFlight: 64 },
  { name: "batches of 64", batch: 64, inFlight: 64 },
  { name: "one in flight", batch: 1, inFlight: 1 },
].filter(({ name }) => only === undefined || name === only)

type Round = { readonly perSecond: number; readonly cpuUs: number; readonly p50: number }

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}

function sealed(node: TestNode, count: number, batch: number): readonly Submission[] {
  const all: Submission[] = []
  while (all.length < count) {
    const size = Math.min(batch, count - all.length)
    all.push(
      ...node.sealAll(
        "hub1",
        Array.from({ length: size }, () => ({ to: ["JP"], document })),
      ),
    )
  }
  return all
}

async function submitted(
  relay: RelayProcess,
  node: TestNode,
  all: readonly Submission[],
  inFlight: number,
): Promise<Round> {
  const waits: number[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    for (let one = all[next++]; one !== undefined; one = all[next++]) {
      const from = performance.now()
      await node.submit("hub1", one)
      waits.push(performance.now() - from)
    }
  }
  const cpuBefore = await relay.cpuMs()
  const began = performance.now()
  await Promise.all(Array.from({ length: inFlight }, worker))
  const seconds = (performance.now() - began) / 1_000
  const cpuMs = (await relay.cpuMs()) - cpuBefore
  return {
    perSecond: all.length / seconds,
    cpuUs: (1_000 * cpuMs) / all.length,
    p50: median(waits),
  }
}

const stage = new Stage()
const world = await stage.world(["hub1"])
const place = stage.place("hub1")
const relay = await RelayProcess.start(place.dir, process.env["RELAY_FLAGS"]?.split(" "))
const node = await stage.node(world, "FR")
await node.connect("hub1", place.links)
try {
  await submitted(relay, node, sealed(node, 500, 64), 128) // the compiler warms up
  const found = new Map<string, Round[]>(works.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round++)
    for (const { name, batch, inFlight } of works) {
      const all = sealed(node, inFlight === 1 ? messages / 10 : messages, batch)
      found.get(name)?.push(await submitted(relay, node, all, inFlight))
    }
  for (const [work, all] of found)
    console.log(
      JSON.stringify({
        work,
        perSecond: Math.round(median(all.map(({ perSecond }) => perSecond))),
        relayCpuUs: Math.round(median(all.map(({ cpuUs }) => cpuUs))),
        p50Ms: Number(median(all.map(({ p50 }) => p50)).toFixed(2)),
        rounds: all.length,
        messages: all.length * messages,
      }),
    )
  const { nowMiB, highestMiB } = await relay.memory()
  console.log(JSON.stringify({ rssMiB: Math.round(nowMiB), highestMiB: Math.round(highestMiB) }))
} finally {
  await relay.stop()
  await stage.end()
}
