// What is known of each peer's conduct, for operators: since when it is linked or away, how far its clock is
// off, why its link was refused, and what last went wrong in each lane. Kept in memory: a restart asks anew.

import type { Peer } from "./links.ts"

/** `atMs` of the monotonic clock. */
export type Trouble = { readonly code: string; readonly atMs: number }

export type Conduct = {
  /** Since when the link stands, or since when it does not; monotonic, undefined when it never did. */
  readonly linkedSinceMs: number | undefined
  readonly downSinceMs: number | undefined
  /** The version of the protocol that we speak with it. */
  readonly version: number | undefined
  /** Its clock minus ours at its last HELLO, in seconds. */
  readonly skewSeconds: number | undefined
  /** Its last link was refused, here or there. */
  readonly refused: Trouble | undefined
  /** The last item that it refused for good, and that was set aside. */
  readonly setAside: Trouble | undefined
}

const unseen: Conduct = {
  linkedSinceMs: undefined,
  downSinceMs: undefined,
  version: undefined,
  skewSeconds: undefined,
  refused: undefined,
  setAside: undefined,
}

export class PeerWatch {
  readonly #nowMs: () => number
  readonly #conduct = new Map<string, Conduct>()
  readonly #troubles = new Map<string, Trouble>()

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  up({ name }: Peer): void {
    const linkedSinceMs = this.#nowMs()
    this.#note(name, { linkedSinceMs, downSinceMs: undefined, refused: undefined })
  }

  down({ name }: Peer): void {
    this.#note(name, { linkedSinceMs: undefined, downSinceMs: this.#nowMs() })
  }

  /** A HELLO of the peer's held. */
  heard(name: string, said: Pick<Conduct, "version" | "skewSeconds">): void {
    this.#note(name, said)
  }

  /** A link of the peer's was not made. */
  refused(name: string, code: string): void {
    this.#note(name, { refused: { code, atMs: this.#nowMs() } })
  }

  /** An item of this queue and lane was not taken; it stays. */
  failed(queue: string, lane: number, code: string): void {
    this.#troubles.set(`${queue} ${lane}`, { code, atMs: this.#nowMs() })
  }

  /** An item was taken: what went wrong before is over. */
  succeeded(queue: string, lane: number): void {
    this.#troubles.delete(`${queue} ${lane}`)
  }

  setAside(name: string, code: string): void {
    this.#note(name, { setAside: { code, atMs: this.#nowMs() } })
  }

  of(name: string): Conduct {
    return this.#conduct.get(name) ?? unseen
  }

  trouble(queue: string, lane: number): Trouble | undefined {
    return this.#troubles.get(`${queue} ${lane}`)
  }

  #note(name: string, change: Partial<Conduct>): void {
    this.#conduct.set(name, { ...this.of(name), ...change })
  }
}
