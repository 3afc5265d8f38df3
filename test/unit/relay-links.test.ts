// A relay's peers that are there and are not: what waits for them is not held up.

import { afterEach, expect, test } from "vitest"
import { toHex } from "../../protocol/bytes.ts"
import { openMemoryRecordStore } from "../../relay/adapters/memory-record-store.ts"
import { systemClock } from "../../relay/adapters/system-clock.ts"
import type { Journal } from "../../relay/core/ports.ts"
import { Stage } from "../kit/running-relays.ts"
import { silentJournal } from "../kit/test-node.ts"

const stage = new Stage()
afterEach(async () => stage.end())

test("a peer that ends its link and leaves the connection open is away at once, and its mail waits for the next", async () => {
  const world = await stage.world(["hub1"])
  let gone: (() => void) | undefined
  const isGone = new Promise<void>((resolve) => (gone = resolve))
  const journal: Journal = {
    ...silentJournal,
    info: (event, facts) => {
      if (event === "link-down" && facts?.["peer"] === "JP") gone?.()
    },
  }
  const relay = await stage.start("hub1", { journal })
  const fr = await stage.node(world, "FR", relay)
  const jp = await stage.node(world, "JP", relay)
  jp.deafen("hub1")
  jp.hangUp("hub1")
  await isGone
  const sent = ["one", "two", "three"].map((document) => fr.seal("hub1", { to: ["JP"], document }))
  for (const submission of sent) await fr.submit("hub1", submission)
  await jp.connect("hub1", relay.linksPort)
  const last = sent.at(-1)?.sealed.body
  expect(toHex((await jp.delivery(2)).body)).toBe(toHex(last ?? new Uint8Array(0)))
})

test(
  "a relay whose link stands and that answers no mail counts as away: its mail goes to the next home",
  { timeout: 60_000 },
  async () => {
    const world = await stage.world(["hub1", "hub2"])
    const [jp] = [...world.members.values()].filter(({ homes }) => homes[0] === "hub2")
    const sender = [...world.members.values()].find(({ homes }) => homes[0] === "hub1")
    if (jp === undefined || sender === undefined) throw new Error("a member at each relay")
    const memory = openMemoryRecordStore(new Map())
    let isHung = false
    let release: (() => void) | undefined
    const released = new Promise<void>((resolve) => (release = resolve))
    const store: typeof memory = {
      ...memory,
      commit: async (ops) => {
        if (isHung) await released
        await memory.commit(ops)
      },
    }
    try {
      // Four times as fast: the relay's patience is none of the test's.
      const clock = { ...systemClock, monotonicMs: () => 4 * systemClock.monotonicMs() }
      const hub1 = await stage.start("hub1", { clock })
      const hub2 = await stage.start("hub2", { store, journal: silentJournal })
      await stage.linked(hub1, hub2)
      const from = await stage.node(world, sender.name, hub1)
      const to = await stage.node(world, jp.name, hub1)
      isHung = true
      const submission = from.seal("hub1", { to: [jp.name], lane: 3 })
      await from.submit("hub1", submission)
      expect(toHex((await to.delivery()).body)).toBe(toHex(submission.sealed.body))
    } finally {
      release?.()
    }
  },
)
