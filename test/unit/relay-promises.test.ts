// What a relay must never let anybody do to the promises that it has given.

import { afterEach, expect, test } from "vitest"
import { signBatch } from "../../keys/batch-signer.ts"
import { sha256 } from "../../keys/crypto.ts"
import { encodeAuth } from "../../protocol/batch.ts"
import { decodeReceipt, encodeReceipt, receiptIdOf } from "../../protocol/receipt.ts"
import { refusalOf } from "../kit/refusal.ts"
import { Stage } from "../kit/running-relays.ts"
import { seedOf } from "../kit/world.ts"

const stage = new Stage()
afterEach(async () => stage.end())

test("a number stands for one message", async () => {
  const world = await stage.world(["hub1"])
  const relay = await stage.start("hub1")
  const fr = await stage.node(world, "FR", relay)
  const first = fr.seal("hub1", { to: ["JP"] })
  await fr.submit("hub1", first)
  const second = fr.seal("hub1", { to: ["JP"] })
  const { origin, seq } = first.request.statement
  const statement = fr.statement("envelope", origin, second.sealed.messageId, seq)
  const forged = { ...second, request: { ...second.request, statement } }
  expect(await refusalOf(fr.submit("hub1", forged))).toBe("seq-used")
})

test("one recipient's receipt lets only its share go", async () => {
  const world = await stage.world(["hub1"])
  const relay = await stage.start("hub1")
  const fr = await stage.node(world, "FR", relay)
  const jp = await stage.node(world, "JP", relay)
  const submission = fr.seal("hub1", { to: ["HQ", "JP"] })
  const { messageId } = submission.sealed
  await fr.submit("hub1", submission)
  await jp.delivery()
  const receipts = jp.receipts("hub1", [{ messageId, to: "FR" }])
  expect((await jp.link("hub1").request(5, receipts)).name).toBe("accepted")
  const hq = await stage.node(world, "HQ", relay)
  expect((await hq.delivery()).header).toEqual(submission.request.header)
})

test("a member gives no receipt for another", async () => {
  const world = await stage.world(["hub1"])
  const relay = await stage.start("hub1")
  const fr = await stage.node(world, "FR", relay)
  const hq = await stage.node(world, "HQ", relay)
  const submission = fr.seal("hub1", { to: ["JP"] })
  const { messageId } = submission.sealed
  await fr.submit("hub1", submission)

  const honest = hq.receipts("hub1", [{ messageId, to: "FR" }])
  const items = honest.items.map((item) => {
    const receipt = encodeReceipt({ ...decodeReceipt(item.receipt), recipientNode: "JP" })
    const id = receiptIdOf(sha256, receipt)
    const signed = signBatch("HQ", world.member("HQ").node, [
      { id, blind: seedOf("blind").slice(0, 16) },
    ])
    const [auth] = signed.auths
    if (auth === undefined) throw new Error("one auth")
    return { root: signed.root, item: { ...item, receipt, auth: encodeAuth(auth) } }
  })
  const [forged] = items
  if (forged === undefined) throw new Error("one receipt")
  const { origin, seq } = honest.statement
  const statement = hq.statement("receipts", origin, forged.root, seq)
  const request = { ...honest, root: forged.root, items: [forged.item], statement }
  expect(await refusalOf(hq.link("hub1").request(5, request))).toBe("signature")
  const jp = await stage.node(world, "JP", relay)
  expect((await jp.delivery()).header).toEqual(submission.request.header)
})
