// `npm run chaos -- NAME|all [--brief|--long] [--count N] [--seed S]`: runs one kind of chaos, or all one
// after another, and ends with a TAP line each in dist/test/chaos.tap. Exits with 1 when one fails.

import { mkdirSync, writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { all } from "./all.ts"
import type { Chaos, ChaosResult } from "./chaos.ts"

const report = "dist/test/chaos.tap"

type Outcome = { readonly chaos: Chaos; readonly line: string; readonly state: State }
type State = "pass" | "fail" | "skipped"

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    brief: { type: "boolean", default: false },
    long: { type: "boolean", default: false },
    count: { type: "string" },
    seed: { type: "string", default: "7" },
  },
})
const [name] = positionals
const chosen = all.filter((one) => name === "all" || one.name === name)

function told(figures: ChaosResult["figures"]): string {
  return Object.entries(figures)
    .map(([key, figure]) => `${key} ${figure}`)
    .join(", ")
}

function say(line: string): void {
  console.log(`  ${line}`)
}

async function outcomeOf(chaos: Chaos): Promise<Outcome> {
  const why = await chaos.unavailable()
  if (why !== undefined) return { chaos, line: `# SKIP ${why}`, state: "skipped" }
  const size = values.brief ? "brief" : values.long ? "long" : "ci"
  const count = values.count === undefined ? chaos.sizes[size] : Number(values.count)
  const seed = Number(values.seed)
  console.log(`${chaos.name}: ${chaos.says} (${count} ${chaos.unit}, seed ${seed})`)
  const begin = process.hrtime.bigint()
  try {
    const { passed, figures } = await chaos.run({ count, seed, say })
    const seconds = (Number(process.hrtime.bigint() - begin) / 1e9).toFixed(1)
    return { chaos, line: `(${told(figures)}; ${seconds} s)`, state: passed ? "pass" : "fail" }
  } catch (cause) {
    console.error(cause)
    return { chaos, line: `(${String(cause)})`, state: "fail" }
  }
}

if (chosen.length === 0) {
  console.error(`chaos: one of all ${all.map((one) => one.name).join(" ")}`)
  process.exitCode = 2
} else {
  const lines: string[] = []
  const counts = { pass: 0, fail: 0, skipped: 0 }
  for (const [i, chaos] of chosen.entries()) {
    const { line, state } = await outcomeOf(chaos)
    counts[state] += 1
    const word = state === "fail" ? "not ok" : "ok"
    lines.push(`${word} ${i + 1} - ${chaos.name} ${line.replaceAll("\n", " ")}`)
    console.log(lines.at(-1))
  }
  const sums = Object.entries(counts).map(([state, count]) => `# ${state} ${count}`)
  mkdirSync("dist/test", { recursive: true })
  writeFileSync(report, `TAP version 14\n${[...lines, ...sums].join("\n")}\n`)
  if (counts.fail > 0) process.exitCode = 1
}
