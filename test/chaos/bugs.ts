// Bugs planted one by one (test/bugs/bugs.ts) in a copy of the sources: the tests named for each must fail.
// The copy without a bug passes them first, so that it is the bug that they find.

import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { type Bug, bugs as all } from "../bugs/bugs.ts"
import { execute } from "../kit/execute.ts"
import { prng } from "../kit/mutate.ts"
import { type Chaos, availableEverywhere } from "./chaos.ts"

const copied = [
  "protocol",
  "keys",
  "store",
  "relay",
  "node",
  "audit",
  "cli",
  "docs",
  "test",
  "systemd",
]
const files = ["package.json", "tsconfig.json", "vitest.config.ts"]
const brief = 1

/** Undefined when they pass, else what the runner says. */
async function failureOf(folder: string, tests: readonly string[]): Promise<string | undefined> {
  const vitest = resolve("node_modules/vitest/vitest.mjs")
  const args = [vitest, "run", "--bail=1", "--reporter=dot", ...tests]
  const { code, stdout, stderr } = await execute(process.execPath, args, { cwd: folder })
  return code === 0 ? undefined : stdout + stderr
}

async function planted(folder: string, { file, find, replace, tests }: Bug): Promise<string> {
  const path = join(folder, file)
  const sound = await readFile(path, "utf8").catch(() => "")
  const places = sound.split(find).length - 1
  if (places !== 1) return `no bug to plant: its text stands ${places} times in ${file}`
  await writeFile(
    path,
    sound.replace(find, () => replace),
  )
  try {
    const failure = await failureOf(folder, tests)
    if (failure === undefined) return `NOT FOUND by ${tests.join(" ")}`
    // A test that could not even be loaded has found nothing.
    return /Tests .*\d+ failed/u.test(failure) ? "found" : `no test ran: ${failure}`
  } finally {
    await writeFile(path, sound)
  }
}

export const bugs: Chaos = {
  name: "bugs",
  says: "each bug planted in a copy of the sources makes a test fail",
  unit: "bugs",
  sizes: { brief, ci: all.length, long: all.length },
  unavailable: availableEverywhere,
  async run({ count, seed, say }) {
    const folder = await mkdtemp(join(tmpdir(), "chappe-bugs-"))
    try {
      for (const one of copied) await cp(one, join(folder, one), { recursive: true })
      for (const one of files) await cp(one, join(folder, one))
      await symlink(resolve("node_modules"), join(folder, "node_modules"))
      const first = prng(seed).below(all.length)
      const chosen = [...all.slice(first), ...all.slice(0, first)].slice(0, count)
      const failure = await failureOf(folder, [...new Set(chosen.flatMap(({ tests }) => tests))])
      if (failure !== undefined) throw new Error(`without a bug: ${failure}`)
      let found = 0
      for (const bug of chosen) {
        const verdict = await planted(folder, bug)
        if (verdict === "found") found += 1
        say(`${bug.name} (${bug.breaks}): ${verdict}`)
      }
      return { passed: found === chosen.length, figures: { bugs: chosen.length, found } }
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  },
}
