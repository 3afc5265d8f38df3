// A whole federation in one process, on virtual time, from one seed.
//
// What is real: the cores of nodes and relays with their cryptography, the link sessions, the diallers, the
// tasks that come round. What is simulated: the clock (timeline.ts), each machine with its disk and its end at
// any call of a port (host.ts, disk.ts), and the network (network.ts). Officers work (workload.ts) while faults
// strike (faults.ts). After every step all that can be looked at must be right; when the faults have ended,
// everything must arrive within a bounded time.
//
// Nothing in here may depend on anything but the seed: the same seed gives the same digest, on any machine.

import { ChappeError } from "../../../protocol/errors.ts"
import { type Faults as Wrongs, isFaultless } from "../../kit/judge.ts"
import { prng } from "../../kit/mutate.ts"
import { World } from "../../kit/world.ts"
import { Faults } from "./faults.ts"
import type { Host, Sim } from "./host.ts"
import { Network } from "./network.ts"
import { NodeHost } from "./node-host.ts"
import { RelayHost } from "./relay-host.ts"
import { Timeline } from "./timeline.ts"
import { Trace } from "./trace.ts"
import { Workload } from "./workload.ts"

export type Outcome = {
  readonly seed: number
  readonly digest: string
  readonly violation: string | undefined
  /** The last things that happened before it. */
  readonly last: readonly string[]
  readonly messages: number
  readonly events: number
  readonly virtualSeconds: number
  /** From the end of the faults until everything was where it belongs. */
  readonly settledSeconds: number
  /** What relays still hold of delivered mail, whose receipts went another way: it goes when it expires. */
  readonly copiesLeft: number
  readonly faults: Readonly<Record<string, number>>
}

/** Restarts, links, a retry of each patience, the lanes' gaps: everything is delivered well within it. */
const settleSecondsMax = 180
const beginning = 1_800_000_000

/** `kept`: so many of the last lines come back. */
export async function simulate(seed: number, steps: number, kept = 200): Promise<Outcome> {
  const federation = new Federation(seed, kept)
  const onRejection = (cause: unknown): void => federation.broken(cause)
  process.on("unhandledRejection", onRejection)
  try {
    return await federation.run(steps)
  } finally {
    process.off("unhandledRejection", onRejection)
  }
}

class Federation {
  #violation: string | undefined
  readonly #trace: Trace
  readonly #sim: Sim
  readonly #hosts: readonly Host[]
  readonly #relays: readonly RelayHost[]
  readonly #faults: Faults
  readonly #workload: Workload
  readonly #starting = new Set<Host>()

  constructor(seed: number, kept: number) {
    this.#trace = new Trace(kept)
    const random = prng(seed)
    const timeline = new Timeline()
    const trace = this.#trace
    this.#sim = { seed, timeline, random, trace, violation: (what) => this.#violate(what) }
    const relayNames = ["hub1", "hub2", "hub3"].slice(0, 1 + random.below(3))
    const memberNames = ["HQ", "FR", "JP", "BR"].slice(0, 2 + random.below(3))
    const world = worldOf(memberNames, relayNames)
    const network = new Network(this.#sim)
    const relays: RelayHost[] = relayNames.map(
      (name) => new RelayHost(this.#sim, world, name, network, () => relays),
    )
    const nodes = memberNames.map((name) => new NodeHost(this.#sim, world, name, network, relays))
    this.#relays = relays
    this.#hosts = [...relays, ...nodes]
    this.#faults = new Faults(this.#sim, this.#hosts, network)
    this.#workload = new Workload(this.#sim, nodes)
  }

  async run(steps: number): Promise<Outcome> {
    const { random, timeline } = this.#sim
    for (let step = 0; step < steps && this.#violation === undefined; step++) {
      for (const host of this.#hosts) this.#startLater(host, 15_000)
      const action = random.below(10)
      if (action < 4) this.#workload.send()
      else if (action < 6) this.#quietly(this.#workload.read())
      else this.#faults.strike()
      this.#workload.pump()
      await timeline.run(random.below(3_000))
      await this.#check(step % 10 === 9)
    }
    const settledSeconds = await this.#settle()
    return {
      seed: this.#sim.seed,
      digest: this.#trace.digest(),
      violation: this.#violation,
      last: this.#trace.last,
      messages: this.#workload.wanted,
      events: timeline.events,
      virtualSeconds: Math.round(timeline.nowMs / 1_000),
      settledSeconds,
      copiesLeft: this.#copiesLeft(),
      faults: this.#faults.counts,
    }
  }

  #copiesLeft(): number {
    const depths = this.#relays.flatMap(({ core }) => [...(core?.gauge.all().values() ?? [])])
    return depths.reduce((sum, { items }) => sum + items, 0)
  }

  /** What the code let fall. A failed disk ends the process anyhow. */
  broken(cause: unknown): void {
    if (cause instanceof ChappeError && ["storage", "disk-full"].includes(cause.code)) return
    this.#violate(`nobody caught ${cause instanceof Error ? (cause.stack ?? "") : String(cause)}`)
  }

  /** Without faults, until all is well; the seconds that it took. */
  async #settle(): Promise<number> {
    const { timeline } = this.#sim
    this.#faults.end()
    const begin = timeline.nowMs
    let why: string | undefined = "nothing was looked at"
    while (this.#violation === undefined && why !== undefined) {
      for (const host of this.#hosts) this.#startLater(host, 1_000)
      this.#workload.pump()
      await timeline.run(1_000)
      why = await this.#unfinished()
      if (why === undefined || timeline.nowMs - begin < settleSecondsMax * 1_000) continue
      this.#violate(`after ${settleSecondsMax} s: ${why}`)
    }
    return Math.round((timeline.nowMs - begin) / 1_000)
  }

  async #unfinished(): Promise<string | undefined> {
    const wrongs = await this.#check(false)
    const unfinished = await this.#whileRunning(this.#workload.unfinished())
    if (unfinished !== undefined) return unfinished
    if (wrongs !== undefined && !isFaultless(wrongs)) return JSON.stringify(wrongs)
    await this.#check(true)
    return undefined
  }

  /** Looks at everything; lost and unsettled is only what does not come in the end. */
  async #check(again: boolean): Promise<Wrongs | undefined> {
    const wrongs = await this.#whileRunning(this.#workload.judge(again))
    if (wrongs !== undefined && !isFaultless({ ...wrongs, lost: 0, unsettled: 0 }))
      this.#violate(`judged ${JSON.stringify(wrongs)}`)
    return wrongs
  }

  /** Undefined when a machine died while it was asked. Time goes on only as far as disks need. */
  async #whileRunning<T>(asked: Promise<T>): Promise<T | undefined> {
    const look: { answer?: T; isOver: boolean } = { isOver: false }
    const wait = async (): Promise<void> => {
      try {
        look.answer = await asked
      } catch (cause) {
        if (!(cause instanceof ChappeError)) this.broken(cause)
      }
      look.isOver = true
    }
    void wait()
    for (let turns = 0; turns < 3 && !look.isOver; turns++) await this.#sim.timeline.run(0)
    return look.answer
  }

  #quietly(task: Promise<void>): void {
    task.catch((cause: unknown) => {
      if (!(cause instanceof ChappeError)) this.broken(cause)
    })
  }

  #startLater(host: Host, msMax: number): void {
    if (host.life !== undefined || this.#starting.has(host)) return
    this.#starting.add(host)
    this.#sim.timeline.after(100 + this.#sim.random.below(msMax), () => {
      this.#starting.delete(host)
      host.start().catch((cause: unknown) => this.#startRefused(host, cause))
    })
  }

  #startRefused(host: Host, cause: unknown): void {
    host.crash(`it does not start: ${String(cause)}`)
    if (!(cause instanceof ChappeError)) this.broken(cause)
    else if (this.#faults.isDamaged(host)) this.#faults.repair(host)
    else if (!host.hadFault && host.aheadSeconds === 0)
      this.#violate(`${host.name} does not start: ${String(cause)}`)
  }

  #violate(what: string): void {
    this.#violation ??= what
    this.#trace.add(`VIOLATION ${what}`)
  }
}

const worlds = new Map<string, World>()

/** Founding takes longer than many steps; a world does not change. */
function worldOf(members: readonly string[], relays: readonly string[]): World {
  const key = [...members, ...relays].join(" ")
  const urls = Object.fromEntries(
    relays.map((name) => [name, { links: [`wss://${name}:1`], https: [`https://${name}:2`] }]),
  )
  const world = worlds.get(key) ?? new World({ at: beginning, members, relays, urls })
  worlds.set(key, world)
  return world
}
