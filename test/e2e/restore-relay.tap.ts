// A relay lost with its disk comes back from a backup that was taken while it ran: with new logs, so that no
// place in a log is used twice, and filled again by its members.

import { randomBytes } from "node:crypto"
import { cp, readdir, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import t from "tap"
import { chappe, chappeJson, errorCode } from "../kit/command.ts"
import { Processes } from "../kit/processes.ts"

t.setTimeout(0)
const lab = await Processes.init("--members", "FR,JP", "--relays", "2")
t.teardown(() => lab.endAll())
const [fr, jp, hub, other] = [lab.node("FR"), lab.node("JP"), lab.relay("hub1"), lab.relay("hub2")]
const keys = lab.path("card")
const file = lab.path("hub1.backup")
const secret = lab.path("backup.secret")
const root = lab.path("lab", "roots", "hub1.key")
await writeFile(secret, randomBytes(32), { mode: 0o600 })

const send = async (subject: string): Promise<string> => {
  const sent = await lab.api(fr).call("POST", "/v1/messages", {
    type: "message",
    to: ["JP"],
    subject,
    text: subject,
    precedence: "routine",
  })
  return String(sent["state"])
}

for (const relay of [hub, other]) await lab.start("relay", relay)
for (const dir of [fr, jp, lab.node("HQ")]) await lab.start("node", dir)
await send("one")
await lab.api(jp).inboxMessage(({ subject }) => subject === "one")

await t.test("a backup is taken while the relay runs", async (t) => {
  const words = ["backup", "--dir", hub, "--out", file, "--secret-file", secret]
  const [written] = await chappeJson(words)
  t.match(written, { role: "relay", name: "hub1" })
  t.ok(Number(written?.["files"]) >= 3)
})

await t.test(
  "it is put back with its keys, which no backup holds, and its root, and begins new logs",
  async (t) => {
    await lab.end(jp, "SIGTERM")
    await lab.end(other, "SIGTERM")
    t.equal(await send("two"), "custody", "only the relay that is lost has it")
    await lab.end(hub)
    await cp(join(hub, "keys"), keys, { recursive: true })
    await rm(hub, { recursive: true })
    await lab.start("relay", other)
    const words = ["restore", file, "--dir", hub, "--secret-file", secret]
    t.equal(errorCode(await chappe([...words, "--root", root, "--json"])), "usage")
    const [back] = await chappeJson([...words, "--keys", keys, "--root", root])
    t.match(back, { name: "hub1", told: ["hub2"] })
    t.match(back?.["logs"], [/^hub1\/directory\.2$/u, /^hub1\/traffic\/[0-9]{4}\.2$/u])
  },
)

await t.test("its members fill it again, and nothing is lost or twice", async (t) => {
  await lab.start("relay", hub)
  await lab.start("node", jp)
  await lab.api(jp).inboxMessage(({ subject }) => subject === "two")
  await lab.end(other, "SIGTERM")
  t.equal(await send("three"), "custody")
  await lab.api(jp).inboxMessage(({ subject }) => subject === "three")
  const inbox = await lab.api(jp).inbox()
  t.same(
    inbox.map(({ subject }) => subject),
    ["one", "two", "three"],
  )
  const traffic = await readdir(join(hub, "log", "traffic"), { recursive: true })
  t.ok(traffic.some((path) => path.endsWith(".2/checkpoint")))
  t.notOk(
    traffic.some((path) => /^[0-9]{4}\/./u.test(path)),
    "no line was added to an old log",
  )
})
