// Deadlines: what the sender's node says and logs when one is missed, and what the desk hears of it.

import { beforeEach, describe, expect, test } from "vitest"
import { ChappeError } from "../../protocol/errors.ts"
import { keepUp, tick } from "../../node/core/node-core.ts"
import { overall } from "../../node/core/ladder.ts"
import { traceOf } from "../../node/core/views.ts"
import { MemoryNode, StillClock, settle } from "../kit/memory-node.ts"
import { RelayDouble } from "../kit/relay-double.ts"
import { World } from "../kit/world.ts"

const at = 1_800_000_000
const noKey = new ChappeError("no-prekey")
const world = new World({ at, members: ["BR", "FR", "HQ", "JP"] })
let clock: StillClock
let hub1: RelayDouble
let hub2: RelayDouble
let fr: MemoryNode
let hq: MemoryNode
let jp: MemoryNode

beforeEach(async () => {
  clock = new StillClock(at)
  const now = (): number => clock.seconds()
  hub1 = new RelayDouble("hub1", world, now)
  hub2 = new RelayDouble("hub2", world, now)
  fr = new MemoryNode(world, "FR", clock)
  hq = new MemoryNode(world, "HQ", clock)
  jp = new MemoryNode(world, "JP", clock)
  for (const node of [fr, hq, jp]) {
    await node.start()
    await node.link(hub1)
  }
})

/** Time passes at every node, and the relay passes on what they say to each other, mail aside. */
async function pass(seconds: number): Promise<void> {
  clock.move(seconds)
  for (const node of [fr, hq, jp]) await tick(node.core)
  await settle()
  for (let i = 0; i < 3; i++) {
    await hub1.passControls()
    await settle()
  }
}

async function deliver(): Promise<void> {
  await hub1.deliver()
  await settle()
  await hub1.passEvidence()
  await settle()
}

async function listed(all = false) {
  const found = await hq.core.escalations.list(all)
  return found.map(({ from, report }) => ({
    from,
    recipient: report.recipient,
    lane: report.lane,
    deadline: report.deadline,
    relays: report.relays,
    outcome: report.outcome?.step ?? null,
  }))
}

const missed = {
  from: "FR",
  recipient: "JP",
  lane: 3,
  deadline: at + 60,
  relays: ["hub1"],
  outcome: null,
}

async function stateOf(id: Uint8Array): Promise<string> {
  const item = await fr.core.outbox.byId(id)
  return item === undefined ? "none" : overall(item.recipients.map(({ rung }) => rung))
}

describe("a deadline", () => {
  test("that is missed is told to the desk, and closed there when the message is delivered", async () => {
    const { id } = await fr.send({ lane: 3 })
    await settle()
    await pass(60)
    expect(await listed()).toEqual([])
    await pass(1)
    expect(await listed()).toEqual([missed])
    expect(await stateOf(id)).toBe("undelivered")
    await deliver()
    expect(await stateOf(id)).toBe("delivered")
    await pass(2)
    expect(await listed()).toEqual([])
    expect(await listed(true)).toEqual([{ ...missed, outcome: "delivered" }])
    expect(hq.core.escalations.openCount).toBe(0)
  })

  test("that is missed stands in the sender's evidence, logged by a relay", async () => {
    const { id } = await fr.send({ lane: 3 })
    await settle()
    await pass(61)
    const item = await fr.core.outbox.byId(id)
    if (item === undefined) throw new Error("nothing was sent")
    const steps = async () => (await traceOf(item, fr.core.sources))["steps"]
    const step = { step: "undelivered", by: "FR", recipient: "JP", reason: "deadline" }
    expect(await steps()).toContainEqual(expect.objectContaining({ ...step, log: null }))
    await hub1.passEvidence()
    const log = {
      origin: world.relay("hub1").trafficLog.origin,
      index: expect.any(Number) as number,
    }
    expect(await steps()).toContainEqual(expect.objectContaining({ ...step, log }))
  })

  test("that is met is told to nobody", async () => {
    await fr.send({ lane: 3 })
    await settle()
    await deliver()
    await pass(61)
    await pass(600)
    expect(await listed(true)).toEqual([])
  })

  test("is that of the lane, and one recipient of two misses it alone", async () => {
    await fr.send({ lane: 0, to: ["BR", "JP"] })
    await settle()
    await deliverTo("JP")
    await pass(7_200)
    expect(await listed()).toEqual([])
    await pass(1)
    expect(await listed()).toEqual([{ ...missed, recipient: "BR", lane: 0, deadline: at + 7_200 }])
  })

  test("of a message that has no key yet is missed too", async () => {
    fr.core.kemKeys.choose = () => Promise.reject(noKey)
    const { id } = await fr.send({ lane: 3 })
    await pass(61)
    expect(await listed()).toEqual([{ ...missed, relays: [] }])
    expect(await stateOf(id)).toBe("undelivered")
  })

  test("of a message to the desk alone is not told to it", async () => {
    const { id } = await fr.send({ lane: 3, to: ["HQ"] })
    await settle()
    await pass(61)
    expect(await stateOf(id)).toBe("undelivered")
    expect(hub1.asked.filter(({ message }) => message.name === "control")).toEqual([])
  })

  test("of the desk's own message goes into its own list", async () => {
    await hq.send({ lane: 3 })
    await settle()
    await pass(61)
    expect(await listed()).toEqual([{ ...missed, from: "HQ" }])
    await deliver()
    await pass(2)
    expect(await listed()).toEqual([])
  })

  test("is told again until the desk has heard it, through the other relay, over a restart", async () => {
    await fr.send({ lane: 3 })
    await settle()
    clock.move(61)
    await tick(fr.core)
    await settle()
    hub1.controls.length = 0
    await fr.start()
    await fr.link(hub1)
    await fr.link(hub2)
    await hq.link(hub2)
    await tick(fr.core)
    await settle()
    hub1.controls.length = 0
    hub2.controls.length = 0
    expect(await listed()).toEqual([])
    clock.move(31)
    await tick(fr.core)
    await settle()
    for (let i = 0; i < 3; i++) {
      await hub1.passControls()
      await hub2.passControls()
      await settle()
    }
    expect(await listed()).toEqual([missed])
    const before = controlsOf("FR")
    await pass(4_000)
    await pass(4_000)
    expect(controlsOf("FR")).toBe(before)
  })

  test("is heard of though the word for a later one comes first", async () => {
    await fr.send({ lane: 3 })
    await fr.send({ lane: 3, to: ["BR"] })
    await settle()
    clock.move(61)
    await tick(fr.core)
    await settle()
    expect(hub1.controls).toHaveLength(2)
    hub1.controls.push(...hub1.controls.splice(0).toReversed())
    await pass(1)
    expect((await listed()).map(({ recipient }) => recipient).toSorted()).toEqual(["BR", "JP"])
  })

  test("whose message expires is closed as expired", async () => {
    await fr.send({ lane: 3, expiresSeconds: 120 })
    await settle()
    await pass(61)
    clock.move(3_600)
    await keepUp(fr.core)
    await pass(2)
    expect(await listed(true)).toEqual([{ ...missed, outcome: "expired" }])
  })

  test("is not told while the own clock is off", async () => {
    await fr.send({ lane: 3 })
    await settle()
    for (const relay of ["hub1", "hub2"]) fr.core.clock.heard(relay, at + 4_000)
    clock.move(61)
    await tick(fr.core)
    await settle()
    expect(fr.core.clock.isOff).toBe(true)
    expect(controlsOf("FR")).toBe(0)
  })
})

describe("a desk", () => {
  test("alone keeps such a list", async () => {
    const report = { ...reportOf("JP"), name: "missed" } as const
    await jp.core.escalations.take("FR", report)
    expect(await jp.core.escalations.list(true)).toEqual([])
    await hq.core.escalations.take("FR", report)
    expect(await listed()).toHaveLength(1)
  })

  test("that hears the outcome first is not told it is open by what comes late", async () => {
    const report = { ...reportOf("JP"), name: "missed" } as const
    const outcome = { step: "delivered", at: at + 90 } as const
    await hq.core.escalations.take("FR", { ...report, outcome })
    await hq.core.escalations.take("FR", report)
    expect(await listed()).toEqual([])
    await hq.start()
    expect(hq.core.escalations.openCount).toBe(0)
  })

  test("forgets what ended 90 days ago", async () => {
    const report = { ...reportOf("JP"), name: "missed" } as const
    await hq.core.escalations.take("FR", { ...report, outcome: { step: "delivered", at } })
    await hq.core.escalations.take("FR", { ...report, recipient: "BR" })
    await hq.core.escalations.forgetOld(at + 91 * 86_400)
    expect(await listed(true)).toMatchObject([{ recipient: "BR" }])
  })
})

async function deliverTo(member: string): Promise<void> {
  const kept = hub1.mail.splice(0)
  hub1.mail.push(...kept.filter(({ to }) => to === member))
  await deliver()
}

function controlsOf(member: string): number {
  return [hub1, hub2].flatMap(({ asked }) =>
    asked.filter(({ from, message }) => from === member && message.name === "control"),
  ).length
}

function reportOf(recipient: string) {
  return {
    id: new Uint8Array(16),
    messageId: null,
    recipient,
    lane: 3,
    created: at,
    deadline: at + 60,
    expires: at + 600,
    relays: [],
    outcome: null,
  } as const
}
