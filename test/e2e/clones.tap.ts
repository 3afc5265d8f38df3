// Copies of a node's or a relay's folder that are started: whoever is behind is told so at the first
// message, sends nothing, and is named in an alarm; the original goes on.

import { cp, readFile, rename, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { get } from "node:https"
import { text } from "node:stream/consumers"
import { setTimeout as pause } from "node:timers/promises"
import t from "tap"
import type { Json } from "../kit/command.ts"
import { Processes } from "../kit/processes.ts"

const lookMs = 100

t.setTimeout(0)
const lab = await Processes.init("--members", "FR,JP", "--relays", "1")
t.teardown(() => lab.endAll())
const [fr, jp, hq, hub] = [lab.node("FR"), lab.node("JP"), lab.node("HQ"), lab.relay("hub1")]
const beside = lab.path("FR-beside")
const old = lab.path("FR-old")
const oldHub = lab.path("hub1-old")

const send = async (from: string, subject: string): Promise<Json> =>
  await lab.api(from).call("POST", "/v1/messages", {
    type: "message",
    to: ["JP"],
    subject,
    text: subject,
    precedence: "routine",
  })

const arrived = async (subject: string): Promise<Json> =>
  await lab.api(jp).inboxMessage((message) => message["subject"] === subject)

async function copyNode(to: string): Promise<void> {
  await cp(fr, to, { recursive: true })
  const config = join(to, "node.toml")
  const text = await readFile(config, "utf8")
  await writeFile(config, text.replace(/^port = .*$/mu, "port = 0"))
}

async function getText(url: string): Promise<string> {
  return await new Promise((resolve, reject) => {
    get(url, { rejectUnauthorized: false }, (answer) => resolve(text(answer))).once("error", reject)
  })
}

/** Resolves once one of these nodes raises the alarm. */
async function alarmed(dirs: readonly string[], wanted: string): Promise<void> {
  for (;;) {
    for (const dir of dirs) {
      const status = await lab.api(dir, "operator").call("GET", "/v1/status")
      if ((status["alarms"] as readonly Json[]).some(({ kind }) => kind === wanted)) return
    }
    await pause(lookMs)
  }
}

async function linked(dir: string): Promise<boolean> {
  const status = await lab.api(dir, "operator").call("GET", "/v1/status")
  return (status["links"] as readonly Json[]).some(({ up }) => up === true)
}

await lab.start("relay", hub)
for (const dir of [fr, jp, hq]) await lab.start("node", dir)

await t.test("a clone beside the original stops before it sends", async (t) => {
  await send(fr, "one")
  await arrived("one")
  await lab.end(fr, "SIGTERM")
  await copyNode(beside)
  await copyNode(old)
  await lab.start("node", fr)
  await send(fr, "two")
  await arrived("two")
  await lab.start("node", beside)
  await alarmed([beside], "clone")
  const sent = await send(beside, "by the clone")
  t.equal(sent["state"], "queued")
  await send(fr, "three")
  await arrived("three")
  t.equal(await linked(beside), false)
  t.equal(await linked(fr), true)
  const api = await readFile(join(hub, "run", "relay.json"), "utf8")
  const { url } = JSON.parse(api) as { readonly url: string }
  const metrics = await getText(`${url}/metrics`)
  t.match(metrics, /^chappe_relay_clone_alarms_total [1-9]/mu)
})

await t.test("a clone stays one, also after a restart and without the original", async (t) => {
  await lab.end(beside)
  await lab.end(fr, "SIGTERM")
  await lab.start("node", beside)
  await alarmed([beside], "clone")
  t.equal((await send(beside, "by the clone again"))["state"], "queued")
  t.equal(await linked(beside), false)
  await lab.end(beside)
})

await t.test("an old copy put back without the standby key stops before it sends", async (t) => {
  await lab.start("node", old)
  await alarmed([old], "clone")
  t.equal((await send(old, "by the old copy"))["state"], "queued")
  await lab.end(old)
  await lab.start("node", fr)
  await send(fr, "four")
  await arrived("four")
  const inbox = await lab.api(jp).inbox()
  t.same(
    inbox.map((message) => [message["subject"], (message["channel"] as Json)["seq"]]),
    [
      ["one", 1],
      ["two", 2],
      ["three", 3],
      ["four", 4],
    ],
    "no number was given twice",
  )
})

await t.test("a relay put back from an old copy writes nothing, and is named", async (t) => {
  await lab.end(hub, "SIGTERM")
  await cp(hub, oldHub, { recursive: true })
  await lab.start("relay", hub)
  await send(fr, "five")
  await arrived("five")
  await lab.end(hub, "SIGTERM")
  await rename(hub, lab.path("hub1-newest"))
  await rename(oldHub, hub)
  // Whoever saw more shows it the relay's own signature, and the process ends.
  t.equal(await lab.endedBy("relay", hub), "rollback")
  t.equal(await lab.endedBy("relay", hub), "rollback", "for ever")
  // Whoever was there first has told it so.
  await alarmed([fr, jp, hq], "log-rollback")
  await rename(hub, oldHub)
  await rename(lab.path("hub1-newest"), hub)
  await lab.start("relay", hub)
  await send(fr, "six")
  await arrived("six")
  t.pass("the relay itself goes on")
})
