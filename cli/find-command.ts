// Which row of the table the words name.

import { ChappeError } from "../protocol/errors.ts"
import type { Command } from "./command.ts"
import { commands } from "./commands.ts"
import { unknownCommand } from "./commands/self.ts"

/** The row that the words name, and the words after it. Refused: `usage`, with the nearest command. */
export function findCommand(words: readonly string[]): {
  readonly command: Command
  readonly rest: readonly string[]
} {
  const [first = "", second = ""] = words
  const two = commands.find(({ name }) => name === `${first} ${second}`)
  if (two !== undefined) return { command: two, rest: words.slice(2) }
  const one = commands.find(({ name }) => name === first)
  if (one !== undefined) return { command: one, rest: words.slice(1) }
  const isGroup = commands.some(({ name }) => name.startsWith(`${first} `))
  const word = isGroup && second !== "" && !second.startsWith("-") ? `${first} ${second}` : first
  const names = commands.map(({ name }) => name)
  if (isGroup && word === first) {
    const group = names.filter((name) => name.startsWith(`${first} `))
    throw new ChappeError("usage", `${first} is followed by a word: ${group.join(", ")}`)
  }
  throw unknownCommand(word, names)
}
