// A node whose disk is nearly full takes nothing new, says so, and goes on by itself.

import { beforeEach, expect, test } from "vitest"
import { sha256 } from "../../keys/crypto.ts"
import { tick } from "../../node/core/node-core.ts"
import { statusView } from "../../node/core/status.ts"
import { nodeLimits } from "../../node/limits.ts"
import { MemoryNode, StillClock, settle } from "../kit/memory-node.ts"
import { refusalOf } from "../kit/refusal.ts"
import { RelayDouble } from "../kit/relay-double.ts"
import { World } from "../kit/world.ts"

const at = 1_800_000_000
const world = new World({ at, members: ["FR", "HQ", "JP"] })
let hub1: RelayDouble
let fr: MemoryNode
let jp: MemoryNode

beforeEach(async () => {
  const clock = new StillClock(at)
  hub1 = new RelayDouble("hub1", world, () => clock.seconds())
  fr = new MemoryNode(world, "FR", clock)
  jp = new MemoryNode(world, "JP", clock)
  for (const node of [fr, jp]) {
    await node.start()
    await node.link(hub1)
  }
})

async function freeBytes(node: MemoryNode, free: number): Promise<void> {
  node.files.free = free
  await tick(node.core)
}

test("an officer's message and file are refused with disk-full, and taken when there is room again", async () => {
  await freeBytes(fr, nodeLimits.diskReserveBytes)
  const before = fr.records.size
  expect(await refusalOf(fr.send())).toBe("disk-full")
  const plain = new Uint8Array(1_000)
  const words = { officer: fr.session().officer.officer, name: "a", mediaType: "a/b" }
  const upload = { ...words, size: plain.length, sha256: sha256(plain) }
  const pieces = async function* () {
    yield plain
  }
  expect(await refusalOf(fr.core.attachments.upload(upload, pieces()))).toBe("disk-full")
  expect(fr.records.size).toBe(before)
  expect(statusView(fr.core, [])).toMatchObject({ disk: { isFull: true } })
  expect(fr.failure).toBeUndefined()

  await freeBytes(fr, nodeLimits.diskReserveBytes + 1_000_000)
  await fr.core.attachments.upload(upload, pieces())
  expect((await fr.send()).subject).toBe("Vehicle")
  expect(statusView(fr.core, [])).toMatchObject({ disk: { isFull: false } })
})

test("a relay is asked to come again, and what was taken before still gets its receipt", async () => {
  await fr.send({ subject: "before" })
  await settle()
  const known = [...hub1.mail]
  expect(await hub1.deliver()).toEqual([{ name: "done" }])
  await fr.send({ subject: "while full" })
  await settle()
  await freeBytes(jp, nodeLimits.diskReserveBytes)
  const waiting = [...hub1.mail]
  const busy = { name: "refused", code: "busy", final: false, retrySeconds: 30 }
  expect(await hub1.deliver()).toEqual([busy])
  expect(await jp.subjects()).toEqual(["before"])
  expect(jp.failure).toBeUndefined()
  // What it knows is answered all the same.
  hub1.mail.push(...known)
  expect(await hub1.deliver()).toEqual([{ name: "done" }])

  await freeBytes(jp, 2 ** 40)
  hub1.mail.push(...waiting)
  expect(await hub1.deliver()).toEqual([{ name: "done" }])
  expect(await jp.subjects()).toEqual(["before", "while full"])
})
