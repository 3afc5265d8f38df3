// The long form of the fuzzer: `npm run fuzz -- 1000000 [decoder]`. Every decoder gets so many mutated
// inputs; memory must stay flat. Exits with 1 and the input's hex where a decoder breaks a rule.

import { readFileSync } from "node:fs"
import { decoders } from "../kit/decoders.ts"
import { pelt } from "../kit/fuzz.ts"
import { layoutFiles, seedsOf } from "../kit/vectors.ts"

const inputs = Number(process.argv[2] ?? 1_000_000)
const only = process.argv[3]
const growthMax = 64 * 1024 * 1024
const rounds = 10

const collect = globalThis.gc
if (collect === undefined) throw new Error("start with node --expose-gc")

function heap(): number {
  collect?.()
  return process.memoryUsage().heapUsed
}

const seeds = new Map(
  layoutFiles.flatMap((name) => [...seedsOf(readFileSync(`test/vectors/${name}`, "utf8"))]),
)
let failed = false
for (const decoder of decoders.filter(({ name }) => only === undefined || name === only)) {
  const own = seeds.get(decoder.name) ?? []
  const begin = process.hrtime.bigint()
  const sums = { taken: 0, refused: 0 }
  // The first round warms the caches: what it leaves behind is the level to stay at.
  let level = 0
  for (let round = 0; round < rounds; round++) {
    const { taken, refused } = pelt(decoder, own, Math.ceil(inputs / rounds), round)
    sums.taken += taken
    sums.refused += refused
    if (round === 0) level = heap()
  }
  const growth = heap() - level
  const seconds = Number(process.hrtime.bigint() - begin) / 1e9
  if (growth > growthMax) failed = true
  console.log(
    `${decoder.name}: ${sums.taken} taken, ${sums.refused} refused, ${seconds.toFixed(1)} s, heap ${(growth / 1024).toFixed(0)} KiB${growth > growthMax ? " GREW" : ""}`,
  )
}
process.exitCode = failed ? 1 : 0
