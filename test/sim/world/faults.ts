// What can go wrong, and how it is put right again. Each fault is one function; which one strikes whom is drawn
// from the seed.

import type { Host, Sim } from "./host.ts"
import type { Network } from "./network.ts"

type Flip = {
  readonly host: Host
  readonly store: Map<string | number, Uint8Array>
  readonly key: string | number
  readonly before: Uint8Array
  readonly flipped: Uint8Array
}

type Strike = (host: Host) => void

const day = 86_400

export class Faults {
  readonly counts: Record<string, number> = {}
  readonly #sim: Sim
  readonly #hosts: readonly Host[]
  readonly #network: Network
  #flips: Flip[] = []

  constructor(sim: Sim, hosts: readonly Host[], network: Network) {
    this.#sim = sim
    this.#hosts = hosts
    this.#network = network
  }

  readonly #strikes: Readonly<Record<string, Strike>> = {
    crash: (host) => host.crash("killed"),
    crashAtCall: (host) => {
      host.callsLeft = 1 + this.#below(120)
    },
    crashAll: () => {
      for (const host of this.#hosts) host.crash("the power is out")
    },
    writeFails: (host) => {
      host.writesLeft = 1 + this.#below(20)
    },
    readFails: (host) => {
      host.readsLeft = 1 + this.#below(200)
    },
    full: (host) => {
      host.isDiskFull = true
      this.#later(20_000, () => (host.isDiskFull = false))
    },
    slowDisk: (host) => {
      host.slowDiskMs = this.#below(1_500)
      this.#later(20_000, () => (host.slowDiskMs = 0))
    },
    flip: (host) => this.#flip(host),
    reset: (host) => this.#network.reset(host),
    deaf: (host) => this.#stop(this.#hosts, [host]),
    mute: (host) => this.#stop([host], this.#hosts),
    unplugged: (host) => {
      this.#stop([host], this.#hosts)
      this.#stop(this.#hosts, [host])
    },
    split: () => {
      const side = this.#hosts.filter(() => this.#below(2) === 0)
      const other = this.#hosts.filter((host) => !side.includes(host))
      this.#stop(side, other)
      if (this.#below(3) > 0) this.#stop(other, side)
    },
    flapping: (host) => this.#flap(host, 2 + this.#below(20)),
    slowLink: (host) => {
      for (const other of this.#hosts)
        for (const path of this.#both(host, other))
          Object.assign(path, { delayMs: 20 + this.#below(600), bytesPerMs: 4 + this.#below(64) })
    },
    heal: () => this.#network.heal(),
    clock: (host) => {
      const most = this.#sim.random.pick([90, 3_600, 30 * day, 400 * day])
      if (host.mayJump) host.aheadSeconds = this.#below(2 * most) - most
      host.note(`clock is ${host.aheadSeconds} s ahead`)
    },
    clockRight: (host) => {
      host.aheadSeconds = 0
    },
    drift: (host) => {
      host.drift = (this.#below(21) - 10) / 100
    },
  }

  strike(): void {
    const kind = this.#sim.random.pick(Object.keys(this.#strikes))
    const host = this.#sim.random.pick(this.#hosts)
    this.counts[kind] = (this.counts[kind] ?? 0) + 1
    host.note(`fault: ${kind}`)
    this.#strikes[kind]?.(host)
  }

  /** Whether a record of this machine is not what was written. */
  isDamaged(host: Host): boolean {
    return this.#flips.some((flip) => flip.host === host)
  }

  /** Somebody brought the machine's disk back to what it was. */
  repair(host: Host): void {
    for (const { store, key, before, flipped } of this.#flips.filter((flip) => flip.host === host))
      if (store.get(key) === flipped) store.set(key, before)
    this.#flips = this.#flips.filter((flip) => flip.host !== host)
  }

  /** No fault from now on; machines that are down are for somebody else to start. */
  end(): void {
    this.#network.heal()
    for (const host of this.#hosts) {
      if (this.isDamaged(host)) host.crash("its disk is repaired")
      this.repair(host)
      host.isDiskFull = false
      host.slowDiskMs = 0
      host.writesLeft = Number.POSITIVE_INFINITY
      host.readsLeft = Number.POSITIVE_INFINITY
      host.callsLeft = Number.POSITIVE_INFINITY
      host.aheadSeconds = 0
      host.drift = 0
    }
  }

  /** A machine that stands still is damaged; it must notice when it runs again. */
  #flip(host: Host): void {
    host.crash("killed")
    const stores = host.durable().filter(({ size }) => size > 0)
    if (stores.length === 0) return
    const store = this.#sim.random.pick(stores)
    const key = this.#sim.random.pick([...store.keys()])
    const before = store.get(key)
    if (before === undefined || before.length === 0) return
    const flipped = before.slice()
    const at = this.#below(flipped.length)
    flipped[at] = (flipped[at] ?? 0) ^ (1 << this.#below(8))
    store.set(key, flipped)
    this.#flips.push({ host, store, key, before, flipped })
    host.note(`a bit of ${String(key)} is flipped`)
  }

  #flap(host: Host, times: number): void {
    if (times === 0) return
    this.#stop([host], this.#hosts)
    this.#sim.timeline.after(20 + this.#below(480), () => {
      this.#network.heal((name) => name === host.name)
      this.#sim.timeline.after(20 + this.#below(480), () => this.#flap(host, times - 1))
    })
  }

  #stop(from: readonly Host[], to: readonly Host[]): void {
    for (const a of from)
      for (const b of to) if (a !== b) this.#network.path(a.name, b.name).isStopped = true
  }

  #both(a: Host, b: Host) {
    return [this.#network.path(a.name, b.name), this.#network.path(b.name, a.name)]
  }

  #below(limit: number): number {
    return this.#sim.random.below(limit)
  }

  #later(ms: number, task: () => void): void {
    this.#sim.timeline.after(this.#below(ms), task)
  }
}
