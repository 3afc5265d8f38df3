// How quickly the auditor reads: entries a second, by the fast verifier and by points.
// node --run: npx tsc -b && node dist/test/bench/audit.js [entries]

import { verifiers } from "../../audit/double-check.ts"
import { type AuditReport, auditRelay } from "../../audit/relay-audit.ts"
import { AuditedRelay } from "../kit/audited-relay.ts"
import { World } from "../kit/world.ts"

const entries = Number(process.argv[2] ?? "100000")
const runs = 3

/** `batch` entries under one signature, as a busy node signs them; receipts in between. */
function relayOf(count: number, batch: number): AuditedRelay {
  const relay = new AuditedRelay(new World({ at: 1_800_000_000 }))
  const time = relay.time
  while (relay.traffic.size < count) {
    // Many entries share a second, or a year of keys would not last.
    relay.sign(Array.from({ length: batch }, () => ({ name: "FR", time })))
    relay.sign([{ name: "JP", kind: "receipts", time }])
  }
  relay.publish()
  return relay
}

async function audit(relay: AuditedRelay, sample: number): Promise<AuditReport> {
  return auditRelay({
    sourceOf: relay.sourceOf,
    relay: undefined,
    anchor: relay.world.anchor,
    since: new Map(),
    sample,
    liveAt: undefined,
    handedIn: [],
    verifiers,
    onFinding: (finding) => console.log(finding),
    onProgress: () => undefined,
    onLog: () => undefined,
  })
}

async function measure(
  name: string,
  relay: AuditedRelay,
  sample: number,
  times = runs,
): Promise<void> {
  const seconds: number[] = []
  let sampled = 0
  for (let i = 0; i < times; i++) {
    const start = performance.now()
    const report = await audit(relay, sample)
    seconds.push((performance.now() - start) / 1_000)
    sampled = report.logs[1]?.sampled ?? 0
    if (report.verdict !== "ok") throw new Error(report.verdict)
  }
  const median = seconds.toSorted((a, b) => a - b)[Math.floor(seconds.length / 2)] ?? Number.NaN
  const rate = Math.round(relay.traffic.size / median)
  console.log(
    `${name.padEnd(52)}${median.toFixed(2).padStart(8)} s${String(rate).padStart(9)} entries/s, ${sampled} by points`,
  )
}

console.log(`${entries} entries, median of ${runs}`)
const single = relayOf(entries, 1)
await measure("each signed alone, no sample", single, 0)
await measure("each signed alone, 4 of 256 twice (default)", single, 4)
const batched = relayOf(entries, 32)
await measure("32 under one signature, 4 of 256 twice (default)", batched, 4)
const few = relayOf(Math.min(entries, 5_000), 1)
await measure(`${few.traffic.size} entries, every signature twice`, few, 256, 1)
