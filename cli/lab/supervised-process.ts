// One process of a lab: started, watched, started again when it dies, asked to stop, then made to.
//
// The child gets a pipe as stdin and ends when it closes: so none outlives this process, even if this one is killed.

import { type ChildProcess, spawn } from "node:child_process"
import { closeSync, mkdirSync, openSync, statSync, truncateSync } from "node:fs"
import { join } from "node:path"
import { ChappeError, isErrorCode } from "../../protocol/errors.ts"
import { systemCode } from "../failure.ts"
import { isJsonObject, parseJson, textField } from "../json.ts"
import { cliLimits } from "../limits.ts"
import { onLines } from "./line-reader.ts"

export type ProcessRole = "relay" | "node"

export type ProcessEvent =
  | {
      readonly event: "process"
      readonly name: string
      readonly role: ProcessRole
      readonly pid: number
      readonly dir: string
      readonly url: string
    }
  | {
      readonly event: "exit"
      readonly name: string
      readonly role: ProcessRole
      readonly pid: number
      readonly code: number | null
      readonly signal: string | null
      /** What the process itself said before it ended. */
      readonly error?: { readonly code: string; readonly message: string }
    }

export type ProcessPlan = {
  readonly name: string
  readonly role: ProcessRole
  readonly dir: string
  /** How to start this programme: the interpreter, then the script. */
  readonly program: readonly string[]
  readonly restart: boolean
}

export class SupervisedProcess {
  readonly #plan: ProcessPlan
  readonly #tell: (event: ProcessEvent) => void
  readonly #nowMs: () => number
  #child: ChildProcess | undefined
  #stopping = false
  #everReady = false
  #delayMs: number = cliLimits.restartFirstMs
  #timer: NodeJS.Timeout | undefined

  constructor(plan: ProcessPlan, nowMs: () => number, tell: (event: ProcessEvent) => void) {
    this.#plan = plan
    this.#nowMs = nowMs
    this.#tell = tell
  }

  get isRunning(): boolean {
    return this.#child !== undefined || this.#timer !== undefined
  }

  /** Resolves when the process says that it is ready. Refused: what the process itself reported. */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#launch(resolve, reject)
    })
  }

  #launch(ready: () => void, failed: (error: ChappeError) => void): void {
    const { name, role, dir, program } = this.#plan
    const [interpreter = "", ...script] = program
    const log = openLog(dir)
    const words = [role, "start", "--dir", dir, "--json", "--with-parent"]
    const child = spawn(interpreter, [...script, ...words], {
      stdio: ["pipe", "pipe", log],
      // A group of its own: Ctrl-C reaches the supervisor, which stops its children in order.
      detached: true,
    })
    closeSync(log)
    const { stdin, stdout } = child
    if (stdin === null || stdout === null) throw new RangeError("a child without pipes")
    this.#child = child
    const startedMs = this.#nowMs()
    let said: ChappeError | undefined
    let failure = new ChappeError("internal", `${role} ${name} ended before it was ready`)
    const patience = setTimeout(() => {
      failure = new ChappeError("internal", `${role} ${name} is not ready in time`)
      child.kill("SIGKILL")
    }, cliLimits.readyPatienceMs)
    // The pipe breaks when the child dies: that is what it is for.
    stdin.on("error", () => undefined)
    onLines(stdout, (line) => {
      const heard = saidBy(line)
      if (heard instanceof ChappeError) failure = said = heard
      if (typeof heard !== "string") return
      clearTimeout(patience)
      this.#everReady = true
      this.#tell({ event: "process", name, role, pid: child.pid ?? 0, dir, url: heard })
      ready()
    })
    child.once("error", (cause) => {
      failure = new ChappeError("internal", `${role} ${name} cannot be started`, { cause })
    })
    child.once("close", (code, signal) => {
      clearTimeout(patience)
      this.#child = undefined
      const error = said && { code: said.code, message: said.message }
      const ended = { name, role, pid: child.pid ?? 0, code, signal, ...(error && { error }) }
      this.#tell({ event: "exit", ...ended })
      failed(failure)
      if (this.#stopping || !this.#plan.restart || !this.#everReady) return
      this.#startAgain(this.#nowMs() - startedMs)
    })
  }

  #startAgain(livedMs: number): void {
    if (livedMs > cliLimits.restartCalmMs) this.#delayMs = cliLimits.restartFirstMs
    const relaunch = (): void => {
      this.#timer = undefined
      if (!this.#stopping)
        this.#launch(
          () => {
            this.#delayMs = cliLimits.restartFirstMs
          },
          () => undefined,
        )
    }
    this.#timer = setTimeout(relaunch, this.#delayMs)
    this.#delayMs = Math.min(2 * this.#delayMs, cliLimits.restartMostMs)
  }

  /** Asks the process to end, and ends it if it does not. */
  async stop(): Promise<void> {
    this.#stopping = true
    clearTimeout(this.#timer)
    this.#timer = undefined
    const child = this.#child
    if (child === undefined) return
    const closed = new Promise<void>((resolve) => {
      child.once("close", () => {
        resolve()
      })
    })
    child.kill("SIGTERM")
    child.stdin?.end()
    const patience = setTimeout(() => {
      child.kill("SIGKILL")
    }, cliLimits.stopPatienceMs)
    await closed
    clearTimeout(patience)
  }
}

/** A ready line's url, an error, or nothing that matters here. */
function saidBy(line: string): string | ChappeError | undefined {
  try {
    const found = parseJson(line, "a line")
    if (!isJsonObject(found)) return undefined
    if (found["event"] === "ready") return textField(found, "url")
    const error = found["error"]
    if (!isJsonObject(error)) return undefined
    const code = textField(error, "code")
    return new ChappeError(isErrorCode(code) ? code : "internal", textField(error, "message"))
  } catch (error) {
    if (error instanceof ChappeError) return undefined
    throw error
  }
}

const logName = "process.log"
const logBytesMax = 10_000_000 // of one process over many starts; older lines are of no use in a lab

/** What a process says on stderr is kept in its folder. */
function openLog(dir: string): number {
  const folder = join(dir, "run")
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const path = join(folder, logName)
  try {
    if (statSync(path).size > logBytesMax) truncateSync(path)
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error
  }
  return openSync(path, "a", 0o600)
}
