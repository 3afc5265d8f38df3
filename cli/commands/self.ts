// The commands about the command: help, man page, completion, version.

import { ChappeError } from "../../protocol/errors.ts"
import type { Command } from "../command.ts"
import { completionScript, shells } from "../completion.ts"
import { commandHelp, overview } from "../help.ts"
import { manPage } from "../man-page.ts"
import { nearest } from "../nearest.ts"
import { softwareVersion } from "../version.ts"

/** The table comes in at call time: it holds these commands too. */
async function table(): Promise<readonly Command[]> {
  return (await import("../commands.ts")).commands
}

export const help: Command = {
  name: "help",
  help: "show what there is, or explain one command",
  arguments: [{ name: "COMMAND", optional: true, many: true, help: "such as send, or lab init" }],
  options: [],
  examples: [{ line: "chappe help send", says: "everything about sending" }],
  async run(input, { output }) {
    const commands = await table()
    const wanted = input.rest("COMMAND").join(" ")
    if (wanted === "") {
      output.result(
        { commands: commands.map(({ name, help: says }) => ({ name, help: says })) },
        overview(commands),
      )
      return undefined
    }
    const group = commands.filter(({ name }) => name === wanted || name.startsWith(`${wanted} `))
    const names = commands.map(({ name }) => name)
    if (group.length === 0) throw unknownCommand(wanted, names)
    for (const command of group)
      output.result(
        {
          name: command.name,
          help: command.help,
          arguments: command.arguments,
          options: command.options,
          examples: command.examples,
        },
        commandHelp(command),
      )
    return undefined
  },
}

export function unknownCommand(word: string, names: readonly string[]): ChappeError {
  const meant = nearest(word, names)
  const hint = meant === undefined ? "" : `; did you mean ${meant}?`
  return new ChappeError("usage", `there is no command ${word}${hint}`)
}

export const man: Command = {
  name: "man",
  help: "print the man page",
  arguments: [],
  options: [],
  examples: [{ line: "chappe man | man -l -", says: "read it" }],
  async run(_input, { output }) {
    output.raw(manPage(await table(), softwareVersion))
    return undefined
  },
}

export const completion: Command = {
  name: "completion",
  help: "print a completion script for a shell",
  arguments: [{ name: "SHELL", help: "bash, zsh or fish", offers: shells }],
  options: [],
  examples: [{ line: "source <(chappe completion bash)", says: "for this shell session" }],
  async run(input, { output }) {
    const shell = shells.find((one) => one === input.argument("SHELL"))
    if (shell === undefined) throw new ChappeError("usage", `SHELL is one of ${shells.join(" ")}`)
    output.raw(completionScript(shell, await table()))
    return undefined
  },
}

export const version: Command = {
  name: "version",
  help: "print the versions of the software, the protocol and Node",
  arguments: [],
  options: [],
  examples: [],
  async run(_input, { output }) {
    const found = { version: softwareVersion, protocol: 1, node: process.version }
    output.result(found, `chappe ${found.version}, protocol 1, Node ${found.node}`)
    return undefined
  },
}
