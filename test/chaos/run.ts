// `npm run chaos -- NAME…|all [--brief|--long] [--count N] [--seed S]`: runs one kind of chaos, or all one
// after another, and ends with a table, and a TAP line each in dist/test/chaos.tap. Exits with 1 when one fails.

import { mkdirSync, writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { formatCounts } from "../kit/tap-report.ts"
import { all } from "./all.ts"
import type { Chaos, ChaosResult } from "./chaos.ts"

const report = "dist/test/chaos.tap"

type Outcome = { readonly line: string; readonly state: State; readonly seconds: string }
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
const chosen = all.filter(({ name }) => positionals.includes("all") || positionals.includes(name))

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
  if (why !== undefined) return { line: `# SKIP ${why}`, state: "skipped", seconds: "-" }
  const size = values.brief ? "brief" : values.long ? "long" : "ci"
  const count = values.count === undefined ? chaos.sizes[size] : Number(values.count)
  const seed = Number(values.seed)
  console.log(`${chaos.name}: ${chaos.says} (${count} ${chaos.unit}, seed ${seed})`)
  const begin = process.hrtime.bigint()
  const lasted = (): string => (Number(process.hrtime.bigint() - begin) / 1e9).toFixed(1)
  try {
    const { passed, figures } = await chaos.run({ count, seed, say })
    const seconds = lasted()
    const line = `(${told(figures)}; ${seconds} s)`
    return { line, state: passed ? "pass" : "fail", seconds }
  } catch (cause) {
    console.error(cause)
    return { line: `(${String(cause).replaceAll("\n", " ")})`, state: "fail", seconds: lasted() }
  }
}

function table(outcomes: readonly (readonly [Chaos, Outcome])[]): string {
  const width = Math.max(...outcomes.map(([{ name }]) => name.length))
  return outcomes
    .map(([{ name }, { line, state, seconds }]) =>
      [name.padEnd(width), state.padEnd(7), `${seconds} s`.padStart(9), line].join("  "),
    )
    .join("\n")
}

if (chosen.length === 0) {
  console.error(`chaos: one of all ${all.map((one) => one.name).join(" ")}`)
  process.exitCode = 2
} else {
  const lines: string[] = []
  const outcomes: (readonly [Chaos, Outcome])[] = []
  const counts = { pass: 0, fail: 0, skipped: 0 }
  for (const [i, chaos] of chosen.entries()) {
    const outcome = await outcomeOf(chaos)
    outcomes.push([chaos, outcome])
    counts[outcome.state] += 1
    const word = outcome.state === "fail" ? "not ok" : "ok"
    lines.push(`${word} ${i + 1} - ${chaos.name} ${outcome.line}`)
    console.log(lines.at(-1))
  }
  if (outcomes.length > 1) console.log(`\n${table(outcomes)}`)
  mkdirSync("dist/test", { recursive: true })
  writeFileSync(report, `TAP version 14\n${lines.join("\n")}\n${formatCounts(counts)}`)
  if (counts.fail > 0) process.exitCode = 1
}
