// A relay as its own process, started from its folder, for tests that watch it from outside: what it answers,
// how much memory it takes, how much work it does.

import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { readFile } from "node:fs/promises"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import type { Json } from "./command.ts"

const main = fileURLToPath(new URL("../../cli/main.js", import.meta.url))
/** Linux counts a process's work in these. */
const msPerTick = 10

export class RelayProcess {
  readonly #child: ChildProcess
  #isStopping = false
  /** What it said on stderr when it ended by itself. */
  death: string | undefined

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  /** Resolves once it is ready. `flags` are Node's. */
  static async start(dir: string, flags: readonly string[] = []): Promise<RelayProcess> {
    const args = [...flags, main, "relay", "start", "--dir", dir, "--json", "--with-parent"]
    const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "pipe"] })
    const relay = new RelayProcess(child)
    let said = ""
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      said = `${said}${text}`.slice(-4_000)
    })
    child.once("exit", (code, signal) => {
      if (!relay.#isStopping) relay.death = `ended with ${code ?? signal}: ${said}`
    })
    if (child.stdout === null) throw new Error("no stdout")
    const lines = createInterface({ input: child.stdout })
    const ready = new Promise<void>((resolve) => {
      lines.on("line", (line) => {
        if ((JSON.parse(line) as Json)["event"] === "ready") resolve()
      })
    })
    const ended = once(child, "exit").then(() => {
      throw new Error(`the relay did not start: ${said}`)
    })
    await Promise.race([ready, ended])
    ended.catch(() => undefined)
    return relay
  }

  get pid(): number {
    const { pid } = this.#child
    if (pid === undefined) throw new Error("no process")
    return pid
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exit = once(this.#child, "exit")
    this.#child.kill("SIGTERM")
    await exit
  }

  /** Milliseconds of processor time since it started, user and system. */
  async cpuMs(): Promise<number> {
    const stat = await readFile(`/proc/${this.pid}/stat`, "utf8")
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return (Number(fields[11]) + Number(fields[12])) * msPerTick
  }

  async memory(): Promise<ProcessMemory> {
    return processMemory(this.pid)
  }
}

/** Resident memory now, and its highest so far, in MiB. */
export type ProcessMemory = { readonly nowMiB: number; readonly highestMiB: number }

export async function processMemory(pid: number): Promise<ProcessMemory> {
  const status = await readFile(`/proc/${pid}/status`, "utf8")
  const kib = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+([0-9]+) kB`, "mu").exec(status)?.[1])
  return { nowMiB: kib("VmRSS") / 1_024, highestMiB: kib("VmHWM") / 1_024 }
}
