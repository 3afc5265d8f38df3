// Who must not speak any more, an officer, a node key or a member, is known as such at every node within a minute.

import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import { type Json, chappe, chappeJson, errorCode } from "../kit/command.ts"
import { Lab } from "../kit/lab.ts"
import { type Chaos, availableEverywhere } from "./chaos.ts"

const effectiveMsMax = 60_000
const lookMs = 20
const members = ["BR", "FR", "HQ", "JP"]
const relays = ["hub1", "hub2"]
const subject = "FR" // whom it happens to

type Heads = ReadonlyMap<string, number>

/** How far the relays' directory logs are now. */
async function publishedHeads(lab: Lab): Promise<Heads> {
  const facts = await Promise.all(
    relays.map((relay) => chappeJson(["relay", "status", "--dir", lab.relayDir(relay)])),
  )
  const logs = facts.flatMap(([status]) => status?.["logs"] as readonly Json[])
  return new Map(
    logs
      .filter(({ origin }) => String(origin).includes("/directory"))
      .map(({ origin, entries }) => [String(origin), Number(entries)]),
  )
}

async function knows(lab: Lab, member: string, wanted: Heads): Promise<boolean> {
  const status = await lab.api(member, "operator").call("GET", "/v1/status")
  const known = new Map(
    (status["heads"] as readonly Json[]).map(({ origin, entries }) => [origin, Number(entries)]),
  )
  return [...wanted].every(([origin, entries]) => (known.get(origin) ?? 0) >= entries)
}

/** Milliseconds until these nodes know what has just been published. */
async function effectiveAfter(lab: Lab, begin: number, who = members): Promise<number> {
  const wanted = await publishedHeads(lab)
  await Promise.all(
    who.map(async (member) => {
      while (!(await knows(lab, member, wanted))) await pause(lookMs)
    }),
  )
  return Math.round(performance.now() - begin)
}

async function send(lab: Lab, from: string, to: string, as = "duty"): Promise<string | undefined> {
  const words = ["send", "--node", lab.nodeDir(from), "--to", to, "--as", as]
  return errorCode(await chappe([...words, "--subject", "Test", "--text", "Test", "--json"]))
}

const rootOf = (lab: Lab): string => join(lab.dir, "roots", `${subject}.key`)

type Revocation = (
  lab: Lab,
  round: number,
) => Promise<{ readonly ms: number; readonly held: boolean }>

const ofOfficer: Revocation = async (lab, round) => {
  const officer = `agent${round}`
  const place = ["--node", lab.nodeDir(subject), "--root", rootOf(lab)]
  await chappeJson(["officer", "add", officer, ...place, "--roles", "officer"])
  while ((await send(lab, subject, "JP", officer)) !== undefined) await pause(lookMs)
  const begin = performance.now()
  await chappeJson(["officer", "revoke", officer, ...place, "--reason", "left"])
  const ms = await effectiveAfter(lab, begin)
  return { ms, held: (await send(lab, subject, "JP", officer)) === "officer-revoked" }
}

/** The next incarnation ends the key before it: who still goes by that one is let in nowhere. */
const ofNodeKey: Revocation = async (lab) => {
  const place = ["--node", lab.nodeDir(subject), "--root", rootOf(lab)]
  const begin = performance.now()
  const [anew] = await chappeJson(["keys", "new-incarnation", ...place])
  const others = members.filter((member) => member !== subject)
  const ms = await effectiveAfter(lab, begin, others)
  await lab.kill(subject)
  const status = await lab.api(subject, "operator").call("GET", "/v1/status")
  const { incarnation } = status["keys"] as Json
  return { ms, held: incarnation === anew?.["incarnation"] && (await isHeard(lab)) }
}

async function publishRoster(lab: Lab, file: string, words: readonly string[]): Promise<number> {
  const trust = ["--trust", join(lab.dir, "trust.json")]
  await chappeJson(["roster", "suspend", subject, ...words, ...trust, "--out", file])
  for (const number of [1, 2]) {
    const key = join(lab.dir, "custodians", `custodian-${number}.key`)
    await chappeJson(["roster", "sign", file, "--key", key])
  }
  const begin = performance.now()
  await chappeJson(["roster", "publish", file, ...trust])
  return begin
}

const ofMember: Revocation = async (lab, round) => {
  const begin = await publishRoster(lab, join(lab.dir, `suspended-${round}.roster`), [])
  const ms = await effectiveAfter(lab, begin)
  const codes = await Promise.all(
    members.filter((name) => name !== subject).map((name) => send(lab, name, subject)),
  )
  const held = codes.every((code) => code === "unknown-recipient")
  const again = await publishRoster(lab, join(lab.dir, `back-${round}.roster`), ["--restore"])
  await effectiveAfter(lab, again)
  return { ms, held: held && (await isHeard(lab)) }
}

/** Who speaks with a good key is heard by all. */
async function isHeard(lab: Lab): Promise<boolean> {
  const others = members.filter((member) => member !== subject)
  const words = ["send", "--node", lab.nodeDir(subject), "--to", others.join(",")]
  const [sent] = await chappeJson([...words, "--subject", "Heard", "--text", "Heard"])
  await Promise.all(
    others.map((member) => lab.api(member).inboxMessage(({ id }) => id === sent?.["id"])),
  )
  return true
}

const sorts: readonly (readonly [name: string, revocation: Revocation])[] = [
  ["officer", ofOfficer],
  ["node key", ofNodeKey],
  ["member", ofMember],
]

export const revocation: Chaos = {
  name: "revocation",
  says: "officers, node keys and members revoked: known at every node within 60 s, and refused",
  unit: "revocations",
  sizes: { brief: 3, ci: 6, long: 50 },
  measures: true,
  unavailable: availableEverywhere,
  async run({ count, say }) {
    const lab = await Lab.init("--members", "FR,JP,BR", "--relays", "2")
    try {
      await lab.up()
      const times: number[] = []
      let notHeld = 0
      for (let i = 0; i < count; i++) {
        const [name, revoke] = sorts[i % sorts.length] ?? ["officer", ofOfficer]
        const { ms, held } = await revoke(lab, i)
        times.push(ms)
        if (!held) notHeld += 1
        say(`${name}: known everywhere after ${ms} ms${held ? "" : ", and not refused"}`)
      }
      const sorted = times.toSorted((a, b) => a - b)
      const worst = sorted.at(-1) ?? 0
      const median = sorted[Math.floor(sorted.length / 2)] ?? 0
      return {
        passed: notHeld === 0 && worst <= effectiveMsMax,
        figures: { revocations: count, median_ms: median, worst_ms: worst, not_refused: notHeld },
      }
    } finally {
      await lab.end()
    }
  },
}
