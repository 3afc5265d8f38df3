// Help from the command table: an overview, and a page for each command.

import { type Argument, type Command, type Option, commonOptions, exitCodes } from "./command.ts"

export const tagline = "sealed police messaging between members, relayed, receipted and auditable"

function argumentText({ name, optional, many }: Argument): string {
  const text = many === true ? `${name}...` : name
  return optional === true ? `[${text}]` : text
}

export function optionText({ name, value }: Option): string {
  return value === undefined ? `--${name}` : `--${name} ${value}`
}

/** `chappe send --node DIR --to JP,BR [--text T] …` */
export function synopsis(command: Command): string {
  const options = command.options.map((option) => {
    const text = optionText(option)
    const bare = option.needed === true ? text : `[${text}]`
    return option.many === true ? `${bare}...` : bare
  })
  return ["chappe", command.name, ...command.arguments.map(argumentText), ...options].join(" ")
}

const rule = (rows: readonly (readonly [string, string])[]): string => {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join("\n")
}

export function overview(commands: readonly Command[]): string {
  return [
    `chappe: ${tagline}`,
    "",
    "Commands:",
    rule(commands.map(({ name, help }) => [name, help])),
    "",
    "Every command takes:",
    rule(commonOptions.map((option) => [optionText(option), option.help])),
    "",
    "Exit codes:",
    rule(exitCodes.map(({ code, says }) => [String(code), says])),
    "",
    "chappe help COMMAND explains one of them; chappe demo shows the whole.",
  ].join("\n")
}

export function commandHelp(command: Command): string {
  const sections = [`chappe ${command.name}: ${command.help}`, "", `  ${synopsis(command)}`]
  if (command.arguments.length > 0)
    sections.push("", rule(command.arguments.map(({ name, help }) => [name, help])))
  const options = [...command.options, ...commonOptions]
  sections.push("", rule(options.map((option) => [optionText(option), option.help])))
  if (command.examples.length > 0)
    sections.push(
      "",
      "Examples:",
      ...command.examples.flatMap(({ line, says }) => [`  # ${says}`, `  ${line}`]),
    )
  return sections.join("\n")
}
