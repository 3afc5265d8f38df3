// TAP's closing counts, as Node's test runner writes them.

export type Tally = { readonly passed: number; readonly failed: number; readonly skipped: number }

export type TapCounts = { readonly pass: number; readonly fail: number; readonly skipped: number }

export function formatCounts({ pass, fail, skipped }: TapCounts): string {
  return `# pass ${pass}\n# fail ${fail}\n# cancelled 0\n# skipped ${skipped}\n# todo 0\n`
}

/** Node's runner ends its report with `# pass 12`, `# fail 0` and so on; what stands above is of single files. */
export function tapTally(report: string): Tally {
  const count = (word: string): number => {
    const found = [...report.matchAll(new RegExp(`^# ${word} (?<count>\\d+)$`, "gmu"))].at(-1)
    if (found === undefined) throw new Error(`the report does not say how many ${word}`)
    return Number(found.groups?.["count"])
  }
  return {
    passed: count("pass"),
    failed: count("fail") + count("cancelled"),
    skipped: count("skipped") + count("todo"),
  }
}
