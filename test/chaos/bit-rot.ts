// One flipped bit, a cut, a zeroed page or a deleted file anywhere in a stopped node's or relay's folder.

import { cp, mkdir, rm } from "node:fs/promises"
import { basename, join, sep } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import type { Json } from "../kit/command.ts"
import { Lab } from "../kit/lab.ts"
import { ApiError } from "../kit/node-api.ts"
import { prng } from "../kit/mutate.ts"
import { type End, OneProcess } from "../kit/process.ts"
import { type Rot, filesIn, rotOne } from "../kit/rot.ts"
import { type Chaos, availableEverywhere } from "./chaos.ts"

const members = ["FR", "JP"] as const
const messagesEach = 6
const waitingMessages = 4
const lookMs = 250
const patienceLooks = 120

/** What every officer can read: place → text, digest of an attachment, or the code of a refusal. */
type Found = ReadonlyMap<string, string>

type Outcome =
  | { readonly kind: "unharmed" }
  | { readonly kind: "named"; readonly says: string }
  | { readonly kind: "silent"; readonly says: string }

/** Not data: lines for people, what a process says about itself while it runs, and configuration. */
function counts(path: string): boolean {
  if (path.split(sep).includes("run")) return false
  return !/^(?:LOG|LOG\.old|LOCK|.*\.toml)$/u.test(basename(path))
}

async function send(lab: Lab, from: string, subject: string): Promise<void> {
  const api = lab.api(from)
  const attachment = await api.attachBytes(`${subject}.bin`, Buffer.from(subject.repeat(500)))
  await api.call("POST", "/v1/messages", {
    type: "message",
    to: members.filter((member) => member !== from),
    subject,
    text: `text of ${subject}`,
    precedence: "flash",
    attachments: [attachment],
    idempotencyKey: subject.replaceAll(" ", "-"),
  })
}

/** Messages that arrived, and some that wait at the relay for a node that hears nothing. */
async function fill(lab: Lab): Promise<void> {
  for (let n = 0; n < messagesEach; n++)
    for (const member of members) await send(lab, member, `${member} ${n}`)
  const whole = members.length * messagesEach
  for (const member of members)
    while ((await lab.api(member).inbox()).length < whole / members.length) await pause(lookMs)
  lab.hold("JP")
  for (let n = 0; n < waitingMessages; n++) await send(lab, "FR", `waiting ${n}`)
}

async function readable(lab: Lab, nodes: readonly string[]): Promise<Found> {
  const found = new Map<string, string>()
  for (const member of nodes) {
    const api = lab.api(member)
    for (const message of await api.inbox()) {
      const place = `${member} ${String(message["subject"])}`
      await note(found, place, async () =>
        String((await api.call("GET", `/v1/messages/${String(message["id"])}`))["text"]),
      )
      await note(found, `${place} attachment`, async () =>
        api.attachmentDigest(String(message["id"]), 0),
      )
    }
    const outbox = await api.call("GET", "/v1/outbox?limit=500")
    for (const message of outbox["messages"] as readonly Json[])
      found.set(`${member} sent ${String(message["subject"])}`, "there")
  }
  return found
}

async function note(
  found: Map<string, string>,
  place: string,
  read: () => Promise<string>,
): Promise<void> {
  try {
    found.set(place, await read())
  } catch (cause) {
    if (!(cause instanceof ApiError)) throw cause
    found.set(place, `refused: ${cause.code}`)
  }
}

function differences(expected: Found, found: Found): readonly string[] {
  const places = new Set([...expected.keys(), ...found.keys()])
  return [...places].filter((place) => expected.get(place) !== found.get(place))
}

type Victim = { readonly name: string; readonly role: "relay" | "node"; readonly dir: string }

/** Starts what was damaged, with who has to do with it, and reads everything. */
async function tryOut(lab: Lab, victim: Victim, expected: Found): Promise<Outcome> {
  const nodes = victim.role === "relay" ? members : [victim.name]
  const processes = [
    ...(victim.role === "relay" ? [new OneProcess("relay", victim.dir)] : []),
    ...nodes.map((name) => new OneProcess("node", lab.nodeDir(name))),
  ]
  try {
    const ends = processes.map(async ({ ended }) => outcomeOf(await ended))
    for (const { ready } of processes) {
      const end = await ready
      if (end !== undefined) return outcomeOf(end)
    }
    const own = new Map(
      [...expected].filter(([place]) => nodes.some((name) => place.startsWith(name))),
    )
    // What waits at a relay that is not there cannot have come.
    if (victim.role === "node")
      for (const place of own.keys()) if (place.startsWith("JP waiting")) own.delete(place)
    return await Promise.race([compare(lab, nodes, own), ...ends])
  } finally {
    await Promise.all(processes.map(async (one) => one.stop()))
  }
}

/** A process that ends must say why. */
function outcomeOf({ error, says, signal }: End): Outcome {
  const isNamed = error !== undefined && error !== "internal" && signal === null
  return { kind: isNamed ? "named" : "silent", says: `${error ?? signal ?? "no error"}: ${says}` }
}

/** Waits for what is still under way. */
async function compare(lab: Lab, nodes: readonly string[], expected: Found): Promise<Outcome> {
  for (let looks = 0; ; looks++) {
    const found = await readable(lab, nodes)
    const different = differences(expected, found)
    const [silent] = different.filter((place) => !(found.get(place) ?? "").startsWith("refused: "))
    const [first] = different
    if (first === undefined) return { kind: "unharmed" }
    if (silent === undefined) return { kind: "named", says: `${first} ${found.get(first) ?? ""}` }
    if (looks >= patienceLooks)
      return { kind: "silent", says: `${silent}: ${found.get(silent) ?? "missing"}` }
    await pause(lookMs)
  }
}

export const bitRot: Chaos = {
  name: "bit-rot",
  says: "one bit turned, a cut, a zeroed page or a deleted file in a stopped node's or relay's folder: unharmed or refused with a named error, 0 silent, 0 aborts",
  unit: "trials",
  sizes: { brief: 10, ci: 50, long: 500 },
  unavailable: availableEverywhere,
  async run({ count, seed, say }) {
    const lab = await Lab.init("--members", members.join(","), "--relays", "1")
    const victims: readonly Victim[] = [
      { name: "hub1", role: "relay", dir: lab.relayDir("hub1") },
      ...members.map((name) => ({ name, role: "node", dir: lab.nodeDir(name) }) as const),
    ]
    const whole = join(lab.dir, "..", "whole")
    try {
      await lab.up()
      await fill(lab)
      await lab.stop()
      await mkdir(whole)
      await cp(lab.dir, whole, { recursive: true })
      const restore = async (): Promise<void> => {
        await rm(lab.dir, { recursive: true })
        await cp(whole, lab.dir, { recursive: true })
      }
      await lab.up()
      while ((await lab.api("JP").inbox()).length < messagesEach + waitingMessages)
        await pause(lookMs)
      const expected = await readable(lab, members)
      await lab.stop()
      const random = prng(seed)
      const totals = { unharmed: 0, named: 0, silent: 0 }
      for (let trial = 0; trial < count; trial++) {
        await restore()
        const victim = random.pick(victims)
        const rot: Rot = await rotOne(await filesIn(victim.dir, counts), random)
        const outcome = await tryOut(lab, victim, expected)
        totals[outcome.kind] += 1
        const place = rot.file.slice(lab.dir.length + 1)
        if (outcome.kind !== "unharmed")
          say(`${place} ${rot.what}: ${outcome.kind}, ${outcome.says}`)
      }
      return { passed: totals.silent === 0, figures: { trials: count, ...totals } }
    } finally {
      await lab.end()
    }
  },
}
