// Time ends things by network time only.

import { expect, test } from "vitest"
import { emptyBytes, toHex, u32 } from "../../protocol/bytes.ts"
import { openMemoryRecordStore } from "../../relay/adapters/memory-record-store.ts"
import type { Plan } from "../../relay/core/committer.ts"
import { type CommitFacts, Draft } from "../../relay/core/draft.ts"
import { Expiry, type ExpiryParts } from "../../relay/core/expiry.ts"
import { dueKey } from "../../relay/core/mail.ts"
import { NetworkClock } from "../../relay/core/network-clock.ts"
import { recordKey, sealRecord } from "../../relay/core/tables.ts"
import type { Together } from "../../relay/core/together.ts"
import { seedOf } from "../kit/world.ts"

/** A relay's clocks that stand still until a test moves them. */
function stillClock(seconds: number) {
  return {
    at: seconds,
    ms: 0,
    seconds(): number {
      return this.at
    },
    monotonicMs(): number {
      return this.ms
    },
    after: () => () => undefined,
    every: () => () => undefined,
  }
}

test("a relay's time is the quorum's, whatever HELLOs say", () => {
  const clock = stillClock(1_000_000)
  const network = new NetworkClock(clock, () => ["FR", "HQ", "JP"])
  for (const peer of ["hub2", "FR", "HQ"]) network.heard(peer, 1_000_000 + 86_400)
  expect(network.isAgreed).toBe(false)
  network.cosigned("FR", { origin: "hub1/directory", size: 3, time: 1_000_000 })
  expect(network.offset).toBe(86_400)
  network.cosigned("HQ", { origin: "hub1/directory", size: 3, time: 999_990 })
  expect(network.offset).toBe(0)
  expect(network.isAgreed).toBe(true)
  clock.at += 86_400
  expect(network.isOff).toBe(true)
  expect(network.now).toBe(1_000_000 - 10)
})

test("a relay asks for the time again, from those who differ, once a minute while nobody knows who is right", () => {
  const clock = stillClock(1_000_000)
  const network = new NetworkClock(clock, () => [])
  network.heard("hub2", 1_000_000)
  network.heard("FR", 1_009_000)
  expect(network.doubtful()).toEqual([])
  network.heard("HQ", 1_009_000)
  expect(network.doubtful()).toEqual(["FR", "HQ"])
  expect(network.doubtful()).toEqual([])
  clock.ms += 60_000
  clock.at += 60
  expect(network.doubtful()).toEqual(["FR", "HQ"])
  network.heard("FR", clock.at)
  expect(network.isAgreed).toBe(true)
})

test("a relay whose clock is off ends nothing, and goes on when it is right", async () => {
  let seconds = 1_000_000
  const network = new NetworkClock(
    {
      seconds: () => seconds,
      monotonicMs: () => 0,
      after: () => () => undefined,
      every: () => () => undefined,
    },
    () => [],
  )
  let looked = 0
  const store = {
    range: () => {
      looked += 1
      return Promise.resolve([])
    },
  }
  const expiry = new Expiry({ network, store } as unknown as ExpiryParts)
  network.heard("hub2", seconds - 86_400)
  network.heard("hub3", seconds - 86_400)
  await expiry.sweep()
  expect(looked).toBe(0)
  seconds -= 86_400
  network.heard("hub2", seconds)
  network.heard("hub3", seconds)
  await expiry.sweep()
  expect(looked).toBeGreaterThan(0)
})

test("all that is due ends in one commit, which waits for messages that are just being taken in", async () => {
  const at = 1_000_000
  const messages = [seedOf("one"), seedOf("two"), seedOf("three")]
  const ids = Array.from({ length: 200 }, (_, i) => seedOf(`id ${i}`))
  const keys = [
    ...messages.map((id) => dueKey(at - 1, "x", id)),
    ...ids.map((id) => dueKey(at - 1, "k", id)),
  ]
  const store = openMemoryRecordStore()
  await store.commit(
    keys.map((key) => ({ type: "put", key, value: sealRecord(key, emptyBytes) }) as const),
  )
  const commits: (readonly Uint8Array[])[] = []
  const committer = {
    commit: async (plan: Plan<void>, { settles = [] }: Partial<Together> = {}) => {
      const draft = new Draft(store, { now: at, time: at } as CommitFacts)
      await plan(draft)
      await store.commit(draft.ops())
      commits.push(settles)
    },
  }
  const network = { isAgreed: true, now: at }
  await new Expiry({ network, store, committer } as unknown as ExpiryParts).sweep()
  expect(commits.slice(0, 1).map((settles) => settles.map(toHex).toSorted())).toEqual([
    messages.map(toHex).toSorted(),
  ])
  const left = await store.range({ gte: recordKey("due"), lt: recordKey("due", u32(at)), limit: 1 })
  expect(left).toEqual([])
  expect(commits).toHaveLength(1)
})
