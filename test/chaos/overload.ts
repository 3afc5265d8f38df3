// Members with ten times more to send than the relay can take, sending as nodes do, so many at once: the relay
// goes on as quickly as before, answers everything soon, and is itself again when it is over. It is held to a
// part of a processor, so that it is what is overloaded.

import { setTimeout as pause } from "node:timers/promises"
import { nodeLimits } from "../../node/limits.ts"
import { Refusal } from "../../relay/core/peer-link.ts"
import { groupCpu } from "../kit/cpu-group.ts"
import { Crowd, crowdRelay, median, quantile } from "../kit/crowd.ts"
import type { Submission, TestNode } from "../kit/test-node.ts"
import { type Chaos, availableEverywhere } from "./chaos.ts"

const members = 20
const peakInFlight = 2 // of each: some 40 keep the relay busy, and nobody waits long
const cpuShare = 0.5
const calmMs = 1_000
const overSeconds = 4
/** More than a relay so limited takes in a second. */
const firstPerSecond = 400
const patience = { goodput: 0.9, answerMs: 1_000, normalMs: 5_000 }

type Load = {
  readonly perSecond: number
  readonly answersMs: readonly number[]
  readonly busy: number
}

/** Every member keeps so many submits in flight, and comes again when it is told to; over when one has no more. */
async function load(crowd: Crowd, inFlight: number, ms: number): Promise<Load> {
  const answersMs: number[] = []
  let [taken, busy] = [0, 0]
  const begin = performance.now()
  let end = begin + ms
  const worker = async (node: TestNode): Promise<void> => {
    let next = crowd.next(node)
    while (performance.now() < end) {
      if (next === undefined) {
        end = performance.now()
        return
      }
      const began = performance.now()
      const retrySeconds = await refusedFor(node, next)
      answersMs.push(performance.now() - began)
      if (retrySeconds === undefined) {
        if (performance.now() <= end) taken += 1
        next = crowd.next(node)
      } else {
        busy += 1
        await pause(Math.min(retrySeconds * 1_000, Math.max(0, end - performance.now())))
      }
    }
    // What was not taken comes first the next time: numbers stay in their order.
    if (next !== undefined) crowd.giveBack(node, next)
  }
  await Promise.all(
    crowd.members.flatMap((node) => Array.from({ length: inFlight }, async () => worker(node))),
  )
  return { perSecond: (1_000 * taken) / (end - begin), answersMs, busy }
}

/** Undefined once it is taken; else when to come again. */
async function refusedFor(node: TestNode, next: Submission): Promise<number | undefined> {
  try {
    await node.submit(crowdRelay, next)
    return undefined
  } catch (cause) {
    if (!(cause instanceof Refusal) || cause.isFinal) throw cause
    return cause.retrySeconds
  }
}

/** How long it takes until a quiet look is as quick as quiet looks were before. */
async function untilNormal(crowd: Crowd, quietMs: number): Promise<number> {
  const began = performance.now()
  for (;;) {
    for (const node of crowd.members) await crowd.prepare(node, 40)
    const { answersMs } = await load(crowd, 1, calmMs / 2)
    const afterMs = performance.now() - began
    if (median(answersMs) <= quietMs || afterMs > 4 * patience.normalMs) return afterMs
  }
}

export const overloaded: Chaos = {
  name: "overload",
  says: "ten times what a limited relay can take: goodput ≥ 90 % of peak, answers ≤ 1 s, normal within 5 s after",
  unit: "seconds of overload",
  sizes: { brief: 8, ci: 16, long: 60 },
  measures: true,
  unavailable: availableEverywhere,
  async run({ count, say }) {
    const crowd = await Crowd.gather(members)
    const limit = await groupCpu([crowd.relay.pid], { share: cpuShare })
    try {
      say(`the relay is held by ${limit.how}`)
      let perSecond = firstPerSecond
      const prepare = async (seconds: number, inFlight: number): Promise<void> => {
        for (const node of crowd.members)
          await crowd.prepare(node, Math.ceil((perSecond * seconds) / members) + inFlight + 8)
      }
      await prepare(2, peakInFlight)
      perSecond = 2 * (await load(crowd, peakInFlight, 2_000)).perSecond + 20
      const rounds: { peak: Load; over: Load; normalMs: number }[] = []
      for (let done = 0; done < count; done += overSeconds) {
        await prepare(overSeconds, peakInFlight)
        const calm = await load(crowd, 1, calmMs)
        const peak = await load(crowd, peakInFlight, (overSeconds * 1_000) / 2)
        await prepare(overSeconds, nodeLimits.submitsInFlight)
        const over = await load(crowd, nodeLimits.submitsInFlight, overSeconds * 1_000)
        const normalMs = await untilNormal(crowd, 2 * quantile(calm.answersMs, 0.9))
        rounds.push({ peak, over, normalMs })
        say(
          `peak ${peak.perSecond.toFixed(0)}/s, overloaded ${over.perSecond.toFixed(0)}/s, ${over.busy} busy`,
        )
      }
      const peak = median(rounds.map((round) => round.peak.perSecond))
      const goodput = median(rounds.map((round) => round.over.perSecond))
      const answersMs = rounds.flatMap((round) => round.over.answersMs)
      const slowest = quantile(answersMs, 0.99)
      const normalMs = median(rounds.map((round) => round.normalMs))
      return {
        passed:
          goodput >= patience.goodput * peak &&
          slowest <= patience.answerMs &&
          normalMs <= patience.normalMs,
        figures: {
          "peak /s": peak.toFixed(0),
          "goodput /s": goodput.toFixed(0),
          "busy answers": rounds.reduce((sum, round) => sum + round.over.busy, 0),
          "answer p50 ms": median(answersMs).toFixed(0),
          "answer p99 ms": slowest.toFixed(0),
          "normal after ms": normalMs.toFixed(0),
          limit: limit.how,
        },
      }
    } finally {
      await crowd.end()
      await limit.end()
    }
  },
}
