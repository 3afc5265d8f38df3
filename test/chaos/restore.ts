// A node's disk is lost under traffic; its standby comes back from a backup of a random age.

import { randomBytes } from "node:crypto"
import { writeFile } from "node:fs/promises"
import { setTimeout as pause } from "node:timers/promises"
import { chappeJson } from "../kit/command.ts"
import { type Faults, type Submitted, isFaultless, noFaults } from "../kit/judge.ts"
import { type Prng, prng } from "../kit/mutate.ts"
import { Processes } from "../kit/processes.ts"
import { Arrivals, type Desks, digestOf, judgeAll, sendAll } from "../kit/traffic.ts"
import { type Chaos, availableEverywhere } from "./chaos.ts"

const members = ["FR", "HQ", "JP"]
const victim = "JP"
const others = ["FR", "HQ"]
/** Of each phase: before the loss, with a backup at a random moment, and while the node is away. */
const messages = 24
const awayMessages = 6
const serviceSecondsMax = 30

type Trial = { readonly faults: Faults; readonly seconds: number }

export const restore: Chaos = {
  name: "restore",
  says: "a node's disk is lost under traffic and its standby comes back from a backup of a random age: 0 lost, doubled or reordered, no number given twice, in service within 30 s",
  unit: "restores",
  sizes: { brief: 1, ci: 5, long: 100 },
  unavailable: availableEverywhere,
  async run({ count, seed, say }) {
    const random = prng(seed)
    const faults = { ...noFaults }
    let slowest = 0
    for (let n = 0; n < count; n++) {
      const trial = await lose(random, seed + n, say)
      for (const name of Object.keys(noFaults) as (keyof Faults)[])
        faults[name] += trial.faults[name]
      slowest = Math.max(slowest, trial.seconds)
      say(`${n + 1} restores`)
    }
    return {
      passed: isFaultless(faults) && slowest <= serviceSecondsMax,
      figures: { restores: count, slowestSeconds: slowest.toFixed(1), ...faults },
    }
  },
}

/** Mail for the node that is away. */
async function sendAway(desks: Desks): Promise<readonly Submitted[]> {
  const submitted: Submitted[] = []
  for (let n = 0; n < awayMessages; n++) {
    const subject = `FR away ${n}`
    const answer = await desks.api("FR").call("POST", "/v1/messages", {
      type: "message",
      to: [victim],
      subject,
      text: subject,
      precedence: "priority",
      idempotencyKey: subject,
    })
    submitted.push({
      sender: "FR",
      id: String(answer["id"]),
      to: [victim],
      lane: "priority",
      digest: digestOf(subject),
      answered: answer["state"] === "custody" ? "custody" : "queued",
    })
  }
  return submitted
}

/** One network, one loss. */
async function lose(random: Prng, seed: number, say: (line: string) => void): Promise<Trial> {
  const lab = await Processes.init("--members", "FR,JP", "--relays", "1")
  try {
    const standby = lab.path("standby")
    const file = lab.path("backup")
    const secret = lab.path("backup.secret")
    await writeFile(secret, randomBytes(32), { mode: 0o600 })
    await lab.start("relay", lab.relay("hub1"))
    for (const member of members) await lab.start("node", lab.node(member))
    await chappeJson(["node", "standby", "--node", lab.node(victim), "--out", standby])
    const before: Desks = { api: (member) => lab.api(lab.node(member)) }
    const sending = sendAll(before, { members, messages, seed, round: "a" })
    await pause(random.below(1_500))
    const taken = chappeJson([
      "backup",
      "--dir",
      lab.node(victim),
      "--out",
      file,
      "--secret-file",
      secret,
    ])
    const [first] = await Promise.all([sending, taken])
    // What nobody has taken yet when a disk is lost is lost with it: the loss comes after custody.
    await new Arrivals(before, members).all(first)
    const meanwhile = sendAll(before, { members: others, messages, seed, round: "b" })
    await lab.end(lab.node(victim))
    const away = await sendAway(before)
    const began = performance.now()
    await chappeJson([
      "node",
      "takeover",
      "--dir",
      standby,
      "--backup",
      file,
      "--secret-file",
      secret,
    ])
    await lab.start("node", standby)
    const after: Desks = {
      api: (member) => lab.api(member === victim ? standby : lab.node(member)),
    }
    const last = await sendAll(after, { members: [victim, "FR"], messages: 4, seed, round: "d" })
    await new Arrivals(after, members).all(last)
    const seconds = (performance.now() - began) / 1_000
    const submitted = [...first, ...(await meanwhile), ...away, ...last]
    return { faults: await judgeAll(after, members, submitted, say), seconds }
  } finally {
    await lab.endAll()
  }
}
