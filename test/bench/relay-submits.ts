// How many submits a relay takes, and how long a single one needs: node and relay in one process, real
// sockets, a real disk. Run: npx tsc -b && node dist/test/bench/relay-submits.js [messages]

import { Stage } from "../kit/running-relays.ts"

const messages = Number(process.argv[2] ?? 1_000)
const stage = new Stage()
const world = await stage.world(["hub1"])
const relay = await stage.start("hub1")
const fr = await stage.node(world, "FR", relay)
const sealed = Array.from({ length: messages }, () => fr.seal("hub1", { to: ["JP"] }))
const cpuBefore = process.cpuUsage()
const began = performance.now()
const waits: number[] = []
let next = 0
const worker = async (): Promise<void> => {
  for (let i = next++; i < sealed.length; i = next++) {
    const submission = sealed[i]
    if (submission === undefined) return
    const from = performance.now()
    await fr.submit("hub1", submission)
    waits.push(performance.now() - from)
  }
}
await Promise.all(Array.from({ length: 128 }, worker))
const seconds = (performance.now() - began) / 1_000
const cpu = process.cpuUsage(cpuBefore)
const sorted = waits.toSorted((a, b) => a - b)
console.log(
  JSON.stringify({
    messages,
    perSecond: Math.round(messages / seconds),
    p50Ms: Math.round(sorted[Math.floor(messages / 2)] ?? 0),
    p95Ms: Math.round(sorted[Math.floor(messages * 0.95)] ?? 0),
    cpuMsPerMessage: Math.round(((cpu.user + cpu.system) / 1_000 / messages) * 100) / 100,
    rssMiB: Math.round(process.memoryUsage().rss / 2 ** 20),
  }),
)
await stage.end()
