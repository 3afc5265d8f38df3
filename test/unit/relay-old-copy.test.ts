// What proves to a relay that its folder is an old copy, and what does not.

import { join } from "node:path"
import { afterEach, expect, test } from "vitest"
import { fromUtf8 } from "../../protocol/bytes.ts"
import { linkLanes } from "../../protocol/frames.ts"
import { encodeAddCheckpoint } from "../../protocol/witness-request.ts"
import { openTileLogFiles } from "../../relay/adapters/tile-log-files.ts"
import type { LogFiles } from "../../relay/core/ports.ts"
import { noteSigner, signedCheckpoint } from "../kit/note-signer.ts"
import { Stage } from "../kit/running-relays.ts"
import type { TestNode } from "../kit/test-node.ts"
import { seedOf } from "../kit/world.ts"

const stage = new Stage()
afterEach(async () => stage.end())

async function show(node: TestNode, origin: string, checkpoint: Uint8Array): Promise<void> {
  const body = fromUtf8(encodeAddCheckpoint({ old: 0, path: [], checkpoint }))
  const request = { name: "checkpoint", origin, body } as const
  expect((await node.link("hub1").request(linkLanes.control, request)).name).toBe("done")
}

test("a checkpoint shown in the moment of its publication proves nothing: the relay goes on", async () => {
  const world = await stage.world(["hub1"])
  const { origin } = world.relay("hub1").trafficLog
  let shows: ((checkpoint: Uint8Array) => Promise<void>) | undefined
  const logFiles = async (prefix: string): Promise<LogFiles> => {
    const files = await openTileLogFiles(join(stage.place("hub1").dir, "log", prefix))
    return {
      ...files,
      // Whoever polls the file sees it now, and the relay has not heard that it is durable.
      publish: async (checkpoint) => {
        await files.publish(checkpoint)
        if (prefix.startsWith("traffic/")) await shows?.(checkpoint)
      },
    }
  }
  const relay = await stage.start("hub1", { logFiles })
  const fr = await stage.node(world, "FR", relay)
  const shown = new Promise<void>((resolve, reject) => {
    shows = async (checkpoint) => {
      shows = undefined
      await show(fr, origin, checkpoint).then(resolve, reject)
    }
  })
  await fr.submit("hub1", fr.seal("hub1", { to: ["JP"] }))
  await shown

  await fr.submit("hub1", fr.seal("hub1", { to: ["JP"] }))
  await relay.stop()
  const again = await stage.start("hub1")
  const jp = await stage.node(world, "JP", again)
  expect((await jp.delivery(1)).name).toBe("deliver")
})

test("one larger than anything that was signed here ends the relay, and its folder for good", async () => {
  const world = await stage.world(["hub1"])
  const { origin, log } = world.relay("hub1").trafficLog
  const relay = await stage.start("hub1")
  const fr = await stage.node(world, "FR", relay)
  const head = { size: 1_000, root: seedOf("another history") }
  await show(fr, origin, signedCheckpoint(noteSigner(origin, log.seed), head))
  expect((await relay.failed).code).toBe("rollback")
  await relay.stop()
  await expect(stage.start("hub1")).rejects.toMatchObject({ code: "rollback" })
})
