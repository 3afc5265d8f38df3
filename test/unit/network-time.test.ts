// A wall clock that jumps while its process runs: what relays said before does not jump with it.

import { describe, expect, test } from "vitest"
import { HeardTimes, clockOffset } from "../../protocol/network-time.ts"

const day = 86_400
const at = (seconds: number, monotonicMs: number): { seconds: number; monotonicMs: number } => ({
  seconds,
  monotonicMs,
})

describe("network time", () => {
  test("of two voices is the one nearer to the clock before it jumped", () => {
    expect(clockOffset([400], 400)).toBe(400)
    expect(clockOffset([400], 0)).toBe(0)
  })

  test.each([400 * day, -400 * day])("stays when the own clock jumps by %i s", (jump) => {
    for (const relays of [["hub2"], ["hub1", "hub2"]]) {
      const times = new HeardTimes(at(1_000_000, 0))
      for (const relay of relays) times.heard(relay, 1_000_001, at(1_000_000, 0))
      expect(times.offset(at(1_000_010 + jump, 10_000))).toBeCloseTo(-jump, -1)
      expect(times.isAgreed(at(1_000_010 + jump, 10_000))).toBe(false)
      expect(times.offset(at(1_000_020, 20_000))).toBeLessThan(2)
      expect(times.isAgreed(at(1_000_020, 20_000))).toBe(true)
    }
  })

  test("is not moved by one other relay's jump", () => {
    const times = new HeardTimes(at(1_000_000, 0))
    times.heard("hub2", 1_000_000 + 400 * day, at(1_000_000, 0))
    expect(times.offset(at(1_000_060, 60_000))).toBe(0)
    // Nobody knows which of the two is right: what cannot be undone waits.
    expect(times.isAgreed(at(1_000_060, 60_000))).toBe(false)
    times.heard("hub3", 1_000_060, at(1_000_060, 60_000))
    expect(times.isAgreed(at(1_000_060, 60_000))).toBe(true)
  })

  test("follows a clock that was wrong and is set right", () => {
    const times = new HeardTimes(at(1_000_000, 0))
    times.heard("hub2", 1_000_000 + 9_000, at(1_000_000, 0))
    times.heard("hub2", 1_009_010, at(1_009_010, 10_000))
    expect(times.offset(at(1_009_020, 20_000))).toBe(0)
    expect(times.isConfirmed(at(1_009_020, 20_000))).toBe(true)
  })

  test("comes anew from new HELLOs after all machines slept", () => {
    const times = new HeardTimes(at(1_000_000, 0))
    times.heard("hub2", 1_000_000, at(1_000_000, 0))
    const woken = at(1_003_600, 10_000)
    expect(Math.abs(times.offset(woken))).toBeGreaterThan(300)
    expect(times.hasJumped(woken)).toBe(true)
    times.heard("hub2", 1_003_600, woken)
    expect(times.offset(woken)).toBe(0)
    expect(times.hasJumped(woken)).toBe(false)
  })

  test("does not take two clocks' ticks for a jump", () => {
    const times = new HeardTimes(at(1_000_000, 900))
    times.heard("hub2", 1_000_000, at(1_000_000, 900))
    expect(times.offset(at(1_000_001, 1_001))).toBe(0)
  })
})
