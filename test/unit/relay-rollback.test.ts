// A relay that is started on an old copy of its folder: what it signed since then, shown by anybody, ends it
// before it writes, and for ever.

import { cp, rm } from "node:fs/promises"
import { afterEach, describe, expect, test } from "vitest"
import { fromUtf8, utf8 } from "../../protocol/bytes.ts"
import { parseCheckpointText } from "../../protocol/checkpoint.ts"
import { parseNote } from "../../protocol/signed-note.ts"
import { encodeAddCheckpoint, parseAddCheckpoint } from "../../protocol/witness-request.ts"
import { refusalOf } from "../kit/refusal.ts"
import { Stage } from "../kit/running-relays.ts"
import type { TestNode } from "../kit/test-node.ts"
import type { World } from "../kit/world.ts"

const stage = new Stage()
afterEach(async () => stage.end())

const trafficOf = (world: World): string => world.relay("hub1").trafficLog.origin

/** A relay with one message, a copy of its folder, and the promise for the next message. */
async function usedAfterCopy(): Promise<{ world: World; old: string; promise: string }> {
  const world = await stage.world(["hub1"], { members: ["FR", "HQ", "JP"] })
  const { dir } = stage.place("hub1")
  const first = await stage.start("hub1")
  const fr = await stage.node(world, "FR", first)
  await fr.submit("hub1", fr.seal("hub1", { to: ["JP"] }))
  await first.stop()
  const old = await stage.folder()
  await cp(dir, old, { recursive: true })
  const second = await stage.start("hub1")
  const again = await stage.node(world, "FR", second)
  again.startAt(trafficOf(world), 1)
  const { promise } = await again.submit("hub1", again.seal("hub1", { to: ["JP"] }))
  await second.stop()
  return { world, old, promise }
}

async function putBack(old: string): Promise<void> {
  const { dir } = stage.place("hub1")
  await rm(dir, { recursive: true })
  await cp(old, dir, { recursive: true })
}

/** The checkpoints of the traffic log that the node was shown. */
function shownTo(node: TestNode, origin: string): readonly { size: number; note: Uint8Array }[] {
  return node.asked.flatMap(({ message }) => {
    if (message.name !== "checkpoint" || message.origin !== origin) return []
    const { checkpoint } = parseAddCheckpoint(utf8(message.body))
    return [{ size: parseCheckpointText(parseNote(checkpoint).text).size, note: checkpoint }]
  })
}

async function shown(node: TestNode, origin: string, sizeMin: number): Promise<Uint8Array> {
  return node.until(() => shownTo(node, origin).find(({ size }) => size >= sizeMin)?.note)
}

describe("an old copy", { timeout: 120_000 }, () => {
  test("is ended by a promise that reaches beyond it, before it appends a line, and for ever", async () => {
    const { world, old, promise } = await usedAfterCopy()
    await putBack(old)
    const copy = await stage.start("hub1")
    const fr = await stage.node(world, "FR", copy)
    const before = await shown(fr, trafficOf(world), 1)
    expect(await refusalOf(fr.link("hub1").request(5, { name: "promise", promise }))).toBe(
      "rollback",
    )
    expect(await copy.failed).toMatchObject({ code: "rollback" })
    await copy.stop()
    expect(new Set(shownTo(fr, trafficOf(world)).map(({ size }) => size))).toEqual(
      new Set([parseCheckpointText(parseNote(before).text).size]),
    )
    expect(await refusalOf(stage.start("hub1"))).toBe("rollback")
  })

  test("that was quicker and has written is ended by a checkpoint that it does not continue", async () => {
    const { world, old } = await usedAfterCopy()
    // What the relay itself signed at its newest state.
    const newest = await stage.start("hub1")
    const witness = await stage.node(world, "FR", newest)
    const checkpoint = await shown(witness, trafficOf(world), 2)
    await newest.stop()
    await putBack(old)
    const copy = await stage.start("hub1")
    const jp = await stage.node(world, "JP", copy)
    for (const n of [1, 2, 3]) {
      jp.startAt(trafficOf(world), n - 1)
      await jp.submit("hub1", jp.seal("hub1", { to: ["FR"] }))
    }
    const { size } = parseCheckpointText(parseNote(checkpoint).text)
    await shown(jp, trafficOf(world), size)
    const body = fromUtf8(encodeAddCheckpoint({ old: 0, path: [], checkpoint }))
    const origin = trafficOf(world)
    await jp
      .link("hub1")
      .request(5, { name: "checkpoint", origin, body })
      .catch(() => undefined)
    expect(await copy.failed).toMatchObject({ code: "rollback" })
    await copy.stop()
  })
})
