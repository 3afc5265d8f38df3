// The network between machines, as TCP shows it: a connection's frames arrive whole and in order, or late, or the
// connection ends. Each direction between two machines has a delay and a rate, and can be stopped by itself.

import { sha256 } from "../../../keys/crypto.ts"
import { utf8 } from "../../../protocol/bytes.ts"
import type { Host, Life, Sim } from "./host.ts"

/** One direction between two machines. */
export type Path = { isStopped: boolean; delayMs: number; bytesPerMs: number }

export type Ears = {
  readonly received: (frame: Uint8Array) => void
  readonly ended: () => void
}

/** One end of a connection; both link sessions' `Wire`. */
export class End {
  isOpen = true
  bufferedBytes = 0
  ears: Ears | undefined
  other: End | undefined
  readonly life: Life
  readonly #connection: Connection
  readonly #path: Path
  readonly #held: (() => void)[] = []
  #freeAtMs = 0
  #lastMs = 0

  constructor(connection: Connection, life: Life, path: Path) {
    this.#connection = connection
    this.life = life
    this.#path = path
  }

  send(frame: Uint8Array): void {
    this.life.portCall()
    if (!this.isOpen || this.life.isOver) return
    const copy = frame.slice()
    this.bufferedBytes += copy.length
    this.#pass(copy.length, () => {
      this.bufferedBytes -= copy.length
      const { other } = this
      if (other?.isOpen === true && !other.life.isOver) other.ears?.received(copy)
    })
  }

  /** After what was sent. */
  end(): void {
    if (!this.isOpen) return
    this.isOpen = false
    this.#later(() => this.ears?.ended())
    this.#pass(0, () => this.other?.hangUp())
  }

  cut(): void {
    if (!this.isOpen) return
    this.end()
  }

  /** The other end is gone. */
  hangUp(): void {
    if (!this.isOpen) return
    this.isOpen = false
    if (!this.life.isOver) this.ears?.ended()
  }

  get isStuck(): boolean {
    return this.#path.isStopped
  }

  /** The path is free again. */
  goOn(): void {
    for (const arrive of this.#held.splice(0)) this.#arriveLater(0, arrive)
  }

  #pass(bytes: number, arrive: () => void): void {
    const { nowMs } = this.#connection.sim.timeline
    this.#freeAtMs = Math.max(this.#freeAtMs, nowMs) + bytes / this.#path.bytesPerMs
    this.#arriveLater(this.#freeAtMs + this.#path.delayMs - nowMs, arrive)
  }

  #arriveLater(ms: number, arrive: () => void): void {
    const { timeline } = this.#connection.sim
    this.#lastMs = Math.max(this.#lastMs, timeline.nowMs + ms)
    timeline.after(this.#lastMs - timeline.nowMs, () => {
      if (this.#connection.isReset) return
      if (this.#path.isStopped || this.#held.length > 0) this.#held.push(arrive)
      else arrive()
    })
  }

  #later(task: () => void): void {
    this.#connection.sim.timeline.after(0, () => {
      if (!this.life.isOver) task()
    })
  }
}

export class Connection {
  readonly sim: Sim
  readonly from: Host
  readonly to: Host
  readonly ends: readonly [End, End]
  readonly exporter: Uint8Array
  isReset = false

  constructor(
    network: Network,
    from: Host,
    to: Host,
    lives: readonly [Life, Life],
    number: number,
  ) {
    this.sim = network.sim
    this.from = from
    this.to = to
    const near = new End(this, lives[0], network.path(from.name, to.name))
    const far = new End(this, lives[1], network.path(to.name, from.name))
    near.other = far
    far.other = near
    this.ends = [near, far]
    this.exporter = sha256(utf8(`connection ${this.sim.seed} ${number}`))
  }

  reset(): void {
    if (this.isReset) return
    this.isReset = true
    for (const end of this.ends) end.hangUp()
  }
}

export class Network {
  readonly sim: Sim
  readonly #paths = new Map<string, Path>()
  #connections: Connection[] = []
  #made = 0

  constructor(sim: Sim) {
    this.sim = sim
  }

  path(from: string, to: string): Path {
    const key = `${from}>${to}`
    const path = this.#paths.get(key) ?? { isStopped: false, delayMs: 1, bytesPerMs: 12_500 }
    this.#paths.set(key, path)
    return path
  }

  /** Tells once the other machine has answered; never when it cannot be reached. */
  dial(from: Host, to: Host, told: (connection: Connection | undefined) => void): void {
    const { life } = from
    const [there, back] = [this.path(from.name, to.name), this.path(to.name, from.name)]
    if (life === undefined) return
    life.clock.after(2 * (there.delayMs + back.delayMs), () => {
      if (there.isStopped || back.isStopped) return
      if (to.life === undefined) return told(undefined)
      const lives = [life, to.life] as const
      const connection = new Connection(this, from, to, lives, (this.#made += 1))
      this.#connections.push(connection)
      told(connection)
    })
  }

  /** The kernel of a machine whose process ended tells the others, where they can be reached. */
  left(host: Host): void {
    const its = (one: Connection): boolean => one.from === host || one.to === host
    for (const connection of this.#connections.filter(its)) {
      const [near, far] = connection.ends
      const own = connection.from === host ? near : far
      own.end()
    }
    this.#connections = this.#connections.filter((one) => !its(one))
  }

  reset(host: Host): void {
    for (const one of this.#connections) if (one.from === host || one.to === host) one.reset()
    this.#connections = this.#connections.filter(({ isReset }) => !isReset)
  }

  /** Undoes every fault between these; what waited goes on in its order. */
  heal(isWanted: (name: string) => boolean = () => true): void {
    for (const [key, path] of this.#paths) {
      if (!key.split(">").some(isWanted)) continue
      Object.assign(path, { isStopped: false, delayMs: 1, bytesPerMs: 12_500 })
    }
    for (const { ends } of this.#connections) for (const end of ends) if (!end.isStuck) end.goOn()
  }
}
