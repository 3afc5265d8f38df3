// One member that hands over everything it can, whatever the relay answers, beside nineteen that send one
// message after another.

import { Crowd, crowdRelay, median, quantile } from "../kit/crowd.ts"
import type { Submission, TestNode } from "../kit/test-node.ts"
import { Refusal } from "../../relay/core/peer-link.ts"
import { type Chaos, availableEverywhere } from "./chaos.ts"

const quietMembers = 19
const floodInFlight = 512
const flashEvery = 3
const roundMs = 3_000
const messagesPerRound = 60
const floodPerRound = 2_500
const patience = { jain: 0.95, ratio: 2 }

type Round = { readonly counts: readonly number[]; readonly flashMs: readonly number[] }
type Both = { readonly quiet: Round; readonly flooded: Round; readonly flooder: number }

/** 1 when all got the same, 1/n when one got everything. */
function jain(counts: readonly number[]): number {
  const sum = counts.reduce((a, b) => a + b, 0)
  const squares = counts.reduce((a, b) => a + b * b, 0)
  return squares === 0 ? 0 : (sum * sum) / (counts.length * squares)
}

/** Each quiet member sends one after the other until the time is over. */
async function quietRound(
  crowd: Crowd,
  quiet: readonly TestNode[],
  isOver: () => boolean = () => false,
): Promise<Round> {
  const flashMs: number[] = []
  const end = performance.now() + roundMs
  const counts = await Promise.all(
    quiet.map(async (node) => {
      let count = 0
      while (performance.now() < end && !isOver()) {
        const lane = count % flashEvery === flashEvery - 1 ? 3 : 0
        const next = crowd.next(node, { lane })
        if (next === undefined) break
        const began = performance.now()
        while (!(await isTaken(node, next)));
        if (lane === 3) flashMs.push(performance.now() - began)
        count += 1
      }
      return count
    }),
  )
  return { counts, flashMs }
}

/** Everything at once, again at once when refused, until it is stopped or has nothing left. */
async function flood(crowd: Crowd, node: TestNode, stop: AbortController): Promise<number> {
  let taken = 0
  const worker = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      const next = crowd.next(node)
      if (next === undefined) {
        // What follows would be no flood.
        stop.abort()
        return
      }
      while (!(await isTaken(node, next)));
      taken += 1
    }
  }
  await Promise.all(Array.from({ length: floodInFlight }, worker))
  return taken
}

async function isTaken(node: TestNode, submission: Submission): Promise<boolean> {
  try {
    await node.submit(crowdRelay, submission)
    return true
  } catch (cause) {
    if (cause instanceof Refusal && !cause.isFinal) return false
    throw cause
  }
}

async function prepareAll(crowd: Crowd, nodes: readonly TestNode[]): Promise<void> {
  for (const node of nodes) {
    await crowd.prepare(node, messagesPerRound)
    await crowd.prepare(node, messagesPerRound / flashEvery, { lane: 3 })
  }
}

export const fairness: Chaos = {
  name: "fairness",
  says: "one member floods a relay beside 19 quiet ones: Jain ≥ 0.95 over the 19, flash p99 ≤ 2 × quiet",
  unit: "rounds",
  sizes: { brief: 2, ci: 5, long: 60 },
  measures: true,
  unavailable: availableEverywhere,
  async run({ count, say }) {
    const crowd = await Crowd.gather(quietMembers + 1)
    try {
      const [flooder, ...quiet] = crowd.members
      if (flooder === undefined) throw new Error("no members")
      const rounds: Both[] = []
      for (let i = 0; i < count + 1; i++) {
        await prepareAll(crowd, quiet)
        const before = await quietRound(crowd, quiet)
        await prepareAll(crowd, quiet)
        await crowd.prepare(flooder, floodPerRound)
        const stop = new AbortController()
        const flooding = flood(crowd, flooder, stop)
        const flooded = await quietRound(crowd, quiet, () => stop.signal.aborted)
        stop.abort()
        const taken = await flooding
        // The first round warms the compiler up.
        if (i > 0) rounds.push({ quiet: before, flooded, flooder: taken })
        say(
          `round ${i}: flash p99 ${quantile(before.flashMs, 0.99).toFixed(0)} ms quiet, ${quantile(flooded.flashMs, 0.99).toFixed(0)} ms flooded`,
        )
      }
      const p99 = (pick: "quiet" | "flooded"): number =>
        median(rounds.map((round) => quantile(round[pick].flashMs, 0.99)))
      const fair = median(rounds.map(({ flooded }) => jain(flooded.counts)))
      const flashes = Math.min(...rounds.map(({ flooded }) => flooded.flashMs.length))
      const ratio = p99("flooded") / p99("quiet")
      return {
        passed: fair >= patience.jain && flashes > 0 && ratio <= patience.ratio,
        figures: {
          jain: fair.toFixed(3),
          "flash p99 quiet ms": p99("quiet").toFixed(0),
          "flash p99 flooded ms": p99("flooded").toFixed(0),
          ratio: ratio.toFixed(2),
          "taken from the 19": median(
            rounds.map(({ flooded }) => flooded.counts.reduce((a, b) => a + b, 0)),
          ),
          "taken from the flooder": median(rounds.map((round) => round.flooder)),
        },
      }
    } finally {
      await crowd.end()
    }
  },
}
