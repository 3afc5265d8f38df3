import { setImmediate as immediate } from "node:timers/promises"
import { describe, expect, test } from "vitest"
import {
  type Quotas,
  defaultDeliveryPolicy,
  formatDeliveryPolicy,
  parseDeliveryPolicy,
} from "../../protocol/delivery-policy.ts"
import { utf8 } from "../../protocol/bytes.ts"
import type { Lane } from "../../protocol/envelope.ts"
import { limits } from "../../protocol/limits.ts"
import { FairQueue } from "../../relay/core/fair-queue.ts"
import type { Clock } from "../../relay/core/ports.ts"
import { Later, Turns } from "../../relay/core/turns.ts"
import { relayLimits } from "../../relay/limits.ts"

/** A clock that only the test moves. */
function standingClock(): { readonly clock: Clock; readonly move: (ms: number) => Promise<void> } {
  let nowMs = 0
  const calls: { readonly atMs: number; readonly call: () => void }[] = []
  return {
    clock: {
      seconds: () => 0,
      monotonicMs: () => nowMs,
      after: (ms, call) => {
        calls.push({ atMs: nowMs + ms, call })
        return () => undefined
      },
      every: () => () => undefined,
    },
    move: async (ms) => {
      const endMs = nowMs + ms
      for (;;) {
        calls.sort((a, b) => a.atMs - b.atMs)
        const [first] = calls
        if (first === undefined || first.atMs > endMs) break
        calls.shift()
        nowMs = first.atMs
        first.call()
        await Promise.resolve()
      }
      nowMs = endMs
    },
  }
}

function drained(queue: FairQueue<string>): readonly string[] {
  const all: string[] = []
  for (let item = queue.take(); item !== undefined; item = queue.take()) all.push(item)
  return all
}

describe("whose turn it is", () => {
  test("a member with a thousand waiting does not keep one with two waiting", () => {
    const queue = new FairQueue<string>(4)
    for (let n = 0; n < 1_000; n++) queue.add({ member: "XX", lane: 0 }, 1_000, "flood")
    for (let n = 0; n < 2; n++) queue.add({ member: "FR", lane: 0 }, 1_000, "quiet")
    const order = drained(queue)
    expect(order.lastIndexOf("quiet")).toBeLessThan(10)
    expect(order).toHaveLength(1_002)
  })

  test("shares are of bytes, not of messages", () => {
    const queue = new FairQueue<string>(4)
    for (let n = 0; n < 20; n++) queue.add({ member: "XX", lane: 0 }, 1_000_000, "large")
    for (let n = 0; n < 200; n++) queue.add({ member: "FR", lane: 0 }, 1_000, "small")
    const order = drained(queue)
    expect(order.slice(0, 150).filter((item) => item === "large").length).toBeLessThan(3)
  })

  test("a flash goes before everything, and routine still gets a turn", () => {
    const queue = new FairQueue<string>(4)
    queue.add({ member: "FR", lane: 0 }, 1_000, "routine")
    for (let n = 0; n < 40; n++) queue.add({ member: "JP", lane: 3 }, 1_000, "flash")
    const order = drained(queue)
    expect(order[0]).toBe("flash")
    expect(order.indexOf("routine")).toBe(limits.passedOverMax)
  })
})

function work(
  member: string,
  lane: Lane = 0,
  bytes = 1_000,
): {
  readonly member: string
  readonly lane: Lane
  readonly bytes: number
} {
  return { member, lane, bytes }
}

/** `done`, or why not. */
async function outcome(run: Promise<unknown>): Promise<unknown> {
  return run.then(
    () => "done",
    (cause: unknown) => cause,
  )
}

/** As many in hand as may be; each ends when its function is called. */
function filled(turns: Turns): (() => void)[] {
  const ends: (() => void)[] = []
  for (let n = 0; n < relayLimits.submitsInHandMax; n++)
    void turns.run(work("XX"), async () => new Promise<void>((resolve) => ends.push(resolve)))
  return ends
}

describe("admission", () => {
  test("so many at once are in hand, and the next comes when one is done", async () => {
    const { clock } = standingClock()
    const turns = new Turns(clock, () => undefined)
    const ends = filled(turns)
    let began = false
    const next = turns.run(work("FR"), async () => {
      began = true
    })
    await Promise.resolve()
    expect(began).toBe(false)
    ends[0]?.()
    await next
    expect(began).toBe(true)
  })

  test("who waits too long is told when to come again, within a second", async () => {
    const { clock, move } = standingClock()
    const turns = new Turns(clock, () => undefined)
    filled(turns)
    const waiting = outcome(turns.run(work("FR"), async () => undefined))
    await move(1_000)
    const refused = await waiting
    expect(refused).toBeInstanceOf(Later)
    expect(refused).toMatchObject({ code: "busy", retrySeconds: relayLimits.busySeconds + 4 })
  })

  test("a member's share of the waiting is bounded; a flash has room of its own", async () => {
    const { clock, move } = standingClock()
    const turns = new Turns(clock, () => undefined)
    const ends = filled(turns)
    const waiting: Promise<unknown>[] = []
    for (let n = 0; n < relayLimits.memberWaitingMax; n++)
      waiting.push(outcome(turns.run(work("XX"), async () => undefined)))
    const beyond = outcome(turns.run(work("XX"), async () => undefined))
    const order: string[] = []
    const flash = turns.run(work("XX", 3), async () => void order.push("flash"))
    const other = turns.run(work("FR"), async () => void order.push("other"))
    ends[0]?.()
    await Promise.all([flash, other])
    expect(order).toStrictEqual(["flash", "other"])
    await move(1_000)
    const last = (await Promise.all(waiting)).at(-1)
    expect(await beyond).toMatchObject({ code: "busy" })
    expect(last).toMatchObject({ code: "busy", retrySeconds: relayLimits.busySecondsMax })
  })

  test("a flash is taken in hand beside all that is there, and no routine is", async () => {
    const { clock } = standingClock()
    const turns = new Turns(clock, () => undefined)
    filled(turns)
    const began: string[] = []
    void turns.run(work("FR"), async () => void began.push("routine"))
    await turns.run(work("JP", 3), async () => void began.push("flash"))
    expect(began).toStrictEqual(["flash"])
  })

  test("who asks again and again is told so less and less often, and still within a second", async () => {
    const { clock, move } = standingClock()
    const turns = new Turns(clock, () => undefined)
    filled(turns)
    for (let n = 0; n < relayLimits.memberWaitingMax; n++)
      outcome(turns.run(work("XX"), async () => undefined)).catch(() => undefined)
    let told = 0
    for (let n = 0; n < 500; n++)
      void outcome(turns.run(work("XX"), async () => undefined)).then(() => (told += 1))
    await move(relayLimits.refusalMs + 10 * relayLimits.refusalMsEach)
    await immediate()
    expect(told).toBe(11)
    await move(1_000)
    await immediate()
    expect(told).toBe(500)
  })

  test("a quota of the policy is kept by the minute, and says when it is free again", async () => {
    const { clock, move } = standingClock()
    const quotas: Quotas = { messagesPerMinute: 2, bytesPerMinute: 1_000_000 }
    const turns = new Turns(clock, () => quotas)
    await turns.run(work("FR"), async () => undefined)
    await turns.run(work("FR"), async () => undefined)
    await move(20_000)
    expect(await outcome(turns.run(work("FR"), async () => undefined))).toMatchObject({
      code: "busy",
      retrySeconds: 40,
    })
    expect(await outcome(turns.run(work("JP"), async () => undefined))).toBe("done")
    await move(40_000)
    expect(await outcome(turns.run(work("FR"), async () => undefined))).toBe("done")
  })
})

test("a policy may hold quotas, of positive integers", () => {
  const policy = {
    ...defaultDeliveryPolicy,
    quotas: { messagesPerMinute: 6_000, bytesPerMinute: 1_073_741_824 },
  }
  expect(parseDeliveryPolicy(formatDeliveryPolicy(policy))).toStrictEqual(policy)
  const text = new TextDecoder().decode(formatDeliveryPolicy(policy))
  for (const bad of ["0", "-1", "1.5", '"6000"', "null"])
    expect(() => parseDeliveryPolicy(utf8(text.replace("6000", bad)))).toThrow("delivery policy")
})
