// Network time: the median of the own clock and the relays' HELLO times. docs/PROTOCOL.md, "Time".
//
// An own clock that is far off holds everything: nothing is sent, taken in, expired or erased by it.

import { clockOffset, isClockOff } from "../../protocol/network-time.ts"
import type { Clock } from "./ports.ts"

export class NetworkClock {
  readonly #clock: Clock
  readonly #offsets = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** A relay's HELLO said this time just now. */
  heard(relay: string, at: number): void {
    this.#offsets.set(relay, at - this.#clock.seconds())
  }

  /** Network time, seconds since 1970. */
  now(): number {
    return Math.max(0, this.#clock.seconds() + this.offsetSeconds)
  }

  /** This machine's own idea of the time, as HELLO tells it. */
  ownSeconds(): number {
    return this.#clock.seconds()
  }

  get offsetSeconds(): number {
    return clockOffset([...this.#offsets.values()])
  }

  get isOff(): boolean {
    return isClockOff(this.offsetSeconds)
  }

  /** For what cannot be undone: some relay was heard, and none disagrees with the own clock. */
  get isConfirmed(): boolean {
    return this.#offsets.size > 0 && ![...this.#offsets.values()].some(isClockOff)
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs()
  }

  after(ms: number, task: () => void): () => void {
    return this.#clock.after(ms, task)
  }
}
