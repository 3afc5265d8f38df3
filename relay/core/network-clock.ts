// Network time at a relay: of the witness quorum's cosignatures; without them the median of its own clock and
// its peers' HELLO times. While its own clock is off by more than 5 minutes, or too few agree with it, it
// neither logs nor expires. docs/PROTOCOL.md, "Time".

import {
  type ClockReading,
  type CosignedAt,
  CosignedTimes,
  HeardTimes,
  isClockOff,
} from "../../protocol/network-time.ts"
import { relayLimits } from "../limits.ts"
import type { Clock } from "./ports.ts"

export class NetworkClock {
  readonly #clock: Clock
  readonly #times: HeardTimes
  readonly #cosigned = new CosignedTimes()
  /** The policy's witnesses; none without a quorum. */
  readonly #witnesses: () => readonly string[]
  #askedAtMs = Number.NEGATIVE_INFINITY

  constructor(clock: Clock, witnesses: () => readonly string[]) {
    this.#clock = clock
    this.#times = new HeardTimes(this.#reading())
    this.#witnesses = witnesses
  }

  /** A peer's HELLO said `at`, just now. */
  heard(peer: string, at: number): void {
    this.#times.heard(peer, at, this.#reading())
  }

  /** A witness answered with this cosignature just now. */
  cosigned(witness: string, cosigned: CosignedAt): void {
    this.#cosigned.heard(witness, cosigned, this.#reading())
  }

  /** The own clock, seconds since 1970: what a HELLO says. */
  get own(): number {
    return this.#clock.seconds()
  }

  /** How far the own clock is behind network time, in seconds; negative: ahead. */
  get offset(): number {
    return this.#quorumOffset ?? this.#times.offset(this.#reading())
  }

  get now(): number {
    return this.#clock.seconds() + this.offset
  }

  get isOff(): boolean {
    return isClockOff(this.offset)
  }

  /** For what cannot be undone: the quorum agrees with this clock; without one more than half of all voices, its own among them. */
  get isAgreed(): boolean {
    const offset = this.#quorumOffset
    if (offset !== undefined) return !isClockOff(offset)
    return !this.isOff && this.#times.isAgreed(this.#reading())
  }

  /**
   * Peers that should say their time again, because this clock or theirs is wrong; none more than once in
   * _clockAskMs_.
   */
  doubtful(): readonly string[] {
    const nowMs = this.#clock.monotonicMs()
    if (this.isAgreed || nowMs - this.#askedAtMs < relayLimits.clockAskMs) return []
    this.#askedAtMs = nowMs
    return this.#times.disagreeing(this.#reading())
  }

  get #quorumOffset(): number | undefined {
    return this.#cosigned.offset(this.#witnesses(), this.#reading())
  }

  #reading(): ClockReading {
    return { seconds: this.#clock.seconds(), monotonicMs: this.#clock.monotonicMs() }
  }
}
