// A network that comes apart: split, deaf in one direction, flapping, in a ring, reset, unplugged, lossy.
// Every process stands in a network namespace of its own.

import { readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import { isFaultless, type Submitted } from "../kit/judge.ts"
import { type Prng, prng } from "../kit/mutate.ts"
import { Namespaces, namespacesUnavailable } from "../kit/namespaces.ts"
import { ProcessLab } from "../kit/process-lab.ts"
import { Arrivals, judgeAll, sendAll } from "../kit/traffic.ts"
import type { Chaos } from "./chaos.ts"

const healedMsMax = 10_000
const messagesPerEpisode = 60

type Net = {
  readonly hosts: Namespaces
  readonly lab: ProcessLab
  readonly random: Prng
}

/** Breaks the network for a while; whoever calls it heals it. */
type Episode = (net: Net, ms: number) => Promise<void>

async function cutBetween(
  { hosts }: Net,
  some: readonly string[],
  others: readonly string[],
): Promise<void> {
  for (const a of some)
    for (const b of others) await Promise.all([hosts.drop(a, b), hosts.drop(b, a)])
}

const split: Episode = async (net, ms) => {
  const { lab, random } = net
  const side = lab.names.filter(() => random.below(2) === 0)
  await cutBetween(
    net,
    side,
    lab.names.filter((name) => !side.includes(name)),
  )
  await pause(ms)
}

const oneWay: Episode = async ({ hosts, lab, random }, ms) => {
  const deaf = random.pick(lab.names)
  for (const name of lab.names) if (name !== deaf) await hosts.drop(name, deaf)
  await pause(ms)
}

const flapping: Episode = async ({ hosts, lab, random }, ms) => {
  const name = random.pick(lab.names)
  for (let spent = 0; spent < ms;) {
    const [off, on] = [20 + random.below(481), 20 + random.below(481)]
    await hosts.cable(name, "down")
    await pause(off)
    await hosts.cable(name, "up")
    await pause(on)
    spent += off + on
  }
}

/** Each member hears one relay only, and the relays do not hear each other. */
const ring: Episode = async (net, ms) => {
  const { lab } = net
  await cutBetween(net, lab.relays.slice(0, 1), lab.relays.slice(1))
  for (const [i, member] of lab.members.entries())
    await cutBetween(
      net,
      [member],
      lab.relays.filter((_, k) => k !== i % lab.relays.length),
    )
  await pause(ms)
}

const resets: Episode = async ({ hosts, lab, random }, ms) => {
  const name = random.pick(lab.names)
  await hosts.reset(name)
  await pause(ms)
}

const unplugged: Episode = async ({ hosts, lab, random }, ms) => {
  const name = random.pick(lab.names)
  await hosts.cable(name, "down")
  await pause(ms)
}

const lossy: Episode = async ({ hosts, lab, random }, ms) => {
  for (const name of lab.names) await hosts.lose(name, 0.1 + random.below(30) / 100)
  await pause(ms)
}

const episodes: readonly (readonly [name: string, episode: Episode])[] = [
  ["split", split],
  ["flapping", flapping],
  ["one-way", oneWay],
  ["ring", ring],
  ["resets", resets],
  ["unplugged", unplugged],
  ["lossy", lossy],
]

/** From a blip to longer than any timer of a link. */
function lengthOf(random: Prng): number {
  return random.pick([500, 2_000, 5_000, 8_000, 12_000, 20_000]) + random.below(1_000)
}

async function connect(lab: ProcessLab): Promise<Namespaces> {
  const hosts = await Namespaces.make(lab.names)
  for (const member of lab.members) {
    const file = join(lab.dirOf(member), "node.toml")
    const text = await readFile(file, "utf8")
    await writeFile(file, text.replace(/^host = .*$/mu, `host = "${hosts.management(member)}"`))
  }
  return hosts
}

export const partitions: Chaos = {
  name: "partitions",
  says: "splits, one-way cuts, flaps of 20-500 ms, rings, resets, cables out, loss: all delivered at most 10 s after healing",
  unit: "episodes",
  sizes: { brief: 2, ci: 10, long: 300 },
  measures: true,
  unavailable: namespacesUnavailable,
  async run({ count, seed, say }) {
    const lab = await ProcessLab.init("--members", "FR,JP,BR", "--relays", "2", "--containers")
    let hosts: Namespaces | undefined
    try {
      const net = await connect(lab)
      hosts = net
      await lab.startAll((name) => net.on(name))
      const random = prng(seed)
      const { members } = lab
      const submitted: Submitted[] = []
      const arrivals = new Arrivals(lab, members)
      let worstMs = 0
      for (let i = 0; i < count; i++) {
        const [name, episode] = episodes[i % episodes.length] ?? ["split", split]
        const ms = lengthOf(random)
        const over = new AbortController()
        const traffic = sendAll(lab, {
          members,
          messages: messagesPerEpisode,
          seed: seed + i,
          round: `${i}`,
          until: over.signal,
        })
        await episode({ hosts: net, lab, random }, ms)
        over.abort()
        await net.heal()
        const healed = performance.now()
        submitted.push(...(await traffic))
        await arrivals.all(submitted)
        const afterMs = Math.round(performance.now() - healed)
        worstMs = Math.max(worstMs, afterMs)
        say(`${name} for ${ms} ms: all there after ${afterMs} ms`)
      }
      const faults = await judgeAll(lab, members, submitted)
      return {
        passed: isFaultless(faults) && worstMs <= healedMsMax,
        figures: { episodes: count, messages: submitted.length, worst_ms: worstMs, ...faults },
      }
    } finally {
      await lab.end()
      await hosts?.remove()
    }
  },
}
