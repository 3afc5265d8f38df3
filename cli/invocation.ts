// One call of a command: its arguments and options, parsed by its row of the table.

import { parseArgs } from "node:util"
import { ChappeError } from "../protocol/errors.ts"
import { type Argument, type Command, commonOptions } from "./command.ts"

function usage(why: string): never {
  throw new ChappeError("usage", why)
}

/** `send` needs `--to`; and so on. */
export class Invocation {
  readonly command: Command
  readonly #values: Readonly<Record<string, unknown>>
  readonly #positionals: readonly string[]

  constructor(
    command: Command,
    values: Readonly<Record<string, unknown>>,
    positionals: readonly string[],
  ) {
    this.command = command
    this.#values = values
    this.#positionals = positionals
  }

  flag(name: string): boolean {
    return this.#values[this.#known(name)] === true
  }

  text(name: string): string | undefined {
    const found = this.#values[this.#known(name)]
    return typeof found === "string" ? found : undefined
  }

  /** An option that the table marks as needed. */
  needed(name: string): string {
    return this.text(name) ?? usage(`${this.command.name} needs --${name}`)
  }

  texts(name: string): readonly string[] {
    const found = this.#values[this.#known(name)]
    return Array.isArray(found) ? found.filter((item) => typeof item === "string") : []
  }

  /** Comma-separated words, each once, empty ones left out. */
  words(name: string): readonly string[] {
    const all = (this.text(name) ?? "").split(",").map((word) => word.trim())
    return [...new Set(all.filter((word) => word !== ""))]
  }

  /** A decimal integer within bounds. */
  integer(
    name: string,
    bounds: { readonly min: number; readonly max: number },
  ): number | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const value = Number(text)
    const { min, max } = bounds
    if (!/^\d{1,15}$/u.test(text) || value < min || value > max)
      return usage(`--${name} is not an integer from ${min} to ${max}`)
    return value
  }

  /** One of a closed set. */
  choice<const Word extends string>(name: string, words: readonly Word[]): Word | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    return (
      words.find((word) => word === text) ?? usage(`--${name} is not one of ${words.join(" ")}`)
    )
  }

  argument(name: string): string {
    return this.optionalArgument(name) ?? usage(`${this.command.name} needs ${name}`)
  }

  optionalArgument(name: string): string | undefined {
    return this.#positionals[this.command.arguments.findIndex((one) => one.name === name)]
  }

  /** The words from the argument `name` on. */
  rest(name: string): readonly string[] {
    return this.#positionals.slice(this.command.arguments.findIndex((one) => one.name === name))
  }

  #known(name: string): string {
    const known = [...this.command.options, ...commonOptions].some((option) => option.name === name)
    if (!known) throw new RangeError(`${this.command.name} has no option ${name}`)
    return name
  }
}

/** `words`: what follows the command's name. Refused: `usage`. */
export function parseInvocation(command: Command, words: readonly string[]): Invocation {
  const options = Object.fromEntries(
    [...command.options, ...commonOptions].map((option) => [
      option.name,
      option.value === undefined
        ? ({ type: "boolean" } as const)
        : ({ type: "string", multiple: option.many === true } as const),
    ]),
  )
  const { values, positionals } = parsed(command, words, options)
  const invocation = new Invocation(command, values, positionals)
  if (invocation.flag("help")) return invocation
  checkArguments(command, positionals)
  for (const { name } of command.options.filter(({ needed }) => needed === true))
    if (values[name] === undefined) usage(`${command.name} needs --${name}`)
  return invocation
}

function parsed(
  command: Command,
  words: readonly string[],
  options: Readonly<
    Record<string, { readonly type: "string" | "boolean"; readonly multiple?: boolean }>
  >,
): {
  readonly values: Readonly<Record<string, unknown>>
  readonly positionals: readonly string[]
} {
  try {
    return parseArgs({ args: [...words], options, allowPositionals: true, strict: true })
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause
    // parseArgs explains at length; its first sentence names the option.
    const [sentence = "an option is not understood"] = cause.message.split(". ")
    throw new ChappeError("usage", `${command.name}: ${sentence.replace(/\.$/u, "")}`, { cause })
  }
}

function checkArguments(command: Command, given: readonly string[]): void {
  const needed = command.arguments.filter(({ optional }) => optional !== true)
  const missing = needed[given.length]
  if (missing !== undefined) usage(`${command.name} needs ${missing.name}`)
  const many = command.arguments.some((one: Argument) => one.many === true)
  const excess = many ? undefined : given[command.arguments.length]
  if (excess !== undefined) usage(`${command.name}: ${excess} is one word too many`)
}
