// The man page in roff, from the command table. `chappe man | man -l -` shows it; docs/chappe.1 is its copy.

import { type Command, commonOptions, exitCodes } from "./command.ts"
import { optionText, synopsis, tagline } from "./help.ts"

/** Backslashes, hyphens that are meant, and lines that would be requests. */
function roff(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll(/^(?=[.'])/gmu, "\\&")
}

function entry(tag: string, text: string): readonly string[] {
  return [".TP", `.B ${roff(tag)}`, roff(text)]
}

function section(command: Command): readonly string[] {
  const lines = [
    `.SS ${roff(command.name)}`,
    roff(`${command.help}.`),
    ".PP",
    roff(synopsis(command)),
  ]
  for (const { name, help } of command.arguments) lines.push(...entry(name, help))
  for (const option of command.options) lines.push(...entry(optionText(option), option.help))
  for (const { line, says } of command.examples)
    lines.push(".PP", roff(`${says}:`), ".PP", ".nf", `    ${roff(line)}`, ".fi")
  return lines
}

/** The page changes with the table only, not with the day it is printed on. */
export function manPage(commands: readonly Command[], version: string): string {
  return [
    `.TH CHAPPE 1 "" "chappe ${roff(version)}" "User Commands"`,
    ".SH NAME",
    `chappe \\- ${roff(tagline)}`,
    ".SH SYNOPSIS",
    ".B chappe",
    "COMMAND [ARGUMENTS] [OPTIONS]",
    ".SH OPTIONS",
    "Every command takes:",
    ...commonOptions.flatMap((option) => entry(optionText(option), option.help)),
    ".SH COMMANDS",
    ...commands.flatMap(section),
    ".SH EXIT STATUS",
    ...exitCodes.flatMap(({ code, says }) => entry(String(code), says)),
    ".SH FILES",
    ...entry("trust.json", "where trust starts: the custodians and a roster they signed"),
    ...entry("*.key", "secrets, sealed under a passphrase or the .secret file beside them"),
    ...entry("lab.json", "the processes of a lab and their ports"),
    "",
  ].join("\n")
}
