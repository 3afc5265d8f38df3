// Network time: of the witness quorum's cosignatures; without them the median of the own clock and the
// relays' HELLO times. docs/PROTOCOL.md, "Time".
//
// An own clock that is far off holds everything: nothing is sent, taken in, expired or erased by it.

import {
  type ClockReading,
  type CosignedAt,
  CosignedTimes,
  HeardTimes,
  isClockOff,
} from "../../protocol/network-time.ts"
import type { Clock } from "./ports.ts"

export class NetworkClock {
  readonly #clock: Clock
  readonly #times: HeardTimes
  readonly #cosigned = new CosignedTimes()
  /** The policy's witnesses; none without a quorum. */
  readonly #witnesses: () => readonly string[]

  constructor(clock: Clock, witnesses: () => readonly string[]) {
    this.#clock = clock
    this.#times = new HeardTimes(this.#reading())
    this.#witnesses = witnesses
  }

  /** A relay's HELLO said this time just now. */
  heard(relay: string, at: number): void {
    this.#times.heard(relay, at, this.#reading())
  }

  /** A relay showed a witness's cosignature just now. */
  cosigned(witness: string, cosigned: CosignedAt): void {
    this.#cosigned.heard(witness, cosigned, this.#reading())
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
    return this.#quorumOffset ?? this.#times.offset(this.#reading())
  }

  get isOff(): boolean {
    return isClockOff(this.offsetSeconds)
  }

  /** By more than the tolerance, while this process ran. */
  get hasJumped(): boolean {
    return this.#times.hasJumped(this.#reading())
  }

  /** For what cannot be undone: the quorum agrees with the own clock; without one, every relay that was heard. */
  get isConfirmed(): boolean {
    const offset = this.#quorumOffset
    return offset === undefined ? this.#times.isConfirmed(this.#reading()) : !isClockOff(offset)
  }

  get #quorumOffset(): number | undefined {
    return this.#cosigned.offset(this.#witnesses(), this.#reading())
  }

  #reading(): ClockReading {
    return { seconds: this.#clock.seconds(), monotonicMs: this.#clock.monotonicMs() }
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs()
  }

  after(ms: number, task: () => void): () => void {
    return this.#clock.after(ms, task)
  }
}
