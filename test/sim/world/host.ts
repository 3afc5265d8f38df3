// A machine with its process: a clock that may be wrong, a disk, and the end that can come at any call of a
// port. After a crash nothing of that life does anything any more: its timers are gone, its calls never return.

import type { Random } from "../../../keys/hedge.ts"
import { countingRandom } from "../../kit/counting-random.ts"
import type { Prng } from "../../kit/mutate.ts"
import { Disk } from "./disk.ts"
import type { Timeline } from "./timeline.ts"
import type { Trace } from "./trace.ts"

export type Sim = {
  readonly seed: number
  readonly timeline: Timeline
  readonly random: Prng
  readonly trace: Trace
  /** A promise that the code has broken. */
  readonly violation: (what: string) => void
}

const nothing = (): void => undefined

/** One run of the process. */
export class Life {
  isOver = false
  readonly disk: Disk
  readonly random: Random
  readonly #host: Host

  constructor(host: Host, number: number) {
    this.#host = host
    this.disk = new Disk(this, host)
    this.random = countingRandom(`${host.sim.seed} ${host.name} ${number}`)
  }

  /** Both clock ports: the node's and the relay's. */
  readonly clock = {
    seconds: (): number => this.#host.wallSeconds(),
    monotonicMs: (): number => this.#host.sim.timeline.nowMs,
    after: (ms: number, task: () => void): (() => void) =>
      this.#host.sim.timeline.after(ms, () => {
        if (!this.isOver) task()
      }),
    every: (ms: number, task: () => void): (() => void) => {
      const next = { stop: nothing }
      const again = (): void => {
        next.stop = this.clock.after(ms, () => {
          again()
          task()
        })
      }
      again()
      return () => next.stop()
    },
  }

  /** Never returns once this life is over. */
  async sleep(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      this.clock.after(ms, resolve)
    })
    this.portCall()
  }

  /** A call of a port: the one that was chosen is the last. */
  portCall(): void {
    if (!this.isOver) this.#host.portCalled()
  }

  /** A line of the process's own log. */
  readonly say = (event: string, fields: object = {}): void => {
    if (!this.isOver) this.#host.note(`${event} ${JSON.stringify(fields)}`)
  }
}

export abstract class Host {
  readonly name: string
  readonly sim: Sim
  /** Seconds by which its clock is wrong. */
  aheadSeconds = 0
  /** Its share of seconds that it counts too many. */
  drift = 0
  isDiskFull = false
  /** Disk writes until one fails. */
  writesLeft = Number.POSITIVE_INFINITY
  readsLeft = Number.POSITIVE_INFINITY
  slowDiskMs = 0
  /** Port calls until the process dies. */
  callsLeft = Number.POSITIVE_INFINITY
  /** A disk fault struck this life. */
  hadFault = false
  life: Life | undefined
  #lives = 0
  readonly #startSeconds: number

  constructor(sim: Sim, name: string, startSeconds: number) {
    this.sim = sim
    this.name = name
    this.#startSeconds = startSeconds
  }

  /** Everything durable, for bits to flip in. */
  abstract durable(): readonly Map<string | number, Uint8Array>[]
  /** Whether its process runs, and can notice that the clock jumps: whoever starts it sets the clock. */
  abstract get mayJump(): boolean
  protected abstract boot(life: Life): Promise<void>
  protected abstract gone(): void

  wallSeconds(): number {
    const passed = (this.sim.timeline.nowMs / 1_000) * (1 + this.drift)
    return Math.floor(this.#startSeconds + passed + this.aheadSeconds)
  }

  note(line: string): void {
    this.sim.trace.add(`${Math.round(this.sim.timeline.nowMs)} ${this.name} ${line}`)
  }

  /** Refused: whatever the start refuses. Never resolves when the process dies while it starts. */
  async start(): Promise<void> {
    if (this.life !== undefined) return
    this.hadFault = false
    this.life = new Life(this, (this.#lives += 1))
    this.note(`starts (life ${this.#lives})`)
    await this.boot(this.life)
  }

  crash(why: string): void {
    if (this.life === undefined) return
    this.note(`dies: ${why}`)
    this.life.isOver = true
    this.life = undefined
    // Whoever starts a machine sets its clock.
    this.aheadSeconds = 0
    this.callsLeft = Number.POSITIVE_INFINITY
    this.writesLeft = Number.POSITIVE_INFINITY
    this.readsLeft = Number.POSITIVE_INFINITY
    this.gone()
  }

  portCalled(): void {
    this.callsLeft -= 1
    if (this.callsLeft <= 0) this.crash("at a port call")
  }

  /** The process says itself that it cannot go on. */
  protected failed(life: Life, error: unknown): void {
    if (life.isOver) return
    this.crash(`it gave up: ${String(error)}`)
  }
}
