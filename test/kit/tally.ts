// Three test runners, one count: the last line of `.ci/run`.

import { existsSync, readFileSync } from "node:fs"
import { type Tally, tapTally } from "./tap-report.ts"

const unitReport = "dist/test/vitest.json"
const tapReports = ["dist/test/e2e.tap", "dist/test/chaos.tap"]

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

function reportTally(path: string): Tally {
  return existsSync(path) ? tapTally(readFileSync(path, "utf8")) : notRun
}

const all = [unitTally(), ...tapReports.map(reportTally)]
const sum = (of: keyof Tally): number => all.reduce((total, one) => total + one[of], 0)
console.log(`${sum("passed")} passed, ${sum("failed")} failed, ${sum("skipped")} skipped`)
