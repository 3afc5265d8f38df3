// What comes round again: what fails in one part of a round is no reason to leave out the others.

import { beforeEach, expect, test } from "vitest"
import { overall } from "../../node/core/ladder.ts"
import { keepUp, tick } from "../../node/core/node-core.ts"
import type { LinkRequest } from "../../node/core/ports.ts"
import { limits } from "../../protocol/limits.ts"
import { MemoryNode, StillClock, settle } from "../kit/memory-node.ts"
import { RelayDouble, placesOf } from "../kit/relay-double.ts"
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

const refuses =
  (...names: readonly LinkRequest["name"][]) =>
  (_: string, { name }: LinkRequest): LinkRequest | undefined =>
    names.includes(name)
      ? { name: "refused", code: "busy", final: false, retrySeconds: 1 }
      : undefined

test("a relay that takes no prekeys and no statements keeps nothing from the others, nor from expiring", async () => {
  await fr.link(hub2)
  hub1.refuse = refuses("prekeysPut", "statementPut", "prekeysGet", "submit")
  hub2.refuse = refuses("submit")
  const { id } = await fr.send({ expiresSeconds: 3_600 })
  await settle()
  clock.move(29 * 86_400)
  hub2.asked.splice(0)
  await keepUp(fr.core)
  const item = await fr.core.outbox.byId(id)
  expect(overall(item?.recipients.map(({ rung }) => rung) ?? [])).toBe("expired")
  const asked = hub2.asked.map(({ message }) => message.name)
  expect(asked).toContain("prekeysPut")
  expect(asked).toContain("statementPut")
})

test("a damaged record holds up its own channel, not the others and not the deadlines", async () => {
  for (const lane of [0, 1] as const)
    for (const subject of ["one", "two"]) await fr.send({ lane, subject: `${subject} ${lane}` })
  const { id } = await jp.send({ to: ["FR"] })
  await settle()
  hub1.mail.push(...hub1.mail.splice(0).filter(({ to }) => to === "JP"))
  await hub1.deliver((message) => (placesOf(message).seq === 1 ? undefined : message))
  expect(jp.core.inbox.heldCount).toBe(2)
  const [key = ""] = [...jp.records.keys()].filter((one) => one.startsWith("held/FR/1/0/"))
  const kept = jp.records.get(key)
  if (kept === undefined) throw new Error("nothing is held")
  jp.records.set(
    key,
    kept.map((byte, i) => (i === 30 ? byte ^ 1 : byte)),
  )
  clock.move(7_201)
  await tick(jp.core)
  await settle()
  expect(await jp.subjects()).toEqual(["two 1"])
  const item = await jp.core.outbox.byId(id)
  expect(overall(item?.recipients.map(({ rung }) => rung) ?? [])).toBe("undelivered")
})

test("two rounds at the same moment publish each period once, and its secrets are here", async () => {
  clock.move(29 * 86_400)
  await Promise.all([keepUp(fr.core), keepUp(fr.core)])
  const periods = (fr.core.directory.station("FR")?.keys ?? []).flatMap(({ prekeys }) => prekeys)
  const last = periods.at(-1)
  const firstDays = periods.map(({ firstDay }) => firstDay)
  expect(new Set(firstDays).size).toBe(firstDays.length)
  for (const hash of last?.hashes ?? [])
    expect(fr.core.prekeys.secret(hash.slice(0, 16))).toBeDefined()
  expect(last?.hashes).toHaveLength(limits.prekeyPeriodDays)
})
