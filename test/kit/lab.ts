// A whole network as its own processes, started by `chappe lab`, for tests from outside.

import type { ChildProcess } from "node:child_process"
import { EventEmitter, once } from "node:events"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Json, chappeJson, onJsonLine, spawnChappe } from "./command.ts"
import { NodeApi } from "./node-api.ts"

export type LabProcess = {
  readonly name: string
  readonly role: string
  readonly pid: number
  readonly dir: string
  readonly url: string
}

export class Lab {
  readonly dir: string
  readonly processes = new Map<string, LabProcess>()
  readonly events: Json[] = []
  readonly #emitter = new EventEmitter()
  #up: ChildProcess | undefined

  private constructor(dir: string) {
    this.dir = dir
    this.#emitter.setMaxListeners(0)
  }

  /** Makes a lab in a new temporary folder; `up` starts it. */
  static async init(...args: readonly string[]): Promise<Lab> {
    return Lab.initIn(tmpdir(), ...args)
  }

  /** The same, inside another folder. */
  static async initIn(base: string, ...args: readonly string[]): Promise<Lab> {
    const dir = join(await mkdtemp(join(base, "chappe-")), "lab")
    await chappeJson(["lab", "init", "--dir", dir, ...args])
    return new Lab(dir)
  }

  /** Starts every process and resolves once all are ready. */
  async up(...args: readonly string[]): Promise<void> {
    const child = spawnChappe(["lab", "up", "--dir", this.dir, "--json", ...args])
    this.#up = child
    let stderr = ""
    child.stderr
      ?.setEncoding("utf8")
      .on("data", (text: string) => (stderr = `${stderr}${text}`.slice(-4_000)))
    onJsonLine(child, (line) => {
      this.events.push(line)
      if (line["event"] === "process") {
        const found = line as unknown as LabProcess
        this.processes.set(found.name, found)
      }
      this.#emitter.emit(String(line["event"]), line)
    })
    const ended = once(child, "exit").then(() => {
      throw new Error(`lab up ended: ${stderr}`)
    })
    await Promise.race([once(this.#emitter, "ready"), ended])
    ended.catch(() => undefined)
  }

  process(name: string): LabProcess {
    const found = this.processes.get(name)
    if (found === undefined) throw new Error(`no process ${name}`)
    return found
  }

  nodeDir(name: string): string {
    return join(this.dir, "nodes", name)
  }

  relayDir(name: string): string {
    return join(this.dir, "relays", name)
  }

  /** Ends a process at once, as a power switch would; resolves when `lab up` has started it again. */
  async kill(name: string): Promise<void> {
    const { pid } = this.process(name)
    const again = this.#nextProcess(name, pid)
    process.kill(pid, "SIGKILL")
    await again
  }

  /** Holds a process still: it answers nobody, and its sockets stay open. The function lets it go on. */
  hold(name: string): () => void {
    const { pid } = this.process(name)
    process.kill(pid, "SIGSTOP")
    return () => {
      // It may have been killed meanwhile.
      if (this.process(name).pid === pid) process.kill(pid, "SIGCONT")
    }
  }

  async #nextProcess(name: string, oldPid: number): Promise<void> {
    return new Promise((resolve) => {
      // One listener throughout: several processes may be told of in one breath.
      const look = (line: Json): void => {
        if (line["name"] !== name || line["pid"] === oldPid) return
        this.#emitter.off("process", look)
        resolve()
      }
      this.#emitter.on("process", look)
    })
  }

  /** Waits for the next event of this name. */
  async event(name: string): Promise<Json> {
    const [line] = (await once(this.#emitter, name)) as [Json]
    return line
  }

  /** A session of an officer at a member's node, over its HTTP interface. */
  api(member: string, officer = "duty"): NodeApi {
    return new NodeApi(this.nodeDir(member), officer)
  }

  async lab(): Promise<Json> {
    return JSON.parse(await readFile(join(this.dir, "lab.json"), "utf8")) as Json
  }

  async stop(): Promise<void> {
    const child = this.#up
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exit = once(child, "exit")
    child.kill("SIGTERM")
    await exit
  }

  /** Every process and their supervisor end at once, as when the power goes. */
  async crash(): Promise<void> {
    const child = this.#up
    if (child === undefined) return
    const exit = child.exitCode === null && child.signalCode === null ? once(child, "exit") : []
    child.kill("SIGKILL")
    for (const { pid } of this.processes.values())
      try {
        process.kill(pid, "SIGKILL")
      } catch {
        // It was gone before.
      }
    this.processes.clear()
    await exit
  }

  /** Stops everything and removes the folder. */
  async end(): Promise<void> {
    await this.stop()
    await rm(join(this.dir, ".."), { recursive: true, force: true })
  }
}
