// Receipts on their way to a log: one relay's word neither holds them back nor ends them.

import { beforeEach, describe, expect, test } from "vitest"
import { keepUp, tick } from "../../node/core/node-core.ts"
import type { LinkRequest } from "../../node/core/ports.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { MemoryNode, StillClock, settle } from "../kit/memory-node.ts"
import { RelayDouble } from "../kit/relay-double.ts"
import { World } from "../kit/world.ts"

const at = 1_800_000_000

let world: World
let clock: StillClock
let hub1: RelayDouble
let hub2: RelayDouble
let fr: MemoryNode
let jp: MemoryNode

beforeEach(async () => {
  world = new World({ at, members: ["FR", "HQ", "JP"] })
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

/** Answers receipts with this; takes the rest. */
const answersReceipts =
  (answer: LinkRequest | "silence") =>
  (_: string, { name }: LinkRequest): LinkRequest | "silence" | undefined =>
    name === "receipts" ? answer : undefined
const refused = { name: "refused", code: "signature", final: true, retrySeconds: 0 } as const
const busy = { name: "refused", code: "busy", final: false, retrySeconds: 1 } as const
const takesAll = (): undefined => undefined

const receiptsAt = (relay: RelayDouble): readonly { readonly seq: number }[] =>
  relay.asked.flatMap(({ message }) => (message.name === "receipts" ? [message.statement] : []))

async function rungOf(id: Uint8Array): Promise<string | undefined> {
  return (await fr.core.outbox.byId(id))?.recipients[0]?.rung
}

/** A message of FR's that JP's officer opens. */
async function open(id: Uint8Array): Promise<void> {
  const item = await jp.core.inbox.byId(id)
  if (item === undefined) throw new Error("nothing came")
  await jp.core.correspondence.opened(jp.session(), item)
  await settle()
}

describe("receipts that a relay refuses for good", () => {
  test("go to the next at once: what a machine did, and what a person did", async () => {
    await fr.link(hub2)
    await jp.link(hub2)
    hub1.refuse = answersReceipts(refused)
    const { id } = await fr.send()
    await settle()
    await hub1.deliver()
    await settle()
    await hub2.passEvidence()
    expect(await rungOf(id)).toBe("delivered")
    await open(id)
    await hub2.passEvidence()
    expect(await rungOf(id)).toBe("opened")
    expect(jp.core.receipts.openCount).toBe(0)
  })

  test("wait for a relay that is away, also over a restart, and are not asked again and again", async () => {
    hub1.refuse = answersReceipts(refused)
    let asked = 0
    const { id } = await fr.send()
    await settle()
    await hub1.deliver()
    await settle()
    hub1.refuse = (_, { name }) => (name === "receipts" && ++asked > 0 ? refused : undefined)
    for (let i = 0; i < 3; i++) {
      clock.move(60)
      await tick(jp.core)
      await keepUp(jp.core)
      await settle()
    }
    expect(asked).toBe(0)
    jp.unlink(hub1)
    await jp.start()
    await jp.link(hub1)
    await settle()
    expect(asked).toBe(1)
    await fr.link(hub2)
    await jp.link(hub2)
    await settle()
    await hub2.passEvidence()
    expect(await rungOf(id)).toBe("delivered")
  })

  test("end when every relay has refused them", async () => {
    await jp.link(hub2)
    hub1.refuse = answersReceipts(refused)
    hub2.refuse = answersReceipts(refused)
    await fr.send()
    await settle()
    await hub1.deliver()
    await settle()
    expect(jp.core.receipts.openCount).toBe(0)
    await jp.start()
    expect(jp.core.receipts.openCount).toBe(0)
  })
})

test("receipts that a relay puts off go to the next, and under their number to the first when it takes them", async () => {
  await fr.link(hub2)
  await jp.link(hub2)
  hub1.refuse = answersReceipts(busy)
  const { id } = await fr.send()
  await settle()
  await hub1.deliver()
  await settle()
  clock.move(6)
  await tick(jp.core)
  await settle()
  await hub2.passEvidence()
  expect(await rungOf(id)).toBe("delivered")
  expect(receiptsAt(hub1)).toEqual([])
  hub1.refuse = takesAll
  await keepUp(jp.core)
  await settle()
  expect(receiptsAt(hub1).map(({ seq }) => seq)).toEqual([1])
  clock.move(60)
  await keepUp(jp.core)
  await settle()
  expect(receiptsAt(hub1)).toHaveLength(1)
})

describe("a number of a relay's log", () => {
  test("is given to sealed receipts once the keys to seal them with are here", async () => {
    const { id } = await fr.send()
    await settle()
    await hub1.deliver()
    await settle()
    const { kemKeys, statements } = jp.core
    const highest = (): number =>
      statements.highest(world.member("JP").node.keyId, statements.originOf("hub1"))
    const before = highest()
    const choose = kemKeys.choose.bind(kemKeys)
    kemKeys.choose = async (member) => {
      throw new ChappeError("no-prekey", member)
    }
    await open(id)
    expect(highest()).toBe(before)
    kemKeys.choose = choose
    clock.move(6)
    await tick(jp.core)
    await settle()
    await hub1.passEvidence()
    expect(await rungOf(id)).toBe("opened")
    expect(highest()).toBe(before + 1)
  })

  test("is used also when the receipts under it were signed anew, and another relay has logged them", async () => {
    const { id } = await fr.send()
    await settle()
    await hub1.deliver()
    await settle()
    const before = receiptsAt(hub1).length
    jp.unlink(hub1)
    await open(id)
    const { keyId } = world.member("JP").node
    const revocation = world.revocation("JP", keyId)
    for (const relay of [hub1, hub2]) relay.statements.push(revocation)
    jp.core.follower.learn("chain", revocation.statement)
    await keepUp(jp.core)
    hub1.refuse = answersReceipts(busy)
    await jp.link(hub1)
    await settle()
    await jp.link(hub2)
    await fr.link(hub2)
    clock.move(6)
    await tick(jp.core)
    await settle()
    await hub2.passEvidence()
    expect(await rungOf(id)).toBe("opened")
    expect(receiptsAt(hub1)).toHaveLength(before)
    hub1.refuse = takesAll
    await keepUp(jp.core)
    await settle()
    expect(receiptsAt(hub1)).toHaveLength(before + 1)
  })
})

describe("a message that a relay delivers again after it has logged its receipt", () => {
  test("is receipted anew there, at each relay by itself, and again when that was logged too", async () => {
    await fr.link(hub2)
    await jp.link(hub2)
    await fr.send({ lane: 3 })
    await settle()
    const [first, second] = [[...hub1.mail], [...hub2.mail]]
    const again = async (relay: RelayDouble, mail: typeof first): Promise<number> => {
      relay.mail.splice(0, relay.mail.length, ...mail)
      await relay.deliver()
      await settle()
      return receiptsAt(relay).length
    }
    expect(await again(hub1, first)).toBe(1)
    expect(await again(hub2, second)).toBe(1)
    expect(await again(hub2, second)).toBe(2)
    expect(await again(hub1, first)).toBe(2)
    expect(await again(hub1, first)).toBe(2)
    clock.move(11)
    expect(await again(hub1, first)).toBe(3)
  })

  test("ends nothing when this node's key has lapsed", async () => {
    await fr.send()
    await settle()
    const mail = [...hub1.mail]
    await hub1.deliver()
    await settle()
    clock.move(81 * 86_400)
    hub1.mail.push(...mail)
    await hub1.deliver()
    await settle()
    expect(jp.lines.filter((line) => line.startsWith("repeat-failed"))).toHaveLength(1)
  })
})
