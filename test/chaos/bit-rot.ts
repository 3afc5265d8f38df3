// One flipped bit, a cut, a zeroed page or a deleted file anywhere in a stopped node's or relay's folder.

import { cp, mkdir, readFile, rm } from "node:fs/promises"
import { basename, join, sep } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import { RelayDoor } from "../../cli/relay-door.ts"
import { relayFacts } from "../../relay/operator-facts.ts"
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
const signInLooks = 40

/** What every officer can read: place → text, digest of an attachment, or the code of a refusal. */
type Found = ReadonlyMap<string, string>

type Outcome =
  | { readonly kind: "unharmed" }
  | { readonly kind: "mended"; readonly says: string }
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
    for (const name of nodes) {
      const code = await signedIn(lab, name)
      if (code !== "ok") return { kind: "named", says: `signing in at ${name}: ${code}` }
    }
    const own = new Map(
      [...expected].filter(([place]) => nodes.some((name) => place.startsWith(name))),
    )
    // What waits at a relay that is not there cannot have come.
    if (victim.role === "node")
      for (const place of own.keys()) if (place.startsWith("JP waiting")) own.delete(place)
    const seen = await Promise.race([compare(lab, nodes, own), ...ends])
    if (seen.kind !== "unharmed" || victim.role === "node") return seen
    return await Promise.race([scrubbed(victim), ...ends])
  } finally {
    await Promise.all(processes.map(async (one) => one.stop()))
  }
}

/** A node that was just started may not know its officers yet. */
async function signedIn(lab: Lab, name: string): Promise<string> {
  let code = "ok"
  for (let looks = 0; looks < signInLooks; looks++) {
    code = await lab.api(name).signInCode()
    if (code === "ok" || code !== "unknown-officer") return code
    await pause(lookMs)
  }
  return code
}

/** What the relay says of its files when it has read all of them again. */
async function scrubbed({ dir }: Victim): Promise<Outcome> {
  const door = await RelayDoor.of(dir)
  for (;;) {
    const { scrub } = (await door.ask({ method: "GET", path: "/status" }, relayFacts)).own
    const { rounds, damaged, mended } = scrub
    if (damaged.length > 0) return { kind: "named", says: `damaged: ${damaged.join(", ")}` }
    if (mended.length > 0) return { kind: "mended", says: mended.join(", ") }
    if (rounds > 0) return { kind: "unharmed" }
    await pause(lookMs)
  }
}

/** A published file that is not what it was must not be left so. */
async function isLeft({ file }: Rot, lab: Lab, whole: string): Promise<boolean> {
  if (!file.includes(`${sep}tile${sep}`)) return false
  const [now, before] = await Promise.all(
    [file, join(whole, file.slice(lab.dir.length))].map((path) => readFile(path)),
  ).catch(() => [])
  // Smaller ones go when there is a full one.
  return now === undefined ? !file.includes(".p") : before?.equals(now) !== true
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
  says: "one bit turned, a cut, a zeroed page or a deleted file in a stopped node's or relay's folder: unharmed, mended, or refused with a named error; 0 silent, 0 aborts",
  unit: "trials",
  sizes: { brief: 5, ci: 50, long: 500 },
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
      const totals = { unharmed: 0, mended: 0, named: 0, silent: 0 }
      for (let trial = 0; trial < count; trial++) {
        await restore()
        const victim = random.pick(victims)
        const rot: Rot = await rotOne(await filesIn(victim.dir, counts), random)
        let outcome = await tryOut(lab, victim, expected)
        if (outcome.kind !== "named" && (await isLeft(rot, lab, whole)))
          outcome = { kind: "silent", says: "the file is left as it is" }
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
