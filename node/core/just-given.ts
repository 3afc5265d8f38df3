// What was handed over a moment ago is not handed over again at once: one message may be 1 MB, and whoever
// asks may ask without end.

import { toHex } from "../../protocol/bytes.ts"
import { nodeLimits } from "../limits.ts"
import type { NetworkClock } from "./network-clock.ts"

export class JustGiven {
  readonly #clock: NetworkClock
  /** By member or relay and message: when it was given, oldest first. */
  readonly #given = new Map<string, number>()

  constructor(clock: NetworkClock) {
    this.#clock = clock
  }

  /** Whether this message was given to `to`, or for it, a moment ago. If not, it is given now. */
  has(to: string, messageId: Uint8Array): boolean {
    const name = `${to}/${toHex(messageId)}`
    const nowMs = this.#clock.monotonicMs()
    const last = this.#given.get(name)
    if (last !== undefined && nowMs - last < nodeLimits.handAgainPauseMs) return true
    this.#given.delete(name)
    this.#given.set(name, nowMs)
    const [oldest] = this.#given.keys()
    if (this.#given.size > nodeLimits.handAgainRemembered && oldest !== undefined)
      this.#given.delete(oldest)
    return false
  }
}
