// Network time at a relay: the median of its own clock and the other relays' HELLO times. While its own
// clock is off by more than 5 minutes it neither logs nor expires. docs/PROTOCOL.md, "Time".

import { type ClockReading, HeardTimes, isClockOff } from "../../protocol/network-time.ts"
import type { Clock } from "./ports.ts"

export class NetworkClock {
  readonly #clock: Clock
  readonly #times: HeardTimes
  #wasOff = false

  constructor(clock: Clock) {
    this.#clock = clock
    this.#times = new HeardTimes(this.#reading())
  }

  /** Another relay's HELLO said `at`, just now. */
  heard(relay: string, at: number): void {
    this.#times.heard(relay, at, this.#reading())
  }

  /** The own clock, seconds since 1970: what a HELLO says. */
  get own(): number {
    return this.#clock.seconds()
  }

  /** How far the own clock is behind network time, in seconds; negative: ahead. */
  get offset(): number {
    return this.#times.offset(this.#reading())
  }

  get now(): number {
    return this.#clock.seconds() + this.offset
  }

  get isOff(): boolean {
    return isClockOff(this.offset)
  }

  /** For what cannot be undone: more than half, this clock among them, agree with it. */
  get isAgreed(): boolean {
    return this.#times.isAgreed(this.#reading())
  }

  /** True once each time this clock is found off because it jumped. */
  turnedOff(): boolean {
    const was = this.#wasOff
    this.#wasOff = this.isOff && this.#times.hasJumped(this.#reading())
    return this.#wasOff && !was
  }

  #reading(): ClockReading {
    return { seconds: this.#clock.seconds(), monotonicMs: this.#clock.monotonicMs() }
  }
}
