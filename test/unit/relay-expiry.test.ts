// Time ends things by network time only.

import { expect, test } from "vitest"
import { Expiry, type ExpiryParts } from "../../relay/core/expiry.ts"
import { NetworkClock } from "../../relay/core/network-clock.ts"

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
