// Two test runners, one count: the last line of `.ci/run`.

import { existsSync, readFileSync } from "node:fs"

type Tally = { readonly passed: number; readonly failed: number; readonly skipped: number }

const unitReport = "dist/test/vitest.json"
const processReport = "dist/test/e2e.tap"

/** A runner that an earlier failure kept from starting. */
const notRun: Tally = { passed: 0, failed: 1, skipped: 0 }

function unitTally(): Tally {
  if (!existsSync(unitReport)) return notRun
  const report = JSON.parse(readFileSync(unitReport, "utf8")) as {
    readonly numPassedTests: number
    readonly numFailedTests: number
    readonly numPendingTests: number
    readonly numTodoTests: number
    readonly numFailedTestSuites: number
  }
  // A file that does not even load counts no tests; its suite counts as failed.
  const failed = Math.max(report.numFailedTests, report.numFailedTestSuites > 0 ? 1 : 0)
  const skipped = report.numPendingTests + report.numTodoTests
  return { passed: report.numPassedTests, failed, skipped }
}

/** Node's runner ends its report with `# pass 12`, `# fail 0` and so on; what stands above is of single files. */
function processTally(): Tally {
  if (!existsSync(processReport)) return notRun
  const report = readFileSync(processReport, "utf8")
  const count = (word: string): number => {
    const found = [...report.matchAll(new RegExp(`^# ${word} (?<count>\\d+)$`, "gmu"))].at(-1)
    if (found === undefined) throw new Error(`${processReport} does not say how many ${word}`)
    return Number(found.groups?.["count"])
  }
  return {
    passed: count("pass"),
    failed: count("fail") + count("cancelled"),
    skipped: count("skipped") + count("todo"),
  }
}

const all = [unitTally(), processTally()]
const sum = (of: keyof Tally): number => all.reduce((total, one) => total + one[of], 0)
console.log(`${sum("passed")} passed, ${sum("failed")} failed, ${sum("skipped")} skipped`)
