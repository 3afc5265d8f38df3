// Network time without a witness quorum: the median of the own clock and the relays' HELLO times.
// docs/PROTOCOL.md, "Time". With a quorum it comes from cosignatures, and this is the fallback.

import { limits } from "./limits.ts"

/**
 * How far the own clock is behind network time, in seconds (negative: ahead).
 * `offsets` are `peer's HELLO time − own clock at that moment`, one per relay.
 */
export function clockOffset(offsets: readonly number[]): number {
  const all = [0, ...offsets].toSorted((a, b) => a - b)
  const middle = Math.floor(all.length / 2)
  const upper = all[middle] ?? 0
  if (all.length % 2 === 1) return upper
  // Of two middle values the one nearer to the own clock: one relay alone must not move it.
  const lower = all[middle - 1] ?? 0
  return Math.abs(lower) <= Math.abs(upper) ? lower : upper
}

/** Off by more than 5 minutes: hold, alarm; neither log nor expire nor erase. */
export function isClockOff(offset: number): boolean {
  return Math.abs(offset) > limits.clockSkewSecondsMax
}
