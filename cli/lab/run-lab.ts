// Runs a lab: every process as one of its own, until it is told to stop.

import { join } from "node:path"
import { ChappeError } from "../../protocol/errors.ts"
import { cliLimits } from "../limits.ts"
import type { World } from "../world.ts"
import { type Joined, LabCustodians } from "./custodians.ts"
import { readLab } from "./lab-file.ts"
import { type ProcessEvent, SupervisedProcess } from "./supervised-process.ts"

export type LabEvent =
  ProcessEvent | { readonly event: "ready" } | ({ readonly event: "joined" } & Joined)

export class RunningLab {
  readonly #processes: readonly SupervisedProcess[]
  readonly #custodians: LabCustodians
  readonly #tell: (event: LabEvent) => void
  readonly #say: (text: string) => void
  /** Resolves when no process is left that could come back. */
  readonly ended: Promise<void>
  #poll: NodeJS.Timeout | undefined
  #attending: Promise<void> = Promise.resolve()
  #stopped = false

  private constructor(options: {
    readonly processes: readonly SupervisedProcess[]
    readonly custodians: LabCustodians
    readonly tell: (event: LabEvent) => void
    readonly say: (text: string) => void
    readonly ended: Promise<void>
  }) {
    this.ended = options.ended
    this.#processes = options.processes
    this.#custodians = options.custodians
    this.#tell = options.tell
    this.#say = options.say
  }

  /** Starts all processes and waits until all are ready. If one cannot start, none is left running. */
  static async start(
    world: World,
    options: {
      readonly dir: string
      readonly restart: boolean
      readonly tell: (event: LabEvent) => void
      /** Called before anything is started, so that a signal in between stops it all. */
      readonly started: (lab: RunningLab) => void
    },
  ): Promise<RunningLab> {
    const { dir, restart, tell } = options
    const lab = await readLab(dir)
    const { program } = world.environment
    const plans = [
      ...lab.relays.map((item) => ({ ...item, role: "relay" as const })),
      ...lab.nodes.map((item) => ({ ...item, role: "node" as const })),
    ]
    let lastEnded: (() => void) | undefined
    const ended = new Promise<void>((resolve) => {
      lastEnded = resolve
    })
    const processes: readonly SupervisedProcess[] = plans.map(
      ({ name, role, dir: own }) =>
        new SupervisedProcess(
          { name, role, dir: join(dir, own), program, restart },
          world.nowMs,
          (event) => {
            tell(event)
            if (event.event === "exit" && !restart && !processes.some((one) => one.isRunning))
              lastEnded?.()
          },
        ),
    )
    const running = new RunningLab({
      processes,
      custodians: new LabCustodians(world, dir, lab),
      ended,
      tell,
      say: (text) => {
        world.output.say(text)
      },
    })
    options.started(running)
    try {
      await Promise.all(processes.map((one) => one.start()))
    } catch (error) {
      await running.stop()
      throw error
    }
    tell({ event: "ready" })
    running.#attend()
    return running
  }

  #attend(): void {
    this.#poll = setTimeout(() => {
      this.#attending = this.#look().finally(() => {
        if (!this.#stopped) this.#attend()
      })
    }, cliLimits.joinPollMs)
  }

  async #look(): Promise<void> {
    try {
      for (const joined of await this.#custodians.attend())
        this.#tell({ event: "joined", ...joined })
    } catch (error) {
      if (!(error instanceof ChappeError)) throw error
      // A relay may just be down: the request stays and is looked at again.
      if (error.code !== "no-relay") this.#say(`custodians: ${error.message}`)
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#poll)
    await this.#attending
    await Promise.all(this.#processes.map((one) => one.stop()))
  }
}
