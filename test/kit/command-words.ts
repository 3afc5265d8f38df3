// Whether a written command line is one of the command table's.

import { commands } from "../../cli/commands.ts"
import { commonOptions } from "../../cli/command.ts"

/** What the table does not know of `words` (without `chappe` in front): options, or the whole line. */
export function unknownWords(words: readonly string[]): readonly string[] {
  const line = `${words.join(" ")} `
  const command = commands.find(({ name }) => line.startsWith(`${name} `))
  // `chappe lab` alone speaks of all its commands.
  if (words.length === 1 && commands.some(({ name }) => name.startsWith(line))) return []
  if (command === undefined) return [words.join(" ")]
  const known = [...command.options, ...commonOptions].map(({ name }) => `--${name}`)
  return words.filter((word) => word.startsWith("--") && !known.includes(word))
}
