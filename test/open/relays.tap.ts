// Relays come, move and go while everybody sends: emptied, moved to another place, added, retired by the roster.

import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import t from "tap"
import Schema from "typebox/schema"
import { type Json, chappeJson, onJsonLine, spawnChappe } from "../kit/command.ts"
import { freePort } from "../kit/free-port.ts"
import { isFaultless } from "../kit/judge.ts"
import { Lab } from "../kit/lab.ts"
import { judgeAll, sendAll } from "../kit/traffic.ts"

const members = ["FR", "HQ", "JP"]
const lookMs = 200

t.setTimeout(0)
const lab = await Lab.init("--members", "FR,JP", "--relays", "3")
const work = await mkdtemp(join(tmpdir(), "chappe-relays-"))
const trust = join(lab.dir, "trust.json")
const byHand = new Set<ChildProcess>()
t.teardown(async () => {
  for (const child of byHand) await stop(child)
  await lab.end()
  await rm(work, { recursive: true })
})

/** hub3 is run by hand: `lab up` would start it again. */
const plan = JSON.parse(await readFile(join(lab.dir, "lab.json"), "utf8")) as {
  relays: { name: string }[]
}
plan.relays = plan.relays.filter(({ name }) => name !== "hub3")
await writeFile(join(lab.dir, "lab.json"), JSON.stringify(plan))

async function start(dir: string): Promise<ChildProcess> {
  const child = spawnChappe(["relay", "start", "--dir", dir, "--with-parent", "--json"])
  byHand.add(child)
  child.stderr?.resume()
  await new Promise<void>((resolve, reject) => {
    onJsonLine(child, (line) => {
      if (line["event"] === "ready") resolve()
      else if ("error" in line) reject(new Error(JSON.stringify(line)))
    })
    child.once("exit", () => reject(new Error(`the relay in ${dir} ended`)))
  })
  return child
}

async function stop(child: ChildProcess): Promise<void> {
  byHand.delete(child)
  if (child.exitCode !== null) return
  child.kill("SIGTERM")
  await once(child, "exit")
}

async function status(dir: string): Promise<Json> {
  const [found] = await chappeJson(["relay", "status", "--dir", dir])
  return found ?? {}
}

function linkedIn(facts: Json): readonly string[] {
  const peers = [...(facts["members"] as Json[]), ...(facts["relays"] as Json[])]
  return peers.filter(({ linked }) => linked === true).map(({ name }) => String(name))
}

/** Resolves once all members and these relays are linked to the relay in `dir`. */
async function linkedTo(dir: string, ...relays: readonly string[]): Promise<void> {
  const wanted = [...members, ...relays]
  for (;;) {
    const linked = linkedIn(await status(dir))
    if (wanted.every((name) => linked.includes(name))) return
    await pause(lookMs)
  }
}

async function signed(file: string): Promise<string> {
  for (const number of [1, 2])
    await chappeJson([
      "roster",
      "sign",
      file,
      "--key",
      join(lab.dir, "custodians", `custodian-${number}.key`),
    ])
  return file
}

const hub1 = lab.relayDir("hub1")
let hub3 = await start(lab.relayDir("hub3"))
await lab.up()
await linkedTo(hub1, "hub2", "hub3")
const over = new AbortController()
const sending = sendAll(lab, { members, messages: 100_000, seed: 11, until: over.signal })

await t.test("operators see everybody and reach every node", async (t) => {
  const facts = await status(hub1)
  t.match(facts, { own: { relay: "hub1", clock: { isOff: false } }, draining: null })
  const [echo] = await chappeJson(["relay", "probe", "JP", "--dir", hub1])
  t.match(echo, { member: "JP", relay: "hub1", via: null })
  const [why] = await chappeJson(["relay", "why", "JP", "--dir", hub1])
  t.match(why, { says: /JP/u, next: /./u })
})

await t.test(
  "a relay is emptied and moved; everybody follows, and nobody is started again",
  async (t) => {
    const before = lab.relayDir("hub3")
    const drained = await chappeJson(["relay", "drain", "--dir", before, "--wait"])
    t.match(drained.at(-1), { isEmpty: true })
    await stop(hub3)
    const after = join(work, "hub3")
    await cp(before, after, { recursive: true })
    await rm(before, { recursive: true })
    const [links, https] = [await freePort(), await freePort()]
    const words = [
      "--host",
      "127.0.0.1",
      "--links-port",
      String(links),
      "--https-port",
      String(https),
    ]
    const [moved] = await chappeJson(["relay", "move", "--dir", after, ...words])
    t.match(moved, { relay: "hub3", links: [`wss://127.0.0.1:${links}`], told: ["hub1", "hub2"] })
    hub3 = await start(after)
    await linkedTo(after, "hub1", "hub2")
    t.match(await status(after), { draining: { isEmpty: true } }, "still being emptied")
    const [open] = await chappeJson(["relay", "drain", "--dir", after, "--off"])
    t.match(open, { since: null })
  },
)

await t.test("a relay is added, and a member makes it its home", async (t) => {
  const dir = join(work, "hub4")
  const words = ["--name", "hub4", "--host", "127.0.0.1", "--bind", "127.0.0.1"]
  const [links, https] = [String(await freePort()), String(await freePort())]
  const listen = ["--links-port", links, "--https-port", https]
  await chappeJson(["relay", "init", "--dir", dir, ...words, ...listen])
  const founding = join(dir, "founding.json")
  const file = join(work, "added.roster")
  await chappeJson(["roster", "add-relay", founding, "--trust", trust, "--out", file])
  await signed(file)
  await chappeJson(["roster", "publish", file, "--trust", trust, "--relay", founding])
  await chappeJson(["relay", "install", "--dir", dir, "--trust", trust])
  await start(dir)
  await linkedTo(dir, "hub1", "hub2", "hub3")
  const root = join(lab.dir, "roots", "JP.key")
  const node = lab.nodeDir("JP")
  const byRoot = ["--node", node, "--root", root]
  const [homes] = await chappeJson(["keys", "homes", "hub4", "hub1", ...byRoot])
  t.match(homes, { member: "JP", homes: ["hub4", "hub1"] })
})

await t.test("a relay is retired: everybody leaves it", async (t) => {
  const dir = lab.relayDir("hub2")
  const drained = await chappeJson(["relay", "drain", "--dir", dir, "--wait"])
  t.match(drained.at(-1), { isEmpty: true, onlyHomeOf: [] })
  const file = join(work, "retired.roster")
  await chappeJson(["roster", "suspend", "hub2", "--remove", "--trust", trust, "--out", file])
  await signed(file)
  await chappeJson(["roster", "publish", file, "--trust", trust])
  while (linkedIn(await status(hub1)).includes("hub2")) await pause(lookMs)
  while (linkedIn(await status(dir)).length > 0) await pause(lookMs)
  t.pass("hub2 has no link left")
})

await t.test("every log line of this run has the form that is shipped", async (t) => {
  const schema = JSON.parse(await readFile("ops/log-line.schema.json", "utf8")) as object
  const dirs = [...members.map((name) => lab.nodeDir(name)), hub1, lab.relayDir("hub2")]
  const events = new Set<string>()
  for (const dir of dirs)
    for (const line of (await readFile(join(dir, "run", "process.log"), "utf8")).split("\n")) {
      if (!line.startsWith("{")) continue
      const found = JSON.parse(line) as Json
      events.add(String(found["event"]))
      if (!Schema.Check(schema, found)) t.fail(line)
    }
  for (const event of ["ready", "link-up", "custody", "draining"])
    t.ok(events.has(event), `${event} was among them`)
})

await t.test(
  "nothing that was sent meanwhile was lost, doubled, changed or reordered",
  async (t) => {
    over.abort()
    const submitted = await sending
    const faults = await judgeAll(lab, members, submitted)
    t.comment(`${submitted.length} messages`)
    t.ok(isFaultless(faults), JSON.stringify(faults))
    t.ok(submitted.length > 20, "there was traffic")

    // The last message that JP got, step by step, over all relays that had it.
    const last = submitted.findLast(({ to }) => to.includes("JP"))
    const [trace] = await chappeJson([
      "trace",
      last?.id ?? "",
      "--node",
      lab.nodeDir(last?.sender ?? ""),
    ])
    t.match(JSON.stringify(trace), /delivered/u)
  },
)
