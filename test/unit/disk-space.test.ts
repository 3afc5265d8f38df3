// What ends gives its room on the disk back: bodies when they are delivered or expire, ids and receipts 90
// days of network time after.

import { mkdtemp, readdir, rm, stat } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, expect, test } from "vitest"
import { openLevelRecordStore } from "../../node/adapters/level-record-store.ts"
import { keepUp } from "../../node/core/node-core.ts"
import type { RecordStore } from "../../node/core/ports.ts"
import { openSegmentBodyStore } from "../../relay/adapters/segment-body-store.ts"
import { systemClock } from "../../relay/adapters/system-clock.ts"
import { MemoryNode, StillClock, settle } from "../kit/memory-node.ts"
import { RelayDouble } from "../kit/relay-double.ts"
import { Stage } from "../kit/running-relays.ts"
import { World } from "../kit/world.ts"

const day = 86_400
const stage = new Stage()
const ends: (() => Promise<void>)[] = []
afterEach(async () => {
  await stage.end()
  for (const end of ends.splice(0).toReversed()) await end()
})

/** Of the files in a folder. */
async function bytesIn(dir: string, counts = /./u): Promise<number> {
  const found = await readdir(dir, { recursive: true, withFileTypes: true })
  const files = found.filter((item) => item.isFile() && counts.test(item.name))
  const sizes = files.map(async (item) =>
    stat(join(item.parentPath, item.name)).then(
      ({ size }) => size,
      () => 0,
    ),
  )
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
}

const long = "x".repeat(200_000)
const patience = { timeout: 60_000, interval: 200 }

test(
  "a relay that was full is small again when its mail has expired",
  { timeout: 150_000 },
  async () => {
    const world = await stage.world(["hub1"])
    const data = join(stage.place("hub1").dir, "data")
    const [bodies, records] = [join(data, "bodies"), join(data, "records")]
    const segmentBytes = 1_048_576
    let ahead = 0
    const relay = await stage.start("hub1", {
      clock: {
        ...systemClock,
        seconds: () => systemClock.seconds() + ahead,
        // Else it would be a clock that jumped, and ends nothing.
        monotonicMs: () => systemClock.monotonicMs() + 1_000 * ahead,
        // What is done every few hours is done every second here.
        every: (ms, call) => systemClock.every(Math.min(ms, 1_000), call),
      },
      bodies: await openSegmentBodyStore(bodies, segmentBytes),
    })
    const fr = await stage.node(world, "FR", relay)
    const count = 30
    for (let i = 0; i < count; i++)
      await fr.submit("hub1", fr.seal("hub1", { to: ["JP"], document: long }))
    expect(await bytesIn(bodies)).toBeGreaterThan(count * long.length)

    ahead = 2 * day
    await expect.poll(() => bytesIn(bodies), patience).toBeLessThanOrEqual(segmentBytes)
    // Ids, tombstones and receipts are still there.
    expect(await bytesIn(records, /\.(?:ldb|log)$/u)).toBeGreaterThan(count * 1_000)
  },
)

test(
  "a body that waits alone in its segment moves, and is delivered as it came",
  { timeout: 60_000 },
  async () => {
    const world = await stage.world(["hub1"], { members: ["BR", "FR", "HQ", "JP"] })
    const bodies = join(stage.place("hub1").dir, "data", "bodies")
    const relay = await stage.start("hub1", {
      clock: {
        ...systemClock,
        every: (ms, call) => systemClock.every(Math.min(ms, 1_000), call),
      },
      bodies: await openSegmentBodyStore(bodies, 1_048_576),
    })
    const fr = await stage.node(world, "FR", relay)
    const waiting = fr.seal("hub1", { to: ["JP"] })
    await fr.submit("hub1", waiting)
    const br = await stage.node(world, "BR", relay)
    for (let i = 0; i < 12; i++) {
      const submission = fr.seal("hub1", { to: ["BR"], document: long })
      await fr.submit("hub1", submission)
      await br.delivery(i)
      const { messageId } = submission.sealed
      await br.link("hub1").request(5, br.receipts("hub1", [{ messageId, to: "FR" }]))
    }
    await expect.poll(() => readdir(bodies), patience).toHaveLength(1)
    expect(await readdir(bodies)).not.toContain("00000001.bodies")
    const jp = await stage.node(world, "JP", relay)
    expect((await jp.delivery()).body).toEqual(waiting.sealed.body)
  },
)

async function keysIn(store: RecordStore, table: string): Promise<number> {
  const end = `${table}0`
  return (await store.list({ from: `${table}/`, to: end, limit: 10_000 })).length
}

test(
  "a node that was full is small again: sealed copies go when they expire, ids and receipts after 90 days",
  { timeout: 60_000 },
  async () => {
    const at = 1_800_000_000
    const world = new World({ at, members: ["FR", "HQ", "JP"] })
    const clock = new StillClock(at)
    const hub1 = new RelayDouble("hub1", world, () => clock.seconds())
    const open = async (name: string) => {
      const dir = await mkdtemp(join(tmpdir(), "chappe-space-"))
      ends.push(async () => rm(dir, { recursive: true, force: true }))
      const store = await openLevelRecordStore(join(dir, "records"))
      ends.push(async () => store.close())
      const node = new MemoryNode(world, name, clock)
      await node.start({ store })
      await node.link(hub1)
      return { node, store, dir }
    }
    const fr = await open("FR")
    const jp = await open("JP")
    const round = async (): Promise<void> => {
      for (const { node } of [fr, jp]) {
        node.core.clock.heard("hub1", clock.seconds())
        for (let step = 0; step < 6; step++) await keepUp(node.core)
      }
    }
    const text = "x".repeat(50_000)
    for (let i = 0; i < 20; i++) {
      await fr.node.send({ subject: `Long ${i}`, text })
      await settle()
      await hub1.deliver()
      await settle()
      await hub1.passEvidence()
    }
    while ((await jp.node.subjects()).length < 20) {
      await settle()
      await hub1.deliver()
    }
    await round()
    const full = await bytesIn(fr.dir)
    expect(full).toBeGreaterThan(20 * text.length)

    clock.move(15 * day)
    await round()
    // What the officer wrote stays, the sealed copy goes.
    expect(await bytesIn(fr.dir)).toBeLessThan(0.7 * full)
    expect(await keysIn(jp.store, "known")).toBe(20)
    expect(await keysIn(jp.store, "receipts")).toBeGreaterThan(0)

    clock.move(80 * day)
    await round()
    expect(await keysIn(jp.store, "known")).toBe(0)
    expect(await keysIn(jp.store, "receipts")).toBe(0)
    expect(await jp.node.subjects()).toHaveLength(20)
  },
)
