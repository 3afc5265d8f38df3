// A wall clock that jumps while its process runs: what relays said before does not jump with it.

import { describe, expect, test } from "vitest"
import { CosignedTimes, HeardTimes, clockOffset } from "../../protocol/network-time.ts"

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

  test("stays when the own clock jumps while another voice is far off the other way", () => {
    const times = new HeardTimes(at(1_000_000, 0))
    times.heard("hub1", 1_000_000, at(1_000_000, 0))
    const jumped = at(1_000_010 + 522, 10_000)
    times.heard("hub1", 1_000_010, jumped)
    times.heard("hub2", 1_000_010 + 9 * day, jumped)
    expect(times.offset(jumped)).toBe(-522)
    expect(times.isAgreed(jumped)).toBe(false)
    expect(times.offset(at(1_000_020, 20_000))).toBe(0)
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

describe("the quorum's time", () => {
  const start = at(1_000_000, 0)
  const witnesses = ["BR", "FR", "HQ", "JP", "KE"]
  const heardAs = (times: Readonly<Record<string, number>>): CosignedTimes => {
    const cosigned = new CosignedTimes()
    for (const [witness, time] of Object.entries(times))
      cosigned.heard(witness, { origin: "hub1/directory", size: 9, time }, start)
    return cosigned
  }

  test.each([400 * day, -400 * day])("is not moved by two liars of five, %i s off", (lie) => {
    const right = { FR: 1_000_000, HQ: 999_990, JP: 999_950 }
    const liars = { BR: 1_000_000 + lie, KE: 1_000_000 + lie }
    expect(heardAs({ ...right, ...liars }).offset(witnesses, start)).toBe(0)
    // Who says nothing moves it no more than who lies; three are needed.
    expect(heardAs(right).offset(witnesses, start)).toBe(0)
    expect(heardAs({ ...liars, FR: 1_000_000 }).offset(witnesses, start)).not.toBeUndefined()
    expect(heardAs(liars).offset(witnesses, start)).toBeUndefined()
  })

  test("tells an own clock that is wrong how far, also after it has jumped", () => {
    const hour = { FR: 1_003_600, HQ: 1_003_590, JP: 1_003_580 }
    expect(heardAs(hour).offset(witnesses, start)).toBe(3_580)
    const right = heardAs({ FR: 1_000_000, HQ: 1_000_000, JP: 1_000_000 })
    expect(right.offset(witnesses, at(1_000_060 + 400 * day, 60_000))).toBe(-400 * day)
    expect(right.offset(witnesses, at(1_000_060 - 400 * day, 60_000))).toBe(400 * day)
    expect(right.offset(witnesses, at(1_000_060, 60_000))).toBe(0)
  })

  test("is not set back by an old checkpoint that is shown again", () => {
    const cosigned = heardAs({ FR: 1_000_000, HQ: 1_000_000, JP: 1_000_000 })
    const later = at(1_000_100, 100_000)
    for (const witness of ["FR", "HQ", "JP"])
      for (const size of [5, 9])
        cosigned.heard(witness, { origin: "hub1/directory", size, time: 900_000 }, later)
    expect(cosigned.offset(witnesses, later)).toBe(0)
  })

  test("hears a witness again whose clock was ahead and is right now", () => {
    const ahead = 1_000_000 + 400 * day
    const cosigned = heardAs({ FR: ahead, HQ: ahead, JP: ahead })
    expect(cosigned.offset(witnesses, start)).toBe(400 * day)
    for (const witness of ["FR", "HQ", "JP"])
      cosigned.heard(witness, { origin: "hub1/directory", size: 10, time: 1_000_000 }, start)
    expect(cosigned.offset(witnesses, start)).toBe(0)
  })

  test("is no time while no quorum is asked for", () => {
    expect(heardAs({ FR: 1 }).offset([], start)).toBeUndefined()
  })
})

test("a clock that jumps before any peer was heard counts where it would be", () => {
  const times = new HeardTimes(at(1_000_000, 0))
  expect(times.offset(at(1_000_010 + 400 * day, 10_000))).toBe(-400 * day)
  expect(times.offset(at(1_000_010, 10_000))).toBe(0)
  // The first peer says that the machine slept, and its clock is right.
  times.heard("hub1", 1_400_000, at(1_400_000, 20_000))
  expect(times.offset(at(1_400_000, 20_000))).toBe(0)
})
