// Wall clocks that jump by up to 400 days, drift or step while their processes run.

import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import { type Json, chappe } from "../kit/command.ts"
import { type Submitted, isFaultless } from "../kit/judge.ts"
import { MovedClock, movedClockUnavailable } from "../kit/moved-clock.ts"
import { type Prng, prng } from "../kit/mutate.ts"
import { ProcessLab } from "../kit/process-lab.ts"
import { Arrivals, judgeAll, sendAll } from "../kit/traffic.ts"
import type { Chaos } from "./chaos.ts"

const reportedMsMax = 60_000
const lookMs = 100
const messagesPerJump = 40
const stepsMs = 5_000

type Jump = { readonly name: string; readonly offset: string; readonly isFar: boolean }

/** Alternately far beyond the tolerance, and within it. */
function jumpOf(random: Prng, i: number): Jump {
  const sign = random.pick(["+", "-"])
  switch (i % 4) {
    case 0:
      return { name: "400 days", offset: `${sign}400d`, isFar: true }
    case 1:
      return { name: "days", offset: `${sign}${1 + random.below(399)}d`, isFar: true }
    case 2:
      return { name: "drift", offset: `+0 x${sign === "+" ? "1.1" : "0.9"}`, isFar: false }
    default:
      return { name: "steps of 1 s", offset: `${sign}1`, isFar: false }
  }
}

/** What a station says of its clock to its operator. */
async function saysOff(lab: ProcessLab, name: string): Promise<boolean> {
  if (lab.relays.includes(name)) {
    // One that is just being started answers later.
    const { code, lines } = await chappe(["relay", "status", "--dir", lab.dirOf(name), "--json"])
    const own = lines[0]?.["own"] as Json | undefined
    return code === 0 && (own?.["clock"] as Json | undefined)?.["isOff"] === true
  }
  const status = await lab.api(name, "operator").call("GET", "/v1/status")
  const alarms = status["alarms"] as readonly Json[]
  return (
    (status["clock"] as Json)["off"] === true && alarms.some(({ kind }) => kind === "clock-off")
  )
}

/** Milliseconds until the station says what is wanted; undefined if it does not in time. */
async function saidAfter(
  lab: ProcessLab,
  name: string,
  wanted: boolean,
): Promise<number | undefined> {
  const begin = performance.now()
  for (;;) {
    const isSaid = (await saysOff(lab, name)) === wanted
    const ms = Math.round(performance.now() - begin)
    if (isSaid) return ms
    if (ms > reportedMsMax) return undefined
    await pause(lookMs)
  }
}

/** A message of these that somebody was told has expired. */
async function expiredCount(lab: ProcessLab): Promise<number> {
  const pages = await Promise.all(
    lab.members.map((member) => lab.api(member).call("GET", "/v1/outbox?limit=1000")),
  )
  return pages
    .flatMap((page) => page["messages"] as readonly Json[])
    .flatMap((message) => message["recipients"] as readonly Json[])
    .filter(({ step }) => ["expired", "rejected", "undelivered"].includes(String(step))).length
}

export const clocks: Chaos = {
  name: "clocks",
  says: "a running node's or relay's clock jumps by up to 400 days, drifts, steps: 0 lost, 0 expired, more than 5 min off said within 60 s",
  unit: "jumps",
  sizes: { brief: 2, ci: 12, long: 100 },
  unavailable: movedClockUnavailable,
  async run({ count, seed, say }) {
    const lab = await ProcessLab.init("--members", "FR,JP,BR", "--relays", "2")
    try {
      const moved = new Map<string, MovedClock>()
      for (const name of lab.names)
        moved.set(name, await MovedClock.at(join(lab.dir, `${name}.clock`)))
      await lab.startAll((name) => moved.get(name)?.around ?? [])
      const random = prng(seed)
      const { members } = lab
      const arrivals = new Arrivals(lab, members)
      const submitted: Submitted[] = []
      let [worstMs, unsaid, falselySaid] = [0, 0, 0]
      for (let i = 0; i < count; i++) {
        const { name, offset, isFar } = jumpOf(random, i)
        // Far jumps hit relays and nodes in turn.
        const victim = random.pick(i % 2 === 0 ? lab.relays : members)
        const over = new AbortController()
        const plan = { members, messages: messagesPerJump, seed: seed + i, round: `${i}` }
        const traffic = sendAll(lab, { ...plan, until: over.signal })
        await moved.get(victim)?.set(offset)
        let said: number | undefined
        if (isFar) said = await saidAfter(lab, victim, true)
        else {
          await pause(stepsMs)
          if (await saysOff(lab, victim)) falselySaid += 1
        }
        if (isFar && said === undefined) unsaid += 1
        worstMs = Math.max(worstMs, said ?? 0)
        over.abort()
        await moved.get(victim)?.set("+0")
        const rightAfter = await saidAfter(lab, victim, false)
        if (rightAfter === undefined) unsaid += 1
        submitted.push(...(await traffic))
        const begin = performance.now()
        await arrivals.all(submitted)
        const afterMs = Math.round(performance.now() - begin)
        const words = isFar ? `, said after ${said ?? "?"} ms` : ""
        say(
          `${victim} ${offset} (${name})${words}, right after ${rightAfter ?? "?"} ms, all there after ${afterMs} ms`,
        )
      }
      const faults = await judgeAll(lab, members, submitted)
      const expired = await expiredCount(lab)
      return {
        passed: isFaultless(faults) && expired + unsaid + falselySaid === 0,
        figures: {
          jumps: count,
          messages: submitted.length,
          worst_ms: worstMs,
          expired,
          unsaid,
          falsely_said: falselySaid,
          ...faults,
        },
      }
    } finally {
      await lab.end()
    }
  },
}
