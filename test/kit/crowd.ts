// A relay as its own process and many members in this one, whose messages are sealed before the clock starts:
// what a crowd does to a relay, measured from outside.

import { setImmediate as immediate } from "node:timers/promises"
import { type CpuGroup, groupCpu } from "./cpu-group.ts"
import { Stage } from "./running-relays.ts"
import { RelayProcess } from "./relay-process.ts"
import type { SealOptions, Submission, TestNode } from "./test-node.ts"
import type { World } from "./world.ts"

export const crowdRelay = "hub1"
const sealedAtOnce = 64

export class Crowd {
  readonly stage: Stage
  readonly world: World
  readonly relay: RelayProcess
  readonly members: readonly TestNode[]
  readonly #sealed = new Map<string, Submission[]>()
  /** Both processes come before others. */
  readonly #first: CpuGroup

  private constructor(
    stage: Stage,
    parts: {
      readonly world: World
      readonly relay: RelayProcess
      readonly members: TestNode[]
      readonly first: CpuGroup
    },
  ) {
    this.stage = stage
    this.world = parts.world
    this.relay = parts.relay
    this.members = parts.members
    this.#first = parts.first
  }

  /** Members `AA`, `AB` … with a link each, and `HQ` without one. */
  static async gather(count: number): Promise<Crowd> {
    const names = Array.from({ length: count }, (_, i) => `A${String.fromCharCode(65 + i)}`)
    const stage = new Stage()
    try {
      const world = await stage.world([crowdRelay], { members: ["HQ", ...names] })
      const { dir, links } = stage.place(crowdRelay)
      const relay = await RelayProcess.start(dir)
      const first = await groupCpu([relay.pid, process.pid])
      const members: TestNode[] = []
      for (const name of names) {
        const node = await stage.node(world, name)
        await node.connect(crowdRelay, links)
        members.push(node)
      }
      return new Crowd(stage, { world, relay, members, first })
    } catch (cause) {
      await stage.end()
      throw cause
    }
  }

  /** Has `count` messages of this member ready in that lane. */
  async prepare(node: TestNode, count: number, options: Partial<SealOptions> = {}): Promise<void> {
    const ready = this.#ready(node, options)
    while (ready.length < count) {
      // Links want their pongs meanwhile.
      await immediate()
      const size = Math.min(sealedAtOnce, count - ready.length)
      const one = { to: ["HQ"], document: "x".repeat(900), ...options }
      ready.push(
        ...node.sealAll(
          crowdRelay,
          Array.from({ length: size }, () => one),
        ),
      )
    }
  }

  /** The next message that was prepared; undefined when all are gone. */
  next(node: TestNode, options: Partial<SealOptions> = {}): Submission | undefined {
    return this.#ready(node, options).shift()
  }

  /** A message that was not taken is the next again. */
  giveBack(node: TestNode, submission: Submission, options: Partial<SealOptions> = {}): void {
    this.#ready(node, options).unshift(submission)
  }

  #ready(node: TestNode, { lane = 0 }: Partial<SealOptions>): Submission[] {
    const name = `${node.name} ${lane}`
    const ready = this.#sealed.get(name) ?? []
    this.#sealed.set(name, ready)
    return ready
  }

  async end(): Promise<void> {
    await this.relay.stop()
    await this.#first.end()
    await this.stage.end()
  }
}

/** The smallest value that this share (0 … 1) of the values does not exceed; 0 of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}
