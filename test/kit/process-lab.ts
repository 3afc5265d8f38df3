// A whole network whose processes are started one by one, each in surroundings of its own: a network
// namespace, another clock. `Lab` is for everything else.

import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Lab as LabPlan, readLab } from "../../cli/lab/lab-file.ts"
import { SupervisedProcess } from "../../cli/lab/supervised-process.ts"
import { chappeJson, program } from "./command.ts"
import { NodeApi } from "./node-api.ts"

type Plan = { readonly role: "relay" | "node"; readonly dir: string }

export class ProcessLab {
  readonly dir: string
  readonly plan: LabPlan
  readonly #plans = new Map<string, Plan>()
  readonly #running = new Map<string, SupervisedProcess>()
  readonly #pids = new Map<string, number>()

  private constructor(dir: string, plan: LabPlan) {
    this.dir = dir
    this.plan = plan
    for (const { name, dir: own } of plan.relays) this.#plans.set(name, { role: "relay", dir: own })
    for (const { name, dir: own } of plan.nodes) this.#plans.set(name, { role: "node", dir: own })
  }

  /** Makes a lab in a new temporary folder; nothing is started. */
  static async init(...args: readonly string[]): Promise<ProcessLab> {
    const dir = join(await mkdtemp(join(tmpdir(), "chappe-")), "lab")
    await chappeJson(["lab", "init", "--dir", dir, ...args])
    return new ProcessLab(dir, await readLab(dir))
  }

  /** Relays first. */
  get names(): readonly string[] {
    return [...this.#plans.keys()]
  }

  get members(): readonly string[] {
    return this.plan.nodes.map(({ name }) => name)
  }

  get relays(): readonly string[] {
    return this.plan.relays.map(({ name }) => name)
  }

  dirOf(name: string): string {
    return join(this.dir, this.#planOf(name).dir)
  }

  pidOf(name: string): number {
    const pid = this.#pids.get(name)
    if (pid === undefined) throw new Error(`${name} is not running`)
    return pid
  }

  /**
   * Starts a process and resolves once it is ready; it is started again whenever it dies, until `stop`.
   * `around`: the command that runs it, such as `env NAME=value`.
   */
  async start(name: string, around: readonly string[] = []): Promise<void> {
    const { role } = this.#planOf(name)
    const running = new SupervisedProcess(
      { name, role, dir: this.dirOf(name), program: [...around, ...program], restart: true },
      () => Date.now(),
      (event) => {
        if (event.event === "process") this.#pids.set(name, event.pid)
      },
    )
    this.#running.set(name, running)
    await running.start()
  }

  async startAll(around: (name: string) => readonly string[] = () => []): Promise<void> {
    await Promise.all(this.names.map((name) => this.start(name, around(name))))
  }

  async stop(name: string): Promise<void> {
    await this.#running.get(name)?.stop()
    this.#running.delete(name)
  }

  /** A session of an officer at a member's node. */
  api(member: string, officer = "duty"): NodeApi {
    return new NodeApi(this.dirOf(member), officer)
  }

  /** What a process wrote to standard error, one JSON object a line. */
  async logOf(name: string): Promise<string> {
    return await readFile(join(this.dirOf(name), "run", "process.log"), "utf8")
  }

  /** Stops everything and removes the folder. */
  async end(): Promise<void> {
    await Promise.all([...this.#running.keys()].map((name) => this.stop(name)))
    await rm(join(this.dir, ".."), { recursive: true, force: true })
  }

  #planOf(name: string): Plan {
    const plan = this.#plans.get(name)
    if (plan === undefined) throw new Error(`no process ${name}`)
    return plan
  }
}
