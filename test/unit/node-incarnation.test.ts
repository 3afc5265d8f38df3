// Mail that an incarnation sealed and nobody has received when it ends: the next one seals it anew.

import { beforeEach, expect, test } from "vitest"
import { possessionOf } from "../../keys/statements.ts"
import { keepUp, tick } from "../../node/core/node-core.ts"
import { equalBytes } from "../../protocol/bytes.ts"
import { decodeHeader } from "../../protocol/envelope.ts"
import { MemoryNode, StillClock, settle } from "../kit/memory-node.ts"
import { RelayDouble } from "../kit/relay-double.ts"
import { World, seededKey } from "../kit/world.ts"

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
  await jp.link(hub1)
})

/** FR has the others' keys, and no link. */
async function offline(): Promise<void> {
  await fr.link(hub1)
  fr.unlink(hub1)
}

/** FR's key is revoked and its standby takes over; from now on relays refuse what the first key sealed. */
async function takeOver(): Promise<void> {
  const { keyId } = world.member("FR").node
  const revocation = world.revocation("FR", keyId)
  fr.core.follower.learn("chain", revocation.statement)
  await keepUp(fr.core)
  expect(fr.core.directory.currentIncarnation("FR")).toBe(2)
  for (const relay of [hub1, hub2]) {
    relay.statements.push(revocation)
    relay.refuse = (_, message) =>
      message.name === "submit" && equalBytes(decodeHeader(message.header).core.senderKeyId, keyId)
        ? { name: "refused", code: "sender-key", final: false, retrySeconds: 0 }
        : undefined
  }
}

async function rungOf(id: Uint8Array): Promise<string | undefined> {
  return (await fr.core.outbox.byId(id))?.recipients[0]?.rung
}

test("what was sealed while no relay was up goes out under the next incarnation, in its order", async () => {
  await offline()
  const { id } = await fr.send({ subject: "First" })
  await fr.send({ subject: "Second" })
  expect(fr.core.outbox.activeCount).toBe(2)
  await takeOver()
  await fr.link(hub1)
  await fr.send({ subject: "Third" })
  await settle()
  await hub1.deliver()
  expect(await jp.subjects()).toEqual(["First", "Second", "Third"])
  await settle()
  await hub1.passEvidence()
  expect(await rungOf(id)).toBe("delivered")
  expect(fr.core.outbox.activeCount).toBe(0)
})

test("so it is after a restart between the takeover and the first link", async () => {
  await offline()
  await fr.send({ subject: "First" })
  expect(fr.core.outbox.activeCount).toBe(1)
  await takeOver()
  await fr.start()
  await fr.link(hub1)
  await settle()
  await hub1.deliver()
  expect(await jp.subjects()).toEqual(["First"])
})

test("what a relay has in custody goes out anew through another, and is shown once; a receipt for either counts", async () => {
  await fr.link(hub1)
  const { id } = await fr.send({ subject: "First" })
  await settle()
  const custody = hub1.mail.splice(0)
  fr.unlink(hub1)
  await takeOver()
  await fr.link(hub2)
  await jp.link(hub2)
  await tick(fr.core)
  await settle()
  expect(hub2.mail).toHaveLength(1)
  hub1.mail.push(...custody)
  await hub1.deliver()
  await settle()
  await fr.link(hub1)
  await hub1.passEvidence()
  expect(await rungOf(id)).toBe("delivered")
  await hub2.deliver()
  expect(await jp.subjects()).toEqual(["First"])
  expect(fr.core.outbox.activeCount).toBe(0)
})

test("only recipients that have not received it get it anew", async () => {
  await fr.link(hub1)
  await fr.send({ subject: "First", to: ["HQ", "JP"] })
  await settle()
  hub1.mail.push(...hub1.mail.splice(0).filter(({ to }) => to === "JP"))
  await hub1.deliver()
  await settle()
  await hub1.passEvidence()
  await takeOver()
  await tick(fr.core)
  await settle()
  expect(hub1.mail.map(({ to }) => to)).toEqual(["HQ"])
})

test("a key that the root has begun elsewhere is not overtaken by its standby", async () => {
  await offline()
  const member = world.member("FR")
  const anew = seededKey("node", "FR anew")
  const standby = seededKey("node", "FR standby of that")
  const life = { notBefore: at, notAfter: at + 80 * 86_400 }
  const named = [
    world.extendRoot("FR", "node", {
      key: anew.publicKey,
      incarnation: 3,
      ...life,
      possession: possessionOf("FR", anew),
    }),
    world.extendRoot("FR", "standby", {
      key: standby.publicKey,
      incarnation: 4,
      ...life,
      possession: possessionOf("FR", standby),
    }),
  ]
  for (const { kind, statement } of named) fr.core.follower.learn(kind, statement)
  // The console has put both into the folder; this process holds the old key until it is started again.
  member.standby = standby
  await keepUp(fr.core)
  expect(fr.core.directory.currentIncarnation("FR")).toBe(3)
  expect(fr.core.identity.nodeKeys).toHaveLength(1)

  const revoked = world.revocation("FR", anew.keyId)
  fr.core.follower.learn(revoked.kind, revoked.statement)
  await keepUp(fr.core)
  expect(fr.core.directory.currentIncarnation("FR")).toBe(4)
})
