// The outbox: what waits for a key, and what expires.

import { beforeEach, expect, test } from "vitest"
import { ChappeError } from "../../protocol/errors.ts"
import { MemoryNode, StillClock, settle } from "../kit/memory-node.ts"
import { RelayDouble } from "../kit/relay-double.ts"
import { World } from "../kit/world.ts"

const at = 1_800_000_000
const world = new World({ at, members: ["BR", "FR", "HQ", "JP"] })
let clock: StillClock
let hub1: RelayDouble
let fr: MemoryNode

beforeEach(async () => {
  clock = new StillClock(at)
  hub1 = new RelayDouble("hub1", world, () => clock.seconds())
  fr = new MemoryNode(world, "FR", clock)
  await fr.start()
  await fr.link(hub1)
})

/** No key of this member can be had, until the returned function is called. */
function loseKeyOf(node: MemoryNode, lost: string): () => void {
  const { kemKeys } = node.core
  const choose = kemKeys.choose.bind(kemKeys)
  kemKeys.choose = async (member, now) => {
    if (member === lost) throw new ChappeError("no-prekey", member)
    return await choose(member, now)
  }
  return () => {
    kemKeys.choose = choose
  }
}

const rungsOf = async (node: MemoryNode, number: number) =>
  (await node.core.outbox.byNumber(number))?.recipients.map(({ member, rung }) => [member, rung])

test("a diffusion waits for the desk's key: sealed without it, every recipient would reject it", async () => {
  const foundKey = loseKeyOf(fr, "HQ")
  const { number } = await fr.send({ type: "diffusion", to: ["BR", "JP"] })
  await settle()
  expect(hub1.mail).toEqual([])
  expect(fr.core.outbox.unsealedCount).toBe(1)
  foundKey()
  await fr.core.outbox.sealWaiting()
  await settle()
  expect(hub1.mail.map(({ to }) => to)).toEqual(["BR", "HQ", "JP"])
  expect(await rungsOf(fr, number)).toEqual([
    ["BR", "custody"],
    ["HQ", "custody"],
    ["JP", "custody"],
  ])
})

test("a diffusion goes to whom a key is known and to the desk; the rest goes to both later", async () => {
  const foundKey = loseKeyOf(fr, "JP")
  await fr.send({ type: "diffusion", to: ["BR", "JP"] })
  await settle()
  expect(hub1.mail.splice(0).map(({ to }) => to)).toEqual(["BR", "HQ"])
  foundKey()
  await fr.core.outbox.sealWaiting()
  await settle()
  expect(hub1.mail.map(({ to }) => to)).toEqual(["HQ", "JP"])
})

test("the desk's own diffusion waits for no desk", async () => {
  const hq = new MemoryNode(world, "HQ", clock)
  await hq.start()
  await hq.link(hub1)
  loseKeyOf(hq, "JP")
  await hq.send({ type: "diffusion", to: ["BR", "JP"] })
  await settle()
  expect(hub1.mail.map(({ to }) => to)).toEqual(["BR"])
})

test("a receipt that comes while messages expire is not lost", async () => {
  loseKeyOf(fr, "JP")
  const { number } = await fr.send({ to: ["BR", "JP"], expiresSeconds: 60 })
  await settle()
  clock.move(61)
  const { outbox } = fr.core
  const [messageId] = (await outbox.byNumber(number))?.envelopes ?? []
  if (messageId === undefined) throw new Error("nothing was sealed")
  const opened = { name: "opened", at: at + 59, reason: null } as const
  await outbox.reached(messageId, "BR", { ...opened, name: "delivered" }, [])
  const byNumber = outbox.byNumber.bind(outbox)
  let coming: Promise<boolean> | undefined
  outbox.byNumber = async (wanted) => {
    const item = await byNumber(wanted)
    coming ??= outbox.reached(messageId, "BR", opened, [])
    return item
  }
  await outbox.expire(clock.seconds())
  await coming
  expect(await rungsOf(fr, number)).toEqual([
    ["BR", "opened"],
    ["JP", "expired"],
  ])
})
