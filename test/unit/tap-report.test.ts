// The last line of the whole suite must not lie: what failed, was cancelled or was left out is counted as such.

import { describe, expect, test } from "vitest"
import { formatCounts, tapTally } from "../kit/tap-report.ts"

describe("the closing counts of a TAP report", () => {
  test("come back as they were written", () => {
    const report = `TAP version 14\nok 1 - kills\n${formatCounts({ pass: 5, fail: 1, skipped: 2 })}`
    expect(tapTally(report)).toEqual({ passed: 5, failed: 1, skipped: 2 })
  })

  test("count what was cancelled as failed, and what is to do as skipped", () => {
    const counts = "# pass 3\n# fail 1\n# cancelled 2\n# skipped 1\n# todo 4\n"
    expect(tapTally(counts)).toEqual({ passed: 3, failed: 3, skipped: 5 })
  })

  test("are the last ones, not those of a single file", () => {
    const one = formatCounts({ pass: 1, fail: 0, skipped: 0 })
    const all = formatCounts({ pass: 7, fail: 0, skipped: 0 })
    expect(tapTally(`${one}ok 2\n${all}`).passed).toBe(7)
  })

  test("are demanded", () => {
    expect(() => tapTally("ok 1 - kills\n")).toThrow("how many pass")
  })
})
