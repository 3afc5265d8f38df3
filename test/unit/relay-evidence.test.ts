// Receipts that a relay passes on: in items that it can read and send again, whatever came at once.

import { afterEach, describe, expect, test } from "vitest"
import { limits } from "../../protocol/limits.ts"
import { encodeLinkMessage } from "../../protocol/link-messages.ts"
import { refusalOf } from "../kit/refusal.ts"
import { Stage } from "../kit/running-relays.ts"
import type { TestNode } from "../kit/test-node.ts"
import { type World, seedOf } from "../kit/world.ts"

const stage = new Stage()
afterEach(async () => stage.end())

/** The largest batch of sealed receipts that a link takes, all for one member. */
function largestReceipts(world: World, node: TestNode, to: string) {
  const { origin } = world.relay("hub1").trafficLog
  const statement = node.statement("receipts", origin, seedOf("a sealed batch"))
  const request = (count: number, last: number) => ({
    name: "receipts" as const,
    statement: { ...statement, salt: null },
    root: null,
    items: Array.from({ length: count }, (_, i) => ({
      to,
      messageId: null,
      receipt: new Uint8Array(i === 0 ? last : 4 * limits.leafBytesMax),
      auth: null,
    })),
  })
  const count = Math.ceil(limits.messageBytesMax / (4 * limits.leafBytesMax + 16))
  const left =
    limits.messageBytesMax - encodeLinkMessage({ ...request(count, 1_000), request: 1 }).length
  return request(count, 1_000 + left)
}

describe("a link's largest receipts", { timeout: 120_000 }, () => {
  test("receipts as large as a link takes reach their member, and do not keep the relay from starting", async () => {
    const world = await stage.world(["hub1"])
    const before = await stage.start("hub1")
    const fr = await stage.node(world, "FR", before)
    const receipts = largestReceipts(world, fr, "JP")
    expect(encodeLinkMessage({ ...receipts, request: 1 }).length).toBeGreaterThan(
      limits.messageBytesMax - 8,
    )
    expect((await fr.link("hub1").request(5, receipts)).name).toBe("accepted")
    await before.stop()

    const after = await stage.start("hub1")
    const jp = await stage.node(world, "JP", after)
    const found = await jp.until((asked) => {
      const items = asked.flatMap(({ message }) =>
        message.name === "evidence" ? message.items : [],
      )
      return items.length === receipts.items.length ? items : undefined
    })
    expect(found.map(({ to, receipt }) => `${to} ${receipt.length}`)).toEqual(
      receipts.items.map(({ to, receipt }) => `${to} ${receipt.length}`),
    )
  })

  test("a request that is too long for a link is refused to whoever makes it, and the link goes on", async () => {
    const world = await stage.world(["hub1"])
    const relay = await stage.start("hub1")
    const fr = await stage.node(world, "FR", relay)
    const receipts = largestReceipts(world, fr, "JP")
    const long = { ...receipts, items: [...receipts.items, ...receipts.items.slice(0, 2)] }
    expect(await refusalOf(fr.link("hub1").request(5, long))).toBe("size")
    expect((await fr.link("hub1").request(5, receipts)).name).toBe("accepted")
  })
})
