// Network time: of the witness quorum's cosignatures, and without them the median of the own clock and what
// peers' HELLOs said. docs/PROTOCOL.md, "Time".

import { limits } from "./limits.ts"

/**
 * How far the own clock is behind network time, in seconds (negative: ahead).
 * `offsets` are `peer's time − own clock`, one per peer. `steady` is how far the own clock is behind where it
 * would be had it not jumped.
 */
export function clockOffset(offsets: readonly number[], steady = 0): number {
  const all = [ownVoice(offsets, steady), ...offsets].toSorted((a, b) => a - b)
  const middle = Math.floor(all.length / 2)
  const upper = all[middle] ?? 0
  if (all.length % 2 === 1) return upper
  // Of two middle values the one nearer to the own clock, before it jumped: one peer alone must not move it.
  const lower = all[middle - 1] ?? 0
  return Math.abs(lower - steady) <= Math.abs(upper - steady) ? lower : upper
}

/** A clock that has jumped counts where it would be, unless somebody agrees with where it is now. */
function ownVoice(offsets: readonly number[], steady: number): number {
  return offsets.some((offset) => !isClockOff(offset)) ? 0 : steady
}

/** Off by more than 5 minutes: hold, alarm; neither log nor expire nor erase. */
export function isClockOff(offset: number): boolean {
  return Math.abs(offset) > limits.clockSkewSecondsMax
}

/** Both clocks of a machine, read together. `seconds` may jump, `monotonicMs` never does. */
export type ClockReading = { readonly seconds: number; readonly monotonicMs: number }

type Heard = { readonly offset: number; readonly lead: number }

function heardAt(at: number, now: ClockReading): Heard {
  return { offset: at - now.seconds, lead: leadOf(now) }
}

function offsetOf({ offset, lead }: Heard, now: ClockReading): number {
  return offset - jumpSince(lead, now)
}

/**
 * What peers' HELLOs said of the time. It is kept against the monotonic clock: a wall clock that jumps
 * while links stand does not take it along.
 */
export class HeardTimes {
  readonly #heard = new Map<string, Heard>()
  /** The wall clock's lead over the monotonic one, seconds, when it last agreed with a peer, or at the start. */
  #steadyLead: number

  constructor(now: ClockReading) {
    this.#steadyLead = leadOf(now)
  }

  /** A peer's HELLO said `at` just now. */
  heard(peer: string, at: number, now: ClockReading): void {
    const heard = heardAt(at, now)
    this.#heard.set(peer, heard)
    if (!isClockOff(heard.offset)) this.#steadyLead = heard.lead
  }

  /** Network time minus own clock, seconds. */
  offset(now: ClockReading): number {
    return clockOffset(this.#offsets(now), this.#steady(now))
  }

  /** The own clock has jumped since it last agreed with a peer, or since the start. */
  hasJumped(now: ClockReading): boolean {
    return isClockOff(jumpSince(this.#steadyLead, now))
  }

  /** Some peer was heard, and none disagrees with the own clock. */
  isConfirmed(now: ClockReading): boolean {
    return this.#heard.size > 0 && !this.#offsets(now).some(isClockOff)
  }

  /** More than half of those who tell the time, the own clock among them, agree with the own clock. */
  isAgreed(now: ClockReading): boolean {
    const offsets = this.#offsets(now)
    const all = [ownVoice(offsets, this.#steady(now)), ...offsets]
    return 2 * all.filter((offset) => !isClockOff(offset)).length > all.length
  }

  /** Whose word is more than the tolerance from the own clock. */
  disagreeing(now: ClockReading): readonly string[] {
    return [...this.#heard].flatMap(([peer, heard]) =>
      isClockOff(offsetOf(heard, now)) ? [peer] : [],
    )
  }

  #steady(now: ClockReading): number {
    return 0 - jumpSince(this.#steadyLead, now)
  }

  #offsets(now: ClockReading): readonly number[] {
    return [...this.#heard.values()].map((heard) => offsetOf(heard, now))
  }
}

/** A cosignature: of which log at which size, and the witness's word for the time. */
export type CosignedAt = { readonly origin: string; readonly size: number; readonly time: number }

type Cosigned = Heard & { readonly size: number }

/**
 * The newest cosignature of each witness, by name of its key. A log that grew brings a witness's later word,
 * whatever the times say: so a witness whose clock was ahead is heard again once it is right, and an old
 * checkpoint that is shown again changes nothing.
 */
export class CosignedTimes {
  readonly #heard = new Map<string, Map<string, Cosigned>>()

  /** The witness's cosignature became known just now. */
  heard(witness: string, { origin, size, time }: CosignedAt, now: ClockReading): void {
    const logs = this.#heard.get(witness) ?? new Map<string, Cosigned>()
    this.#heard.set(witness, logs)
    const before = logs.get(origin)
    const heard = { ...heardAt(time, now), size }
    if (before !== undefined) {
      if (size < before.size) return
      if (size === before.size && heard.offset <= offsetOf(before, now)) return
    }
    logs.set(origin, heard)
  }

  /**
   * Network time minus own clock by the k-th newest of these n witnesses, k = ⌊n ÷ 2⌋ + 1: fewer than half
   * of them cannot move it either way. Undefined while fewer than k were heard.
   */
  offset(witnesses: readonly string[], now: ClockReading): number | undefined {
    const offsets = witnesses.flatMap((witness) => {
      const logs = [...(this.#heard.get(witness)?.values() ?? [])]
      return logs.length === 0 ? [] : [Math.max(...logs.map((heard) => offsetOf(heard, now)))]
    })
    const kth = offsets.toSorted((a, b) => b - a)[Math.floor(witnesses.length / 2)]
    if (witnesses.length === 0 || kth === undefined) return undefined
    // A cosignature is so old when it comes here: that much says nothing against the own clock.
    return Math.abs(kth) <= limits.cosignatureLagSeconds ? 0 : kth
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
