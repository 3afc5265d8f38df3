// Bringing a database and what stands beside it up to today's format, one version after another. Every format
// that a release has written has a fixture in test/abi.

import { dirname } from "node:path"
import { replaceFile, syncFolder } from "./durable-files.ts"
import { encodeFormat, encodeMark, storeFormat } from "./store-format.ts"
import { formatPath, markPath } from "./store-paths.ts"

type Step = {
  readonly to: number
  /** May be cut short and done again. `lastSequence`: of the database's last change. */
  readonly run: (path: string, lastSequence: number) => Promise<void>
}

/** One for each version after the first. */
const steps: readonly Step[] = [
  {
    // A mark beside the database has the number of its last change.
    to: 2,
    run: async (path, lastSequence) => replaceFile(markPath(path), encodeMark(lastSequence)),
  },
]

/** `path`: of a database that nobody has open and that was found whole. Refused: `disk-full`, `storage`. */
export async function migrate(path: string, from: number, lastSequence: number): Promise<void> {
  const folder = dirname(path)
  if (from < storeFormat) {
    // Version 1 named itself by having no format file: with a mark and none it would count as damaged.
    await replaceFile(formatPath(path), encodeFormat(from))
    await syncFolder(folder)
  }
  for (const { to, run } of steps.filter((step) => step.to > from)) {
    await run(path, lastSequence)
    await syncFolder(folder)
    await replaceFile(formatPath(path), encodeFormat(to))
    await syncFolder(folder)
  }
}
