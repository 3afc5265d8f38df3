// Store and forward as a model (test/model/store-and-forward.pml), searched through by spin: every
// interleaving of a few messages, crashes, losses and repetitions. Then each planted bug, which spin must
// find with a run that ends in what the bug breaks.

import { copyFile, mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Output, execute, isMissing } from "../kit/execute.ts"
import type { Chaos } from "./chaos.ts"

const source = "test/model/store-and-forward.pml"
const file = "model.pml"

type Bounds = Readonly<
  Record<"MESSAGES" | "RELAYS" | "CRASHES" | "LOSSES" | "REPEATS" | "WIPES", number>
>

const bounds = (given: Partial<Bounds>): Bounds => ({
  MESSAGES: 1,
  RELAYS: 2,
  CRASHES: 0,
  LOSSES: 0,
  REPEATS: 0,
  WIPES: 0,
  ...given,
})

/** Two relays and one message: custody. One relay and two messages: the channel. Both at once: too much. */
const searches: readonly Bounds[] = [
  bounds({ CRASHES: 2, LOSSES: 1, REPEATS: 1 }),
  bounds({ CRASHES: 1, WIPES: 1 }),
  bounds({ MESSAGES: 2, RELAYS: 1, CRASHES: 2, REPEATS: 1 }),
]

const custody = bounds({ CRASHES: 1, LOSSES: 1 })
const channel = bounds({ MESSAGES: 2, RELAYS: 1 })

const bugs: Readonly<Record<string, Bounds>> = {
  RELAY_ANSWERS_BEFORE_SYNC: custody,
  HANDOVER_FREES: custody,
  EVIDENCE_BEFORE_SYNC: custody,
  SECOND_WAY_FORGOTTEN: bounds({}),
  RECEIPT_NOT_REPEATED: custody,
  CUSTODY_IS_DELIVERY: custody,
  RECIPIENT_ANSWERS_BEFORE_SYNC: custody,
  SHOWN_BEFORE_SYNC: custody,
  NOT_SUBMITTED_AGAIN: bounds({ WIPES: 1 }),
  NO_MEMORY: { ...channel, REPEATS: 1 },
  SENT_BEFORE_SYNC: { ...channel, CRASHES: 1 },
  TOMBSTONE_FOR_THE_LIVING: channel,
  GAP_SKIPPED: channel,
  EXPIRED_TAKEN: channel,
}

const stepsMax = 1_000_000
const memoryMaxMiB = 3_000

const defines = (given: Bounds): string[] =>
  Object.entries(given).map(([name, value]) => `-D${name}=${value}`)

async function must(output: Promise<Output>): Promise<Output> {
  const done = await output
  if (done.code !== 0) throw new Error(`${done.stdout}${done.stderr}`)
  return done
}

/** The search's own report. `shortest`: breadth first, so that a run to an error has no step too many. */
async function search(
  folder: string,
  given: readonly string[],
  { shortest }: { readonly shortest: boolean },
): Promise<string> {
  const cwd = { cwd: folder }
  await must(execute("spin", ["-a", ...given, file], cwd))
  const how = [
    shortest ? "-O1" : "-O2",
    "-w",
    "-DSAFETY",
    `-DMEMLIM=${memoryMaxMiB}`,
    ...(shortest ? ["-DBFS"] : []),
  ]
  await must(execute("gcc", [...how, "-o", "pan", "pan.c"], cwd))
  const { stdout } = await must(execute("./pan", ["-E", `-m${stepsMax}`], cwd))
  return stdout
}

const statesIn = (report: string): number => Number(/(\d+) states, stored/u.exec(report)?.[1] ?? 0)

const isClean = (report: string): boolean =>
  /errors: 0$/mu.test(report) && !report.includes("not completed") && !report.includes("out of")

/** What happened, a step a line, up to the assertion that fails. */
async function runTo(folder: string, given: readonly string[]): Promise<readonly string[]> {
  const { stdout } = await execute("spin", ["-t", ...given, file], { cwd: folder })
  const end = stdout.search(/^spin: /mu)
  return stdout
    .slice(0, end < 0 ? undefined : end)
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "")
}

export const model: Chaos = {
  name: "model",
  says: "every run of a model of store and forward keeps the promises; each bug planted in it is found",
  unit: "planted bugs",
  sizes: { brief: 14, ci: 14, long: 14 },
  async unavailable() {
    for (const program of ["spin", "gcc"])
      if (await isMissing(program)) return `${program} is not installed`
    return undefined
  },
  async run({ count, say }) {
    const folder = await mkdtemp(join(tmpdir(), "chappe-model-"))
    try {
      await copyFile(source, join(folder, file))
      let states = 0
      let unclean = 0
      for (const one of searches) {
        const report = await search(folder, defines(one), { shortest: false })
        states += statesIn(report)
        say(`${defines(one).join(" ")}: ${statesIn(report)} states`)
        if (isClean(report)) continue
        unclean += 1
        for (const line of [report, ...(await runTo(folder, defines(one)))]) say(line)
      }
      let found = 0
      const planted = Object.entries(bugs).slice(0, count)
      for (const [name, one] of planted) {
        const given = [`-DBUG_${name}`, ...defines(one)]
        const report = await search(folder, given, { shortest: true })
        const isFound = /errors: [1-9]/u.test(report)
        if (isFound) found += 1
        const steps = isFound ? (await runTo(folder, given)).join("; ") : report
        say(`${name}: ${steps}`)
      }
      const passed = unclean === 0 && found === planted.length
      return { passed, figures: { states, unclean, bugs: planted.length, found } }
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  },
}
