// After a start a relay appends to no log until those have spoken who would know if it was put back from an
// old copy: whatever it gave out last was shown to whoever was linked. It waits for a bounded time, and only
// while somebody is there; mail that waits goes out meanwhile. docs/PROTOCOL.md, "Rollback".

import { relayLimits } from "../limits.ts"
import type { Links, Peer } from "./links.ts"
import type { Logs } from "./logs.ts"
import type { Clock, Journal } from "./ports.ts"
import type { Rollback } from "./rollback.ts"
import type { Witnessing } from "./witnessing.ts"

export type LogStartParts = {
  readonly logs: Logs
  readonly links: Links
  readonly witnessing: Witnessing
  readonly rollback: Rollback
  /** Relays, and members at home here: who may have seen more of the logs. */
  readonly peers: () => readonly string[]
  readonly clock: Clock
  readonly journal: Journal
  /** The logs may be appended to from this moment on. */
  readonly released: () => void
}

export class LogStart {
  readonly #parts: LogStartParts
  readonly #beganMs: number
  readonly #heard = new Set<string>()
  #firstMs: number | undefined
  readonly #begun: Promise<void>
  #begin: () => void = () => undefined

  constructor(parts: LogStartParts) {
    this.#parts = parts
    this.#beganMs = parts.clock.monotonicMs()
    this.#begun = new Promise((resolve) => {
      this.#begin = resolve
    })
    if (!parts.logs.isHeld) this.#begin()
  }

  /** Resolves once the logs may be appended to. */
  async begun(): Promise<void> {
    await this.#begun
  }

  /** To be called for each new link, once our logs are on their way to it. */
  async linked(peer: Peer): Promise<void> {
    const { links, witnessing, clock } = this.#parts
    const isBehind = await witnessing.hasSeenMore(peer)
    if (isBehind || links.get(peer.name) !== peer) return
    this.#heard.add(peer.name)
    this.#firstMs ??= clock.monotonicMs()
    this.tend()
  }

  /** Lets the logs go on when it is time; to be called a few times a second. */
  tend(): void {
    const { logs, rollback, journal, released } = this.#parts
    if (!logs.isHeld || rollback.isShown || !this.#isDue()) return
    logs.release()
    journal.info("logs-go-on", { heard: this.#heard.size })
    released()
    this.#begin()
  }

  #isDue(): boolean {
    const { clock, peers } = this.#parts
    const nowMs = clock.monotonicMs()
    if (nowMs - this.#beganMs >= relayLimits.logStartAloneMs) return true
    if (this.#firstMs === undefined) return false
    if (nowMs - this.#firstMs >= relayLimits.logStartMs) return true
    return peers().every((name) => this.#heard.has(name))
  }
}
