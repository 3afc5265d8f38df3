// The judge itself is judged: each fault, planted in a clean history, must be found.

import { describe, expect, test } from "vitest"
import { type Shown, type Submitted, judge, noFaults } from "../kit/judge.ts"

const submitted: readonly Submitted[] = [1, 2, 3].map((n) => ({
  sender: "FR",
  id: `${n}`,
  to: ["BR", "JP"],
  lane: "routine",
  digest: `d${n}`,
  answered: "custody",
}))

function inbox(): Shown[] {
  return [1, 2, 3].map((n) => ({
    id: `${n}`,
    from: "FR",
    lane: "routine",
    seq: n,
    digest: `d${n}`,
  }))
}

function clean(): Map<string, Shown[]> {
  return new Map([
    ["BR", inbox()],
    ["JP", inbox()],
  ])
}

/** The history with one member's inbox changed. */
function planted(change: (held: Shown[]) => void): Map<string, Shown[]> {
  const history = clean()
  const held = history.get("JP")
  if (held !== undefined) change(held)
  return history
}

const second: Shown = { id: "2", from: "FR", lane: "routine", seq: 2, digest: "d2" }

describe("the judge", () => {
  test("finds nothing in a clean history", () => {
    expect(judge(submitted, clean())).toEqual(noFaults)
  })

  test.each<[keyof typeof noFaults, (held: Shown[]) => unknown]>([
    ["lost", (held) => held.pop()],
    ["doubled", (held) => held.splice(2, 0, { ...second, seq: 2.5 })],
    ["unsettled", (held) => held.splice(1, 1)],
    ["changed", (held) => held.splice(1, 1, { ...second, digest: "other" })],
    ["invented", (held) => held.push({ ...second, id: "9", seq: 9 })],
  ])("finds what is %s", (fault, change) => {
    const found = judge(submitted, planted(change))
    expect(found[fault]).toBe(1)
  })

  test("finds what is reordered", () => {
    const found = judge(
      submitted,
      planted((held) => held.splice(0, 3, ...held.toReversed())),
    )
    expect(found.reordered).toBe(2)
  })

  test("finds what reached somebody else", () => {
    const history = clean()
    history.set("KE", [second])
    expect(judge(submitted, history).misdelivered).toBe(1)
  })

  test("finds what was refused and shown all the same", () => {
    const [first, refused, third] = submitted
    const history = [first, { ...refused, id: "", answered: "refused" }, third] as Submitted[]
    const found = judge(history, clean())
    expect(found).toEqual({ ...noFaults, refusedButShown: 2 })
    const kept = clean()
    for (const held of kept.values()) held.splice(1, 1)
    expect(judge(history, kept).refusedButShown).toBe(0)
  })

  test("finds a receipt without delivery", () => {
    const history = planted((held) => held.pop())
    const claims = ["BR", "JP"].map((member) => ({ sender: "FR", id: "3", member, isTold: true }))
    expect(judge(submitted, history, claims).falselyReceipted).toBe(1)
    expect(judge(submitted, clean(), claims)).toEqual(noFaults)
  })

  test("finds a delivery that its sender was not told of", () => {
    const claims = ["BR", "JP"].map((member) => ({ sender: "FR", id: "3", member, isTold: false }))
    expect(judge(submitted, clean(), claims)).toEqual({ ...noFaults, untold: 2 })
    const history = planted((held) => held.pop())
    expect(judge(submitted, history, claims).untold).toBe(1)
  })

  test("lets an unanswered message be there or not", () => {
    const unsure = submitted.map((item) => ({ ...item, answered: "unknown" as const }))
    expect(
      judge(
        unsure,
        planted((held) => held.pop()),
      ),
    ).toEqual(noFaults)
  })
})
