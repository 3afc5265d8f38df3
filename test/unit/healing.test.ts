// A network that is whole again must deliver within 10 s: the waits that may stand between stay below that.

import { describe, expect, test } from "vitest"
import { nodeLimits } from "../../node/limits.ts"
import { limits } from "../../protocol/limits.ts"
import { relayLimits } from "../../relay/limits.ts"

const healedMsMax = 10_000
const handshakeMs = limits.helloSeconds * 1_000

describe("after a network has healed", () => {
  test("a node has dialled again in time, however long it was cut off", () => {
    // One attempt that began too early, the pause after it, and the one that succeeds.
    const worst = handshakeMs + nodeLimits.reconnectMsMax
    expect(worst).toBeLessThan(healedMsMax)
  })

  test("a relay has dialled the other in time", () => {
    expect(relayLimits.headersMs + relayLimits.dialMsMax).toBeLessThan(healedMsMax)
  })

  test("a link that stood through it is known to be dead before", () => {
    // TCP sends again after twice as long as the last time: after a cut of 20 s it may rest another 20 s.
    expect(limits.deadAfterMs).toBeLessThan(healedMsMax)
    expect(limits.deadAfterMs).toBeGreaterThanOrEqual(3 * limits.pingAfterMs)
  })
})
