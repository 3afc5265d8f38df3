import { describe, expect, test } from "vitest"
import { partByWay } from "../../relay/core/retargeting.ts"
import { seedOf } from "../kit/world.ts"

const receiptFor = (to: string) => ({ to, messageId: null, receipt: seedOf(to), auth: null })
const evidence = {
  name: "evidence",
  from: "JP",
  items: ["BR", "FR", "BR"].map(receiptFor),
  acceptance: null,
} as const
const queue = "forward hub2"

describe("evidence whose relay stays away", () => {
  test("each sender's receipts go their own way", () => {
    const parts = partByWay(evidence, queue, (member) => `member ${member}`)
    expect(parts).toEqual([
      { way: "member BR", item: { ...evidence, items: [receiptFor("BR"), receiptFor("BR")] } },
      { way: "member FR", item: { ...evidence, items: [receiptFor("FR")] } },
    ])
  })

  test("who has no other way waits on", () => {
    const parts = partByWay(evidence, queue, (member) =>
      member === "FR" ? "member FR" : undefined,
    )
    expect(
      parts.map(({ way, item }) => [way, item.name === "evidence" && item.items.length]),
    ).toEqual([
      [queue, 2],
      ["member FR", 1],
    ])
  })

  test("what goes one way goes in one", () => {
    expect(partByWay(evidence, queue, () => "forward hub3")).toEqual([
      { way: "forward hub3", item: evidence },
    ])
  })

  test("a control or a tombstone is for one member", () => {
    const control = { name: "control", to: "FR", control: seedOf("control") } as const
    expect(partByWay(control, queue, () => undefined)).toEqual([{ way: queue, item: control }])
    expect(partByWay(control, queue, () => "member FR")).toEqual([
      { way: "member FR", item: control },
    ])
  })
})
