// Where the demonstration is played: it runs the same commands that a person would type, shows them and
// what they print, and hands their results on.

import { setTimeout as pause } from "node:timers/promises"
import { ChappeError } from "../../protocol/errors.ts"
import type { ExitCode } from "../command.ts"
import { asChappeError } from "../failure.ts"
import { parseInvocation } from "../invocation.ts"
import { type JsonObject, isJsonObject, parseJson } from "../json.ts"
import { Output } from "../output.ts"
import type { World } from "../world.ts"

const pollMs = 200
const patienceMs = 60_000

export type Played = {
  readonly results: readonly JsonObject[]
  readonly text: string
  readonly exit: ExitCode
  readonly error: ChappeError | undefined
}

export class Stage {
  readonly #world: World
  readonly #dir: string

  constructor(world: World, dir: string) {
    this.#world = world
    this.#dir = dir
  }

  tell(text: string): void {
    this.#world.output.result({ event: "story", text }, text)
  }

  scene(title: string): void {
    const { output } = this.#world
    output.result({ event: "scene", title }, `\n${output.style("bold", `== ${title} ==`)}`)
  }

  /** Shows the command and what it prints. Refused: what the command refuses. */
  async play(words: readonly string[]): Promise<JsonObject> {
    const played = await this.run(words)
    this.#show(words, played)
    if (played.error !== undefined) throw played.error
    return played.results.at(-1) ?? {}
  }

  /** A command that must be refused: shows how. */
  async playRefused(words: readonly string[]): Promise<ChappeError> {
    const played = await this.run(words)
    this.#show(words, played)
    if (played.error === undefined)
      throw new ChappeError("internal", "what had to be refused was not")
    return played.error
  }

  /** Runs the command again and again until a result is as wanted, and shows only that. */
  async playUntil(
    wanted: (result: JsonObject) => boolean,
    words: readonly string[],
  ): Promise<JsonObject> {
    const end = this.#world.nowMs() + patienceMs
    for (;;) {
      const played = await this.run(words)
      const found = played.results.find(wanted)
      if (found !== undefined) {
        this.#show(words, played)
        return found
      }
      if (this.#world.nowMs() > end)
        throw new ChappeError("unverified", `chappe ${words.slice(0, 2).join(" ")}: nothing came`)
      await pause(pollMs)
    }
  }

  /** Runs a command and captures what it prints for people. */
  async run(words: readonly string[]): Promise<Played> {
    const results: JsonObject[] = []
    let text = ""
    const output = new Output({
      json: false,
      colour: false,
      stdout: { write: (part) => (text += part) },
      stderr: { write: () => true },
      onResult: (object) => {
        const found = parseJson(JSON.stringify(object), "a result")
        if (isJsonObject(found)) results.push(found)
      },
    })
    try {
      // The table holds the demonstration too, so it comes in at call time.
      const { findCommand } = await import("../find-command.ts")
      const { command, rest } = findCommand(words)
      const exit = await command.run(parseInvocation(command, rest), { ...this.#world, output })
      return { results, text, exit: exit ?? 0, error: undefined }
    } catch (thrown) {
      const error = asChappeError(thrown)
      return { results, text: `${text}${output.errorText(error)}\n`, exit: 1, error }
    }
  }

  #show(words: readonly string[], { text, results, error }: Played): void {
    const { output } = this.#world
    const line = ["chappe", ...words].map((word) => this.#shown(word)).join(" ")
    const said = text.trimEnd().replaceAll(`${this.#dir}/`, "").replaceAll(/^/gmu, "    ")
    output.result(
      { event: "command", line, results, ...(error === undefined ? {} : { error: error.code }) },
      `\n  ${output.style("dim", "$")} ${output.style("bold", line)}\n${said}`,
    )
  }

  /** Paths are shown from the lab's folder on, words with blanks in quotes. */
  #shown(word: string): string {
    const short = word.startsWith(`${this.#dir}/`) ? word.slice(this.#dir.length + 1) : word
    return /^[\w./:,=@-]+$/u.test(short) ? short : `'${short}'`
  }
}
