// A relay on real sockets and a real disk, with nodes that speak the real link.

import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, expect, test } from "vitest"
import { toHex } from "../../protocol/bytes.ts"
import { type RunningRelay, startRelay } from "../../relay/start.ts"
import { writeRelayDir } from "../kit/relay-dir.ts"
import { TestNode } from "../kit/test-node.ts"
import { World } from "../kit/world.ts"

const ends: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end()
})

const now = (): number => Math.floor(Date.now() / 1_000)

async function newRelay(
  world: World,
  name = "hub1",
): Promise<{ relay: RunningRelay; dir: string }> {
  const dir = await mkdtemp(join(tmpdir(), "chappe-relay-"))
  ends.push(async () => rm(dir, { recursive: true, force: true }))
  await writeRelayDir(world, name, dir)
  return { relay: await start(dir), dir }
}

async function start(dir: string): Promise<RunningRelay> {
  const relay = await startRelay({ dir })
  ends.push(async () => relay.stop())
  return relay
}

async function newNode(world: World, name: string, relay: RunningRelay): Promise<TestNode> {
  const node = new TestNode(world, name)
  ends.push(() => {
    node.close()
  })
  await node.connect(relay.name, relay.linksPort)
  return node
}

test("a submitted message is promised, delivered, receipted, and the sender hears of it", async () => {
  const world = new World({ at: now(), relays: ["hub1"] })
  const { relay } = await newRelay(world)
  const fr = await newNode(world, "FR", relay)
  const jp = await newNode(world, "JP", relay)

  const submission = fr.seal("hub1", { to: ["JP"], lane: 3 })
  const acceptance = await fr.submit("hub1", submission)
  expect(fr.isAccepted(acceptance, submission.sealed.messageId)).toBe(true)

  const delivery = await jp.delivery()
  expect(toHex(delivery.header)).toBe(toHex(submission.sealed.header))
  expect(toHex(delivery.body)).toBe(toHex(submission.sealed.body))

  const { messageId } = submission.sealed
  const receipts = jp.receipts("hub1", [{ messageId, to: "FR" }])
  expect((await jp.link("hub1").request(5, receipts)).name).toBe("accepted")
  const evidence = await fr.until((asked) =>
    asked.map(({ message }) => message).find((message) => message.name === "evidence"),
  )
  expect(evidence.name === "evidence" && evidence.from).toBe("JP")
})
