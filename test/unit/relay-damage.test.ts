// A relay whose disk does not give a message back: the sender is told, and hands it over again.

import { afterEach, expect, test } from "vitest"
import { toHex } from "../../protocol/bytes.ts"
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
