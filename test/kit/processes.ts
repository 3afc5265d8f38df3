// A lab whose processes a test starts and ends one by one, from folders of its choice.

import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Json, chappeJson, onJsonLine, spawnChappe } from "./command.ts"
import { NodeApi } from "./node-api.ts"

export class Processes {
  readonly dir: string
  readonly #running = new Map<string, ChildProcess>()

  private constructor(dir: string) {
    this.dir = dir
  }

  static async init(...args: readonly string[]): Promise<Processes> {
    const dir = await mkdtemp(join(tmpdir(), "chappe-"))
    await chappeJson(["lab", "init", "--dir", join(dir, "lab"), ...args])
    return new Processes(dir)
  }

  path(...names: readonly string[]): string {
    return join(this.dir, ...names)
  }

  node(name: string): string {
    return this.path("lab", "nodes", name)
  }

  relay(name: string): string {
    return this.path("lab", "relays", name)
  }

  /** Resolves once it is ready. */
  async start(role: "node" | "relay", dir: string): Promise<void> {
    const child = spawnChappe([role, "start", "--dir", dir, "--json"])
    this.#running.set(dir, child)
    child.stderr?.resume()
    const ready = new Promise<void>((resolve, reject) => {
      onJsonLine(child, (line: Json) => {
        if (line["event"] === "ready") resolve()
        if ("error" in line) reject(new Error(JSON.stringify(line)))
      })
      child.once("exit", (code) => {
        reject(new Error(`${dir} ended with ${code}`))
      })
    })
    await ready
  }

  /** Starts it and resolves with the code of the error that it ends by. */
  async endedBy(role: "node" | "relay", dir: string): Promise<string> {
    const child = spawnChappe([role, "start", "--dir", dir, "--json"])
    this.#running.set(dir, child)
    child.stderr?.resume()
    return await new Promise((resolve, reject) => {
      onJsonLine(child, (line: Json) => {
        if ("error" in line) resolve(String((line["error"] as Json)["code"]))
      })
      child.once("close", (code) => reject(new Error(`${dir} ended with ${code}`)))
    })
  }

  /** Ends it at once, as a power switch would, or in order. */
  async end(dir: string, signal: "SIGKILL" | "SIGTERM" = "SIGKILL"): Promise<void> {
    const child = this.#running.get(dir)
    this.#running.delete(dir)
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exit = once(child, "exit")
    child.kill(signal)
    await exit
  }

  api(dir: string, officer = "duty"): NodeApi {
    return new NodeApi(dir, officer)
  }

  async endAll(): Promise<void> {
    for (const dir of this.#running.keys()) await this.end(dir)
    await rm(this.dir, { recursive: true, force: true })
  }
}
