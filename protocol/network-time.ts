// Network time without a witness quorum: the median of the own clock and the relays' HELLO times.
// docs/PROTOCOL.md, "Time". With a quorum it comes from cosignatures, and this is the fallback.

import { limits } from "./limits.ts"

/**
 * How far the own clock is behind network time, in seconds (negative: ahead).
 * `offsets` are `peer's time − own clock`, one per relay. `steady` is how far the own clock is behind where it
 * would be had it not jumped.
 */
export function clockOffset(offsets: readonly number[], steady = 0): number {
  const all = [0, ...offsets].toSorted((a, b) => a - b)
  const middle = Math.floor(all.length / 2)
  const upper = all[middle] ?? 0
  if (all.length % 2 === 1) return upper
  // Of two middle values the one nearer to the own clock, before it jumped: one relay alone must not move it.
  const lower = all[middle - 1] ?? 0
  return Math.abs(lower - steady) <= Math.abs(upper - steady) ? lower : upper
}

/** Off by more than 5 minutes: hold, alarm; neither log nor expire nor erase. */
export function isClockOff(offset: number): boolean {
  return Math.abs(offset) > limits.clockSkewSecondsMax
}

/** Both clocks of a machine, read together. `seconds` may jump, `monotonicMs` never does. */
export type ClockReading = { readonly seconds: number; readonly monotonicMs: number }

type Heard = { readonly offset: number; readonly lead: number }

/**
 * What relays' HELLOs said of the time. It is kept against the monotonic clock: a wall clock that jumps
 * while links stand does not take it along.
 */
export class HeardTimes {
  readonly #heard = new Map<string, Heard>()
  /** The wall clock's lead over the monotonic one, seconds, when it last agreed with a relay, or at the start. */
  #steadyLead: number

  constructor(now: ClockReading) {
    this.#steadyLead = leadOf(now)
  }

  /** A relay's HELLO said `at` just now. */
  heard(relay: string, at: number, now: ClockReading): void {
    const offset = at - now.seconds
    this.#heard.set(relay, { offset, lead: leadOf(now) })
    if (!isClockOff(offset)) this.#steadyLead = leadOf(now)
  }

  /** Network time minus own clock, seconds. */
  offset(now: ClockReading): number {
    return clockOffset(this.#offsets(now), -jumpSince(this.#steadyLead, now))
  }

  /** The own clock has jumped since it last agreed with a relay, or since the start. */
  hasJumped(now: ClockReading): boolean {
    return isClockOff(jumpSince(this.#steadyLead, now))
  }

  /** Some relay was heard, and none disagrees with the own clock. */
  isConfirmed(now: ClockReading): boolean {
    return this.#heard.size > 0 && !this.#offsets(now).some(isClockOff)
  }

  /** More than half of those who tell the time, the own clock among them, agree with the own clock. */
  isAgreed(now: ClockReading): boolean {
    const all = [0, ...this.#offsets(now)]
    return 2 * all.filter((offset) => !isClockOff(offset)).length > all.length
  }

  #offsets(now: ClockReading): readonly number[] {
    return [...this.#heard.values()].map(({ offset, lead }) => offset - jumpSince(lead, now))
  }
}

function leadOf({ seconds, monotonicMs }: ClockReading): number {
  return seconds - monotonicMs / 1_000
}

/** Whole seconds; the two clocks do not tick together, so one second is none. */
function jumpSince(lead: number, now: ClockReading): number {
  const jump = Math.round(leadOf(now) - lead)
  return Math.abs(jump) <= 1 ? 0 : jump
}
