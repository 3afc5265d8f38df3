// Time ends things by network time only.

import { expect, test } from "vitest"
import { Expiry, type ExpiryParts } from "../../relay/core/expiry.ts"
import { NetworkClock } from "../../relay/core/network-clock.ts"

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
  expect(await expiry.sweep()).toBe(false)
  expect(looked).toBe(0)
  seconds -= 86_400
  network.heard("hub2", seconds)
  network.heard("hub3", seconds)
  await expiry.sweep()
  expect(looked).toBeGreaterThan(0)
})
