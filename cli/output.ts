// What the command prints. Results go to stdout: for people, or with --json one JSON object a line and nothing
// else. Talk goes to stderr.

import { styleText } from "node:util"
import { type ChappeError, errorRow } from "../protocol/errors.ts"

type Sink = { readonly write: (text: string) => unknown; readonly isTTY?: boolean }

export type Style = "bold" | "dim" | "red" | "green" | "yellow"

export class Output {
  readonly json: boolean
  readonly #stdout: Sink
  readonly #stderr: Sink
  readonly #colour: boolean
  readonly #onResult: (object: object) => void

  constructor(options: {
    readonly json: boolean
    readonly colour: boolean
    readonly stdout: Sink
    readonly stderr: Sink
    /** Hears of each result too, in whatever form it is printed. */
    readonly onResult?: (object: object) => void
  }) {
    this.json = options.json
    this.#stdout = options.stdout
    this.#stderr = options.stderr
    this.#colour = options.colour
    this.#onResult = options.onResult ?? (() => undefined)
  }

  /** A result: the object with --json, else the text for people. */
  result(object: object, text: string): void {
    this.#onResult(object)
    this.#stdout.write(this.json ? `${JSON.stringify(object)}\n` : `${printable(text)}\n`)
  }

  /** Progress and advice, never a result. */
  say(text: string): void {
    this.#stderr.write(`${printable(text)}\n`)
  }

  /** What `--json` does not replace: the man page, a completion script. */
  raw(text: string): void {
    this.#stdout.write(text)
  }

  error(error: ChappeError): void {
    const { code, message, next } = error
    if (this.json) this.#stdout.write(`${JSON.stringify({ error: { code, message, next } })}\n`)
    else this.#stderr.write(`${printable(this.errorText(error))}\n`)
  }

  errorText(error: ChappeError): string {
    const { sentence } = errorRow(error.code)
    const detail = error.message === sentence ? "" : ` (${error.message})`
    const first = `${this.style("red", "chappe:")} ${sentence}${detail}.`
    return `${first}\n  ${this.style("bold", "next:")} ${error.next}  [${error.code}]`
  }

  /** Colours on a terminal only. */
  style(style: Style, text: string): string {
    return this.#colour && !this.json ? styleText(style, text, { validateStream: false }) : text
  }

  /** Rows in aligned columns; the last column runs free. */
  table(rows: readonly (readonly string[])[]): string {
    const widths: number[] = []
    for (const row of rows)
      row.forEach((cell, i) => {
        widths[i] = Math.max(widths[i] ?? 0, Array.from(cell).length)
      })
    const line = (row: readonly string[]): string =>
      row
        .map((cell, i) => cell + " ".repeat((widths[i] ?? 0) - Array.from(cell).length))
        .join("  ")
        .trimEnd()
    return rows.map(line).join("\n")
  }
}

/** The last gate before the terminal: control characters that are not our own colours. */
function printable(text: string): string {
  return text.replaceAll(
    // oxlint-disable-next-line no-control-regex
    /(?!\u001b\[\d{1,2}m)[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/gu,
    "\u{fffd}",
  )
}

/** Text of other people: no control characters at all, no direction overrides. */
export function harmless(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/gu, "\u{fffd}")
}
