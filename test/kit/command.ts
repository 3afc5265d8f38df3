// Running the `chappe` command as an outsider's script would: its own process, arguments in, JSON lines out.

import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"

const main = fileURLToPath(new URL("../../cli/main.js", import.meta.url))

/** How to start the command: the interpreter, then the script. */
export const program: readonly string[] = [process.execPath, main]

export type Json = Readonly<Record<string, unknown>>

export type Outcome = {
  readonly code: number
  readonly lines: readonly Json[]
  readonly stdout: string
  readonly stderr: string
}

export function spawnChappe(args: readonly string[]): ChildProcess {
  const [interpreter = "", ...script] = program
  return spawn(interpreter, [...script, ...args], { stdio: ["pipe", "pipe", "pipe"] })
}

/** Runs a command to its end; `lines` are the JSON objects it printed. */
export async function chappe(args: readonly string[], input?: string): Promise<Outcome> {
  const child = spawnChappe(args)
  let stdout = ""
  let stderr = ""
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (stdout += text))
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr += text))
  child.stdin?.end(input ?? "")
  const [code] = (await once(child, "close")) as [number | null]
  return {
    code: code ?? -1,
    lines: args.includes("--json") ? jsonLines(stdout) : [],
    stdout,
    stderr,
  }
}

/** Like `chappe` with --json, and it must succeed. */
export async function chappeJson(args: readonly string[]): Promise<readonly Json[]> {
  const outcome = await chappe([...args, "--json"])
  if (outcome.code !== 0)
    throw new Error(
      `chappe ${args.join(" ")} ended with ${outcome.code}: ${outcome.stdout}${outcome.stderr}`,
    )
  return outcome.lines
}

export function jsonLines(text: string): readonly Json[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Json)
}

/** Calls `take` for each JSON line of a stream, as it comes. */
export function onJsonLine(child: ChildProcess, take: (line: Json) => void): void {
  if (child.stdout === null) throw new Error("no stdout")
  createInterface({ input: child.stdout }).on("line", (line) => take(JSON.parse(line) as Json))
}

/** The error code that a command printed, if it failed. */
export function errorCode({ lines }: Outcome): string | undefined {
  const error = lines.find((line) => "error" in line)?.["error"] as Json | undefined
  return error === undefined ? undefined : String(error["code"])
}
