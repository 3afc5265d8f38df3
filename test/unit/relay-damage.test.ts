// A relay whose disk does not give a message back: the sender is told, and hands it over again.

import { afterEach, expect, test } from "vitest"
import { toHex } from "../../protocol/bytes.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { decodeReceipt, receiptSteps } from "../../protocol/receipt.ts"
import { type DurableBodies, openMemoryBodyStore } from "../../relay/adapters/memory-body-store.ts"
import { Stage } from "../kit/running-relays.ts"
import { silentJournal } from "../kit/test-node.ts"

const stage = new Stage()
afterEach(async () => stage.end())

test("a body that changed on the disk is never delivered: UNDELIVERED damaged, then the same envelope anew", async () => {
  const world = await stage.world(["hub1"])
  const durable: DurableBodies = new Map()
  const bodies = openMemoryBodyStore(durable)
  const relay = await stage.start("hub1", { bodies, journal: silentJournal })
  const fr = await stage.node(world, "FR", relay)
  const submission = fr.seal("hub1", { to: ["JP"] })
  const promised = await fr.submit("hub1", submission)
  for (const body of durable.values()) body[7] = (body[7] ?? 0) ^ 1

  const jp = await stage.node(world, "JP", relay)
  const receipt = await fr.until((asked) =>
    asked
      .flatMap(({ message }) => (message.name === "evidence" ? message.items : []))
      .map((item) => decodeReceipt(item.receipt))
      .find(({ step }) => step === receiptSteps.undelivered),
  )
  expect(receipt.reason).toBe("damaged")
  expect(receipt.recipientNode).toBe("JP")
  expect(jp.asked.some(({ message }) => message.name === "deliver")).toBe(false)

  // The promise stands: it is the same message.
  expect((await fr.submit("hub1", submission)).promise).toBe(promised.promise)
  expect(toHex((await jp.delivery()).body)).toBe(toHex(submission.sealed.body))
})

test.each([
  ["cannot be read", new ChappeError("storage", "its segment was given back")],
  ["is not what was stored", new ChappeError("damaged", "its segment was given back")],
])(
  "a body that %s because it was settled meanwhile is no damage, and no failure",
  async (_what, failure) => {
    const world = await stage.world(["hub1"])
    const memory = openMemoryBodyStore(new Map())
    let asked: (() => void) | undefined
    const isAsked = new Promise<void>((resolve) => (asked = resolve))
    let settled: (() => void) | undefined
    const isSettled = new Promise<void>((resolve) => (settled = resolve))
    let isFirst = true
    const bodies: typeof memory = {
      ...memory,
      read: async (location) => {
        if (!isFirst) return memory.read(location)
        isFirst = false
        asked?.()
        await isSettled
        throw failure
      },
    }
    const warnings: string[] = []
    const journal = { ...silentJournal, warn: (event: string) => void warnings.push(event) }
    const relay = await stage.start("hub1", { bodies, journal })
    const fr = await stage.node(world, "FR", relay)
    const jp = await stage.node(world, "JP", relay)
    const first = fr.seal("hub1", { to: ["JP"] })
    const { messageId } = first.sealed
    await fr.submit("hub1", first)
    await isAsked
    await jp.link("hub1").request(5, jp.receipts("hub1", [{ messageId, to: "FR" }]))
    settled?.()
    const second = fr.seal("hub1", { to: ["JP"] })
    await fr.submit("hub1", second)
    expect(toHex((await jp.delivery()).body)).toBe(toHex(second.sealed.body))
    expect(warnings).not.toContain("deferred")
    expect(warnings).not.toContain("damaged")
  },
)
