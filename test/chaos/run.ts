// `npm run chaos -- NAME…|all [--brief|--long] [--count N] [--seed S] [--jobs N]`: runs one kind of chaos, or
// several one after another, and ends with a table, and a TAP line each in dist/test/chaos.tap. Exits with 1
// when one fails. With jobs, so many kinds run side by side, each in a process of its own; what measures the
// machine runs alone, afterwards.

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import { argv, execArgv, execPath } from "node:process"
import { parseArgs } from "node:util"
import { execute } from "../kit/execute.ts"
import { formatCounts } from "../kit/tap-report.ts"
import { all } from "./all.ts"
import type { Chaos, ChaosResult } from "./chaos.ts"

type Outcome = { readonly line: string; readonly state: State; readonly seconds: string }
type State = "pass" | "fail" | "skipped"

/** A kind that hangs beside others fails, and they still have their time. */
const hungMs = 480_000

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    brief: { type: "boolean", default: false },
    long: { type: "boolean", default: false },
    count: { type: "string" },
    seed: { type: "string", default: "7" },
    jobs: { type: "string", default: "1" },
    report: { type: "string", default: "dist/test/chaos.tap" },
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

/** The same in a process of its own, whose lines are shown once it has ended. */
async function outcomeApart(chaos: Chaos): Promise<Outcome> {
  const report = `${values.report}.${chaos.name}`
  const size = values.brief ? ["--brief"] : values.long ? ["--long"] : []
  const count = values.count === undefined ? [] : ["--count", values.count]
  const words = [chaos.name, ...size, ...count, "--seed", values.seed, "--report", report]
  rmSync(report, { force: true })
  const command = [...execArgv, argv[1] ?? "", ...words]
  const { stdout, stderr } = await execute(execPath, command, { timeout: hungMs })
  process.stdout.write(stdout)
  process.stderr.write(stderr)
  if (!existsSync(report)) return { line: "(it did not end)", state: "fail", seconds: "-" }
  const told = readFileSync(report, "utf8")
  const { word, line = "" } = /^(?<word>ok|not ok) 1 - \S+ (?<line>.*)$/mu.exec(told)?.groups ?? {}
  const seconds = /(?<seconds>[\d.]+) s\)$/u.exec(line)?.groups?.["seconds"] ?? "-"
  const state = line.startsWith("# SKIP") ? "skipped" : word === "ok" ? "pass" : "fail"
  return { line, state, seconds }
}

/** In the order in which they end, `jobs` at a time. */
async function sideBySide(
  kinds: readonly Chaos[],
  jobs: number,
): Promise<readonly (readonly [Chaos, Outcome])[]> {
  const outcomes: (readonly [Chaos, Outcome])[] = []
  const waiting = [...kinds]
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
      outcomes.push([next, await outcomeApart(next)])
  }
  await Promise.all(Array.from({ length: jobs }, work))
  return outcomes
}

async function runAll(): Promise<readonly (readonly [Chaos, Outcome])[]> {
  const jobs = Number(values.jobs)
  const outcomes: (readonly [Chaos, Outcome])[] = []
  if (jobs > 1) {
    const beside = chosen.filter(({ measures }) => measures !== true)
    const alone = chosen.filter(({ measures }) => measures === true)
    outcomes.push(...(await sideBySide(beside, jobs)), ...(await sideBySide(alone, 1)))
    return outcomes
  }
  for (const chaos of chosen) {
    const outcome = await outcomeOf(chaos)
    console.log(tapLine(outcomes.length + 1, chaos, outcome))
    outcomes.push([chaos, outcome])
  }
  return outcomes
}

function tapLine(number: number, { name }: Chaos, { state, line }: Outcome): string {
  return `${state === "fail" ? "not ok" : "ok"} ${number} - ${name} ${line}`
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
  const outcomes = await runAll()
  const counts = { pass: 0, fail: 0, skipped: 0 }
  for (const [, { state }] of outcomes) counts[state] += 1
  const lines = outcomes.map(([chaos, outcome], i) => tapLine(i + 1, chaos, outcome))
  if (outcomes.length > 1) console.log(`\n${table(outcomes)}`)
  mkdirSync(dirname(values.report), { recursive: true })
  writeFileSync(values.report, `TAP version 14\n${lines.join("\n")}\n${formatCounts(counts)}`)
  if (counts.fail > 0) process.exitCode = 1
}
