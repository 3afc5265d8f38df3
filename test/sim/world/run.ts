// `npm run sim -- --seed S [--steps N] [--lines L]` tells one run; `npm run sim -- --seeds N [--from S]` many. Exits
// with 1 at a violation, and prints the last 200 things that happened before it.

import { parseArgs } from "node:util"
import { stepsOf } from "./steps.ts"
import { type Outcome, simulate } from "./simulate.ts"

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    steps: { type: "string" },
    lines: { type: "string", default: "200" },
    seeds: { type: "string", default: "1" },
    from: { type: "string", default: "1" },
  },
})

function tell({ last, ...outcome }: Outcome): void {
  if (outcome.violation !== undefined) for (const line of last) console.log(line)
  console.log(JSON.stringify(outcome))
}

const first = Number(values.seed ?? values.from)
const count = values.seed === undefined ? Number(values.seeds) : 1
let violations = 0
for (let seed = first; seed < first + count; seed++) {
  const outcome = await simulate(seed, Number(values.steps ?? stepsOf(seed)), Number(values.lines))
  if (outcome.violation !== undefined) violations += 1
  if (count > 1 && seed % 10 === 0) console.log(`seed ${seed}: ${outcome.digest}`)
  if (count === 1 || outcome.violation !== undefined) tell(outcome)
}
console.log(`${count} seeds, ${violations} violations`)
if (violations > 0) process.exitCode = 1
