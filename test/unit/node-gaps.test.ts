// Missing numbers: asked for, settled by the message or a tombstone, shown until then.

import { beforeEach, describe, expect, test } from "vitest"
import { tick } from "../../node/core/node-core.ts"
import { decodeTombstone, encodeTombstone } from "../../protocol/tombstone.ts"
import { MemoryNode, StillClock, settle } from "../kit/memory-node.ts"
import { RelayDouble } from "../kit/relay-double.ts"
import { refusalOf } from "../kit/refusal.ts"
import { tombstoneOf } from "../kit/tombstones.ts"
import { World } from "../kit/world.ts"

const at = 1_800_000_000
const world = new World({ at, members: ["BR", "FR", "HQ", "JP"] })
let clock: StillClock
let hub1: RelayDouble
let hub2: RelayDouble
let fr: MemoryNode
let jp: MemoryNode

beforeEach(async () => {
  clock = new StillClock(at)
  const now = (): number => clock.seconds()
  hub1 = new RelayDouble("hub1", world, now)
  hub2 = new RelayDouble("hub2", world, now)
  fr = new MemoryNode(world, "FR", clock)
  jp = new MemoryNode(world, "JP", clock)
  await fr.start()
  await jp.start()
  await fr.link(hub1)
  await jp.link(hub1)
})

/** What JP asks for once it may, until FR has answered and the relay has passed everything on. */
async function askOnce(seconds: number): Promise<void> {
  clock.move(seconds)
  await tick(jp.core)
  await settle()
  await hub1.passControls()
  await settle()
}

async function sendThree(expiresSeconds: number): Promise<void> {
  await fr.send({ subject: "one", expiresSeconds })
  await fr.send({ subject: "two" })
  await fr.send({ subject: "three" })
  await settle()
}

const gapsOf = (node: MemoryNode) =>
  node.core.inbox.gaps.map(({ sender, lane, first, last, asked }) => ({
    sender,
    lane,
    first,
    last,
    asked,
  }))

const refusedWith = (code: string, final = true) =>
  expect.objectContaining({ name: "refused", code, final }) as unknown

describe("a missing number", () => {
  test("is noticed at once, shown with how often it was asked for, and closed when it comes", async () => {
    await sendThree(86_400)
    const [one] = hub1.mail.splice(0, 1)
    await hub1.deliver()
    const gap = { sender: "FR", lane: 0, first: 1, last: 1 }
    expect(gapsOf(jp)).toEqual([{ ...gap, asked: 0 }])
    clock.move(3)
    await tick(jp.core)
    await settle()
    expect(gapsOf(jp)).toEqual([{ ...gap, asked: 1 }])
    await jp.start()
    expect(gapsOf(jp)).toEqual([{ ...gap, asked: 1 }])
    expect(jp.core.inbox.gaps[0]?.since).toBe(at)
    await jp.link(hub1)
    if (one !== undefined) await hub1.tell("JP", one.message)
    expect(await jp.subjects()).toEqual(["one", "two", "three"])
    expect(gapsOf(jp)).toEqual([])
    await jp.start()
    expect(gapsOf(jp)).toEqual([])
  })

  test("is asked for twice as long apart each time, and through the next relay", async () => {
    await jp.link(hub2)
    await sendThree(86_400)
    hub1.mail.shift()
    await hub1.deliver()
    const asks = (): readonly number[] =>
      [hub1, hub2].map(
        ({ asked }) => asked.filter(({ message }) => message.name === "control").length,
      )
    const moved: (readonly number[])[] = []
    for (const seconds of [3, 29, 2, 57, 4]) {
      clock.move(seconds)
      await tick(jp.core)
      await settle()
      moved.push(asks())
    }
    const [home, next] = jp.core.directory.homes("JP")[0] === "hub1" ? [0, 1] : [1, 0]
    expect(moved.map((one) => one[home])).toEqual([1, 1, 1, 1, 2])
    expect(moved.map((one) => one[next])).toEqual([0, 0, 1, 1, 1])
  })

  test("is asked for at once when a link comes up after the first pause", async () => {
    await sendThree(86_400)
    hub1.mail.shift()
    await hub1.deliver()
    for (const seconds of [3, 31, 61]) {
      clock.move(seconds)
      await tick(jp.core)
      await settle()
    }
    expect(gapsOf(jp)[0]?.asked).toBe(3)
    clock.move(31)
    await tick(jp.core)
    expect(gapsOf(jp)[0]?.asked).toBe(3)
    jp.unlink(hub1)
    await jp.link(hub1)
    await tick(jp.core)
    expect(gapsOf(jp)[0]?.asked).toBe(4)
  })

  test("that was passed over at the deadline stays shown and is still asked for", async () => {
    await sendThree(86_400)
    const [one] = hub1.mail.splice(0, 1)
    await hub1.deliver()
    clock.move(7_300)
    await tick(jp.core)
    expect(await jp.subjects()).toEqual(["two", "three"])
    expect(gapsOf(jp)).toMatchObject([{ first: 1, last: 1, asked: 1 }])
    await jp.start()
    await jp.link(hub1)
    expect(gapsOf(jp)).toMatchObject([{ first: 1, last: 1, asked: 1 }])
    if (one !== undefined) await hub1.tell("JP", one.message)
    expect(await jp.subjects()).toEqual(["two", "three", "one"])
    expect(gapsOf(jp)).toEqual([])
  })
})

describe("a tombstone", () => {
  test("of the sender settles the number of a message that expired, and what was held is shown", async () => {
    await sendThree(60)
    hub1.mail.shift()
    await hub1.deliver()
    await askOnce(61)
    expect(hub1.tombstones).toHaveLength(1)
    expect(await hub1.passTombstones()).toEqual([{ name: "done" }])
    expect(await jp.subjects()).toEqual(["two", "three"])
    expect((await jp.core.inbox.list(0, 9))[0]?.marks).toEqual([])
    expect(gapsOf(jp)).toEqual([])
    await fr.send({ subject: "four" })
    await settle()
    await hub1.deliver()
    expect(await jp.subjects()).toEqual(["two", "three", "four"])
  })

  test("of the sender is given long after its copy and its number's deadline are gone", async () => {
    await sendThree(60)
    hub1.mail.shift()
    await hub1.deliver()
    clock.move(20 * 86_400)
    await fr.core.outbox.expire(clock.seconds())
    await fr.core.outbox.forgetBodies(clock.seconds(), () => Promise.resolve(false))
    await tick(jp.core)
    expect(gapsOf(jp)).toHaveLength(1)
    await askOnce(3_600)
    await hub1.passTombstones()
    expect(gapsOf(jp)).toEqual([])
  })

  test("that comes before its turn waits for it, over a restart too", async () => {
    await sendThree(60)
    const [one, two, three] = hub1.mail.splice(0)
    if (one === undefined || two === undefined || three === undefined) throw new Error("three")
    clock.move(86_401)
    await fr.send({ subject: "four" })
    await settle()
    const tombstone = tombstoneOf(world, {
      message: two.message,
      by: "FR",
      step: "expired",
      at: clock.seconds(),
    })
    expect(await hub1.tell("JP", { name: "tombstone", tombstone })).toEqual({ name: "done" })
    await jp.start()
    await jp.link(hub1)
    await hub1.deliver()
    expect(gapsOf(jp)).toMatchObject([
      { first: 1, last: 1 },
      { first: 3, last: 3 },
    ])
    for (const { message } of [one, three]) {
      const other = tombstoneOf(world, {
        message,
        by: "hub1",
        step: "expired",
        at: clock.seconds(),
      })
      expect(await hub1.tell("JP", { name: "tombstone", tombstone: other })).toEqual({
        name: "done",
      })
    }
    expect(await jp.subjects()).toEqual(["four"])
    expect(gapsOf(jp)).toEqual([])
  })

  test("that waits when its number is passed over settles it, whatever crash comes between", async () => {
    await sendThree(86_400)
    const [, two, three] = hub1.mail.splice(0)
    if (two === undefined || three === undefined) throw new Error("three")
    const tombstone = tombstoneOf(world, { message: two.message, by: "FR", step: "erased", at })
    await hub1.tell("JP", { name: "tombstone", tombstone })
    await hub1.tell("JP", three.message)
    clock.move(7_300)
    const before = [...jp.records]
    for (let commit = 1; commit <= 8; commit++) {
      const node = new MemoryNode(world, "JP", clock)
      for (const [key, record] of before) node.records.set(key, record)
      await refusalOf(
        (async () => {
          await node.start({ failure: { commit, when: "after" } })
          await tick(node.core)
          return "whole"
        })(),
      )
      await node.start()
      await tick(node.core)
      expect(await node.subjects()).toEqual(["three"])
      expect(gapsOf(node)).toMatchObject([{ first: 1, last: 1 }])
    }
  })

  test("for a message that was received changes nothing", async () => {
    await sendThree(60)
    const [one] = hub1.mail
    if (one === undefined) throw new Error("nothing was sent")
    await hub1.deliver()
    const tombstone = tombstoneOf(world, { message: one.message, by: "FR", step: "erased", at })
    expect(await hub1.tell("JP", { name: "tombstone", tombstone })).toEqual({ name: "done" })
    expect(await jp.subjects()).toEqual(["one", "two", "three"])
    expect(jp.core.alarms.list()).toEqual([])
  })

  test("does not hide its message: one that comes after all is shown, marked late", async () => {
    await sendThree(86_400)
    const [one] = hub1.mail.splice(0, 1)
    if (one === undefined) throw new Error("nothing was sent")
    const tombstone = tombstoneOf(world, { message: one.message, by: "FR", step: "erased", at })
    await hub1.tell("JP", { name: "tombstone", tombstone })
    await hub1.deliver()
    expect(await jp.subjects()).toEqual(["two", "three"])
    expect(await hub1.tell("JP", one.message)).toEqual({ name: "done" })
    expect(await jp.subjects()).toEqual(["two", "three", "one"])
    expect((await jp.core.inbox.list(2, 1))[0]?.marks).toEqual(["late"])
    expect(jp.core.alarms.list()).toEqual([])
  })

  test("of a relay counts only after the time that the sender signed", async () => {
    await sendThree(60)
    const [one] = hub1.mail.splice(0, 1)
    if (one === undefined) throw new Error("nothing was sent")
    await hub1.deliver()
    const early = tombstoneOf(world, { message: one.message, by: "hub1", step: "expired", at })
    expect(await hub1.tell("JP", { name: "tombstone", tombstone: early })).toEqual(
      refusedWith("too-early", false),
    )
    for (const step of ["rejected", "erased", "undelivered"] as const) {
      const tombstone = tombstoneOf(world, { message: one.message, by: "hub1", step, at })
      expect(await hub1.tell("JP", { name: "tombstone", tombstone })).toEqual(
        refusedWith("tombstone"),
      )
    }
    expect(await jp.subjects()).toEqual([])
    clock.move(61)
    expect(await hub1.tell("JP", { name: "tombstone", tombstone: early })).toEqual({ name: "done" })
    expect(await jp.subjects()).toEqual(["two", "three"])
  })

  test("by another member, or about another message, settles nothing", async () => {
    await sendThree(86_400)
    const [one] = hub1.mail.splice(0, 1)
    const [two] = hub1.mail
    if (one === undefined || two === undefined) throw new Error("nothing was sent")
    const bad = [
      tombstoneOf(world, { message: one.message, by: "BR", step: "erased", at }),
      tombstoneOf(world, { message: one.message, by: "JP", step: "erased", at }),
      withReceiptOf(
        tombstoneOf(world, { message: one.message, by: "FR", step: "erased", at }),
        tombstoneOf(world, { message: two.message, by: "FR", step: "erased", at }),
      ),
    ]
    for (const tombstone of bad)
      expect(await hub1.tell("JP", { name: "tombstone", tombstone })).toEqual(
        refusedWith("tombstone"),
      )
    await hub1.tell("JP", one.message)
    await hub1.deliver()
    expect(await jp.subjects()).toEqual(["one", "two", "three"])
  })

  test("with any byte changed settles nothing", async () => {
    await sendThree(86_400)
    const [one] = hub1.mail.splice(0, 1)
    if (one === undefined) throw new Error("nothing was sent")
    const whole = tombstoneOf(world, { message: one.message, by: "FR", step: "erased", at })
    for (let i = 0; i < whole.length; i += 5) {
      const tombstone = Uint8Array.from(whole)
      tombstone[i] = (tombstone[i] ?? 0) ^ 1
      expect((await hub1.tell("JP", { name: "tombstone", tombstone })).name).toBe("refused")
    }
  })

  test("for a place that another message has is told as a fork", async () => {
    const twin = new MemoryNode(world, "FR", clock)
    await twin.start()
    await fr.send({ subject: "by the original" })
    await settle()
    await hub1.deliver()
    await twin.link(hub2)
    await twin.send({ subject: "by the copy" })
    await settle()
    const [other] = hub2.mail
    if (other === undefined) throw new Error("nothing was sent")
    const tombstone = tombstoneOf(world, { message: other.message, by: "FR", step: "erased", at })
    expect(await hub1.tell("JP", { name: "tombstone", tombstone })).toEqual(
      refusedWith("channel-fork"),
    )
    expect(jp.core.alarms.list().map(({ kind }) => kind)).toContain("channel-fork")
  })

  test("that its relay refuses does not keep the next ones from coming", async () => {
    for (const subject of ["one", "two"]) await fr.send({ subject, expiresSeconds: 60 })
    await fr.send({ subject: "three" })
    await settle()
    hub1.mail.splice(0, 2)
    await hub1.deliver()
    let isFirst = true
    hub1.refuse = (_, { name }) => {
      if (name !== "tombstone" || !isFirst) return undefined
      isFirst = false
      return { name: "refused", code: "sender-key", final: true, retrySeconds: 0 }
    }
    await askOnce(61)
    expect(await hub1.passTombstones()).toEqual([{ name: "done" }])
    expect(gapsOf(jp)).toMatchObject([{ first: 1, last: 1 }])
  })

  test("is given for what every relay refused for good", async () => {
    const relays = [hub1, hub2]
    for (const relay of relays)
      relay.refuse = (_, { name }) =>
        name === "submit"
          ? { name: "refused", code: "size", final: true, retrySeconds: 0 }
          : undefined
    await fr.link(hub2)
    await fr.send({ subject: "nobody takes it" })
    await settle()
    fr.unlink(hub2)
    for (const relay of relays) relay.refuse = () => undefined
    await fr.send({ subject: "two" })
    await settle()
    await hub1.deliver()
    expect(await jp.subjects()).toEqual([])
    await askOnce(3)
    await hub1.passTombstones()
    expect(await jp.subjects()).toEqual(["two"])
  })
})

function withReceiptOf(tombstone: Uint8Array, other: Uint8Array): Uint8Array {
  const { receipt, receiptAuth } = decodeTombstone(other)
  return encodeTombstone({ ...decodeTombstone(tombstone), receipt, receiptAuth })
}
