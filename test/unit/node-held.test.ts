// Messages that are held for their turn: what cannot be taken in yet is kept, and never vanishes.

import { beforeEach, describe, expect, test } from "vitest"
import { sha256 } from "../../keys/crypto.ts"
import { tick } from "../../node/core/node-core.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { MemoryNode, StillClock, settle } from "../kit/memory-node.ts"
import { type DeliverRequest, RelayDouble } from "../kit/relay-double.ts"
import { tombstoneOf } from "../kit/tombstones.ts"
import { World } from "../kit/world.ts"

const at = 1_800_000_000
const world = new World({ at, members: ["FR", "HQ", "JP"] })
/** One second more than a routine message is waited for. */
const overdue = 7_201
let clock: StillClock
let hub1: RelayDouble
let fr: MemoryNode
let jp: MemoryNode

beforeEach(async () => {
  clock = new StillClock(at)
  hub1 = new RelayDouble("hub1", world, () => clock.seconds())
  fr = new MemoryNode(world, "FR", clock)
  jp = new MemoryNode(world, "JP", clock)
  await fr.start()
  await jp.start()
  await fr.link(hub1)
  await jp.link(hub1)
})

async function* pieces(plain: Uint8Array): AsyncGenerator<Uint8Array> {
  yield plain
}

async function upload(node: MemoryNode): Promise<string> {
  const plain = Uint8Array.from({ length: 50_000 }, (_, i) => i % 251)
  const { officer } = node.session().officer
  const file = { officer, name: "photo.png", mediaType: "image/png", size: plain.length }
  return await node.core.attachments.upload({ ...file, sha256: sha256(plain) }, pieces(plain))
}

/** "one", "two" with an attachment, and "three". */
async function sendThree(expiresSeconds = 86_400): Promise<readonly DeliverRequest[]> {
  await fr.send({ subject: "one" })
  await fr.send({ subject: "two", attachments: [await upload(fr)], expiresSeconds })
  await fr.send({ subject: "three" })
  await settle()
  return hub1.mail.splice(0).map(({ message }) => message)
}

const marksOf = async (node: MemoryNode) =>
  (await node.core.inbox.list(0, 9)).map(({ subject, marks }) => [subject, ...marks])

/** Takes the attachments away from the relay; returns what brings them back. */
function loseBodies(): () => void {
  const bodies = [...hub1.bodies]
  hub1.bodies.clear()
  return () => {
    for (const [name, body] of bodies) hub1.bodies.set(name, body)
  }
}

/** Has the relay bring the message's tombstone to JP; the answer's name. */
async function bury(
  message: DeliverRequest,
  by: string,
  step: "erased" | "expired",
): Promise<string> {
  const tombstone = tombstoneOf(world, { message, by, step, at: clock.seconds() })
  return (await hub1.tell("JP", { name: "tombstone", tombstone })).name
}

describe("a held message that cannot be taken in at its deadline", () => {
  test("lets the next ones pass, and is taken late once it can be, over a restart too", async () => {
    const [one, two, three] = await sendThree()
    if (one === undefined || two === undefined || three === undefined) throw new Error("three")
    const bringBack = loseBodies()
    for (const message of [two, three, one]) await hub1.tell("JP", message)
    clock.move(overdue)
    await tick(jp.core)
    expect(await marksOf(jp)).toEqual([["one"], ["three", "earlier-missing"]])
    expect(jp.core.inbox.gaps).toEqual([])
    await jp.start()
    await jp.link(hub1)
    await tick(jp.core)
    expect(jp.core.inbox.heldCount).toBe(1)
    bringBack()
    await tick(jp.core)
    expect(await marksOf(jp)).toEqual([["one"], ["three", "earlier-missing"], ["two", "late"]])
    expect(jp.core.inbox.heldCount).toBe(0)
    expect(jp.core.alarms.list()).toEqual([])
  })

  test("is kept, too, when nothing waits behind it and a number before it never came", async () => {
    const [, two, three] = await sendThree()
    if (two === undefined || three === undefined) throw new Error("three")
    const bringBack = loseBodies()
    await hub1.tell("JP", two)
    clock.move(overdue)
    await tick(jp.core)
    expect(jp.core.inbox.gaps).toMatchObject([{ first: 1, last: 1 }])
    await hub1.tell("JP", three)
    expect(await marksOf(jp)).toEqual([["three", "earlier-missing"]])
    bringBack()
    await tick(jp.core)
    expect(await marksOf(jp)).toEqual([
      ["three", "earlier-missing"],
      ["two", "late"],
    ])
  })

  test("waits in line with others of its kind: one does not hold up another", async () => {
    const id = await upload(fr)
    await fr.send({ subject: "one" })
    for (const subject of ["two", "three"]) await fr.send({ subject, attachments: [id] })
    await settle()
    const [one, ...others] = hub1.mail.splice(0).map(({ message }) => message)
    if (one === undefined) throw new Error("nothing was sent")
    const bringBack = loseBodies()
    for (const message of [...others, one]) await hub1.tell("JP", message)
    clock.move(overdue)
    await tick(jp.core)
    await tick(jp.core)
    expect(jp.core.inbox.heldCount).toBe(2)
    bringBack()
    await tick(jp.core)
    expect((await jp.subjects()).toSorted()).toEqual(["one", "three", "two"])
  })

  test("is given up when it expires without its attachment, and its number shows as missing", async () => {
    const [one, two, three] = await sendThree(overdue + 60)
    if (one === undefined || two === undefined || three === undefined) throw new Error("three")
    loseBodies()
    for (const message of [two, three, one]) await hub1.tell("JP", message)
    clock.move(overdue)
    await tick(jp.core)
    expect(jp.core.inbox.heldCount).toBe(1)
    clock.move(61)
    await tick(jp.core)
    expect(jp.core.inbox.heldCount).toBe(0)
    expect(jp.core.inbox.gaps).toMatchObject([{ first: 2, last: 2 }])
  })

  test("stays in its turn while this node has no key to sign with", async () => {
    const [, two, three] = await sendThree()
    if (two === undefined || three === undefined) throw new Error("three")
    for (const message of [two, three]) await hub1.tell("JP", message)
    const sign = jp.core.receipts.sign.bind(jp.core.receipts)
    jp.core.receipts.sign = () => {
      throw new ChappeError("key-expired")
    }
    clock.move(overdue)
    for (let i = 0; i < 3; i++) await tick(jp.core)
    expect(jp.core.inbox.heldCount).toBe(2)
    jp.core.receipts.sign = sign
    await tick(jp.core)
    expect(await marksOf(jp)).toEqual([["two", "earlier-missing"], ["three"]])
  })
})

describe("a tombstone of a held message", () => {
  test("waits as long as the message may be taken in, which then has its turn", async () => {
    const [one, two, three] = await sendThree()
    if (one === undefined || two === undefined || three === undefined) throw new Error("three")
    const bringBack = loseBodies()
    for (const message of [two, three, one]) await hub1.tell("JP", message)
    expect(await bury(two, "FR", "erased")).toBe("done")
    expect(await jp.subjects()).toEqual(["one"])
    await jp.start()
    await jp.link(hub1)
    bringBack()
    await tick(jp.core)
    expect(await marksOf(jp)).toEqual([["one"], ["two"], ["three"]])
    expect(jp.core.inbox.heldCount).toBe(0)
    expect(jp.core.alarms.list()).toEqual([])
  })

  test("settles its number at the deadline, and the message is still taken late", async () => {
    const [one, two, three] = await sendThree()
    if (one === undefined || two === undefined || three === undefined) throw new Error("three")
    const bringBack = loseBodies()
    for (const message of [two, three, one]) await hub1.tell("JP", message)
    await bury(two, "FR", "erased")
    clock.move(overdue)
    await tick(jp.core)
    expect(await jp.subjects()).toEqual(["one", "three"])
    expect(jp.core.inbox.gaps).toEqual([])
    bringBack()
    await tick(jp.core)
    expect(await marksOf(jp)).toEqual([["one"], ["three"], ["two", "late"]])
    expect(jp.core.alarms.list()).toEqual([])
  })

  test("settles it at once when the message has expired and its attachment is nowhere", async () => {
    const [one, two, three] = await sendThree(60)
    if (one === undefined || two === undefined || three === undefined) throw new Error("three")
    loseBodies()
    for (const message of [two, three, one]) await hub1.tell("JP", message)
    clock.move(61)
    expect(await bury(two, "hub1", "expired")).toBe("done")
    expect(await jp.subjects()).toEqual(["one", "three"])
    expect(jp.core.inbox.heldCount).toBe(0)
    expect(jp.core.inbox.gaps).toEqual([])
    expect(jp.core.alarms.list()).toEqual([])
  })
})

test("another message for the place of a held one is a fork, and the held one stays", async () => {
  const hub2 = new RelayDouble("hub2", world, () => clock.seconds())
  await fr.send({ subject: "one" })
  await settle()
  const twin = new MemoryNode(world, "FR", clock)
  for (const [key, record] of fr.records) twin.records.set(key, record)
  await twin.start()
  await fr.send({ subject: "two", attachments: [await upload(fr)] })
  await settle()
  await twin.link(hub2)
  await jp.link(hub2)
  await twin.send({ subject: "two again" })
  await settle()
  const bringBack = loseBodies()
  const [one, two] = hub1.mail.splice(0).map(({ message }) => message)
  const other = hub2.mail.at(-1)?.message
  if (one === undefined || two === undefined || other === undefined) throw new Error("three")
  await hub1.tell("JP", two)
  await hub1.tell("JP", one)
  expect(await hub2.tell("JP", other)).toMatchObject({ code: "channel-fork" })
  bringBack()
  await tick(jp.core)
  expect(await jp.subjects()).toEqual(["one", "two"])
})
