import { describe, expect, test } from "vitest"
import {
  dayKeyPair,
  dayOf,
  erasePastDays,
  newPrekeyPeriod,
  publicKeysOf,
} from "../../keys/prekey-period.ts"
import { isUsableKemKey, openBase, sealBase } from "../../keys/hpke.ts"
import { utf8 } from "../../protocol/bytes.ts"

const first = 20_000
const last = first + 27
const period = newPrekeyPeriod(first, new Uint8Array(32).fill(3))

test("a period publishes 28 different usable keys, the day's pair among them", () => {
  const keys = publicKeysOf(period)
  expect(keys.length).toBe(28)
  expect(new Set(keys.map((key) => key.join())).size).toBe(28)
  expect(keys.every(isUsableKemKey)).toBe(true)
  for (const day of [first, first + 13, last])
    expect(dayKeyPair(period, day)?.publicKey).toEqual(keys[day - first])
})

test("a message sealed to a day's key opens with that day's secret only", () => {
  const today = dayKeyPair(period, first + 3)
  const tomorrow = dayKeyPair(period, first + 4)
  if (today === undefined || tomorrow === undefined) throw new Error("both days are held")
  const info = utf8("wrap")
  const seed = new Uint8Array(64).fill(1)
  const sealed = sealBase({ publicKey: today.publicKey, info, plaintext: utf8("key"), seed })
  expect(openBase({ secret: today.secret, info, sealed })).toEqual(utf8("key"))
  const wrap = expect.objectContaining({ code: "wrap" })
  expect(() => openBase({ secret: tomorrow.secret, info, sealed })).toThrow(wrap)
  expect(() => openBase({ secret: today.secret, info: utf8("Wrap"), sealed })).toThrow(wrap)
  expect(() => openBase({ secret: today.secret, info, sealed: sealed.slice(1) })).toThrow(wrap)
  expect(() => openBase({ secret: today.secret, info, sealed: new Uint8Array(9) })).toThrow(wrap)
})

test("days outside the period have no key", () => {
  expect(dayKeyPair(period, first - 1)).toBeUndefined()
  expect(dayKeyPair(period, last + 1)).toBeUndefined()
})

describe("erasure", () => {
  test("a day's key lives through the 15th day after it, not longer", () => {
    const day = first + 5
    const kept = erasePastDays(period, day + 15, undefined)
    expect(kept && dayKeyPair(kept, day)).toEqual(dayKeyPair(period, day))
    const gone = erasePastDays(period, day + 16, undefined)
    expect(gone && dayKeyPair(gone, day)).toBeUndefined()
    expect(gone && dayKeyPair(gone, day + 1)).toEqual(dayKeyPair(period, day + 1))
  })

  test("nothing goes before its time, and going back in time brings nothing back", () => {
    expect(erasePastDays(period, first - 30, undefined)).toEqual(period)
    const later = erasePastDays(period, first + 20, undefined)
    expect(later && erasePastDays(later, first + 3, undefined)).toEqual(later)
  })

  test("step by step leaves the same state as at once", () => {
    let stepwise = period
    for (let today = first; today <= first + 33; today++)
      stepwise = erasePastDays(stepwise, today, undefined) ?? stepwise
    expect(stepwise).toEqual(erasePastDays(period, first + 33, undefined))
    expect(stepwise.seedDay).toBe(first + 18)
  })

  test("the last day of the newest period stays, however long", () => {
    const kept = erasePastDays(period, last + 400, undefined)
    expect(kept?.seedDay).toBe(last)
    expect(kept && dayKeyPair(kept, last)).toEqual(dayKeyPair(period, last))
    expect(kept && dayKeyPair(kept, last - 1)).toBeUndefined()
  })

  test("a newer period ends it 15 days after that was published, never before its own time", () => {
    const newer = last + 100
    expect(erasePastDays(period, newer + 15, newer)?.seedDay).toBe(last)
    expect(erasePastDays(period, newer + 16, newer)).toBeUndefined()
    expect(erasePastDays(period, last + 15, first)?.seedDay).toBe(last)
    expect(erasePastDays(period, last + 16, first)).toBeUndefined()
  })

  test("a period with erased days can not be published", () => {
    const later = erasePastDays(period, first + 20, undefined)
    expect(() => later && publicKeysOf(later)).toThrow(RangeError)
  })
})

test("days begin at midnight UTC", () => {
  expect([dayOf(86_399), dayOf(86_400)]).toEqual([0, 1])
})
