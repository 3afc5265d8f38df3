import { describe, expect, test } from "vitest"
import { countTogether } from "../../relay/core/together.ts"
import { relayLimits } from "../../relay/limits.ts"
import { seedOf } from "../kit/world.ts"

const one = seedOf("one")
const other = seedOf("other")
const bodyBytes = 0

describe("which writes share a commit", () => {
  test("what is taken in together is told apart by its message", () => {
    expect(countTogether([])).toBe(0)
    expect(countTogether([{ bodyBytes, holds: one }])).toBe(1)
    expect(
      countTogether([
        { bodyBytes, holds: one },
        { bodyBytes, holds: other },
      ]),
    ).toBe(2)
  })

  // A flash that comes from its sender and from another relay at the same moment.
  test("the same message twice waits for the next commit, and what stands behind it too", () => {
    const waiting = [
      { bodyBytes, holds: one },
      { bodyBytes },
      { bodyBytes, holds: one },
      { bodyBytes },
    ]
    expect(countTogether(waiting)).toBe(2)
  })

  test("a receipt for what is being taken in waits; receipts for one message do not", () => {
    const settles = [other, one]
    expect(
      countTogether([
        { bodyBytes, holds: one },
        { bodyBytes, settles },
      ]),
    ).toBe(1)
    expect(
      countTogether([
        { bodyBytes, settles },
        { bodyBytes, settles },
        { bodyBytes, holds: one },
      ]),
    ).toBe(3)
  })

  test("as many as a commit holds", () => {
    const many = Array.from({ length: relayLimits.commitIntentsMax + 1 }, () => ({ bodyBytes }))
    expect(countTogether(many)).toBe(relayLimits.commitIntentsMax)
  })

  test("as many bytes as a commit holds, and at least one", () => {
    const large = { bodyBytes: relayLimits.commitBodyBytesMax + 1 }
    expect(countTogether([large, { bodyBytes }])).toBe(1)
    const half = { bodyBytes: relayLimits.commitBodyBytesMax / 2 }
    expect(countTogether([half, half, half])).toBe(2)
  })
})
