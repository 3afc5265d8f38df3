#!/usr/bin/env node
// The `chappe` command: finds the row of the table, runs it, turns whatever was thrown into a sentence and an
// exit code. No stack trace ever leaves here.

import { stderr, stdin, stdout } from "node:process"
import { errorRow } from "../protocol/errors.ts"
import { systemNowMs } from "./adapters/system-clock.ts"
import { systemRandom } from "./adapters/system-random.ts"
import type { ExitCode } from "./command.ts"
import { commands } from "./commands.ts"
import { readEnvironment } from "./config.ts"
import { asChappeError } from "./failure.ts"
import { findCommand } from "./find-command.ts"
import { commandHelp, overview } from "./help.ts"
import { parseInvocation } from "./invocation.ts"
import { Output } from "./output.ts"
import type { World } from "./world.ts"

async function run(words: readonly string[], world: World): Promise<ExitCode> {
  const { output } = world
  const [first] = words
  if (first === undefined || first === "--help" || first === "-h") {
    output.result(
      { commands: commands.map(({ name, help }) => ({ name, help })) },
      overview(commands),
    )
    return 0
  }
  const { command, rest } = findCommand(first === "--version" ? ["version"] : words)
  const invocation = parseInvocation(command, rest)
  if (invocation.flag("help")) {
    output.result({ name: command.name, help: command.help }, commandHelp(command))
    return 0
  }
  return (await command.run(invocation, world)) ?? 0
}

async function main(words: readonly string[]): Promise<void> {
  const environment = readEnvironment()
  const end = words.indexOf("--")
  const json = words.slice(0, end < 0 ? words.length : end).includes("--json")
  const output = new Output({
    json,
    colour: stdout.isTTY && stderr.isTTY && !environment.noColour,
    stdout,
    stderr,
  })
  const world: World = { output, nowMs: systemNowMs, random: systemRandom, environment, stdin }
  try {
    process.exitCode = await run(words, world)
  } catch (thrown) {
    const error = asChappeError(thrown)
    output.error(error)
    process.exitCode = errorRow(error.code).exit
  }
}

// A reader that has seen enough (`chappe inbox | head`) is no failure.
stdout.on("error", (error: Error) => {
  if ("code" in error && error.code === "EPIPE") process.exit(0)
  throw error
})

await main(process.argv.slice(2))
