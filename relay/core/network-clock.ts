// Network time at a relay: the median of its own clock and the other relays' HELLO times. While its own
// clock is off by more than 5 minutes it neither logs nor expires. docs/PROTOCOL.md, "Time".

import { clockOffset, isClockOff } from "../../protocol/network-time.ts"
import type { Clock } from "./ports.ts"

export class NetworkClock {
  readonly #clock: Clock
  readonly #offsets = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Another relay's HELLO said `at`, just now. */
  heard(relay: string, at: number): void {
    this.#offsets.set(relay, at - this.#clock.seconds())
  }

  forget(relay: string): void {
    this.#offsets.delete(relay)
  }

  /** The own clock, seconds since 1970: what a HELLO says. */
  get own(): number {
    return this.#clock.seconds()
  }

  get now(): number {
    return this.#clock.seconds() + clockOffset([...this.#offsets.values()])
  }

  get isOff(): boolean {
    return isClockOff(clockOffset([...this.#offsets.values()]))
  }
}
