// A node lost with its disk comes back from a backup that was taken while it ran: as its next incarnation,
// with everything that was acknowledged and has not expired, and without repeating a number or a key.

import { randomBytes } from "node:crypto"
import { readFile, stat, writeFile } from "node:fs/promises"
import t from "tap"
import { chappe, chappeJson, errorCode } from "../kit/command.ts"
import type { Json } from "../kit/command.ts"
import { Processes } from "../kit/processes.ts"

t.setTimeout(0)
const lab = await Processes.init("--members", "FR,JP", "--relays", "1")
t.teardown(() => lab.endAll())
const [fr, jp, hub] = [lab.node("FR"), lab.node("JP"), lab.relay("hub1")]
const standby = lab.path("JP-standby")
const file = lab.path("JP.backup")
const secret = lab.path("backup.secret")
await writeFile(secret, randomBytes(32), { mode: 0o600 })

const send = async (from: string, to: string, subject: string, precedence = "routine") =>
  await lab.api(from).call("POST", "/v1/messages", {
    type: "message",
    to: [to],
    subject,
    text: subject,
    precedence,
  })

const subjects = async (dir: string): Promise<readonly string[]> =>
  (await lab.api(dir).inbox()).map((message) => String(message["subject"]))

await lab.start("relay", hub)
for (const dir of [fr, jp, lab.node("HQ")]) await lab.start("node", dir)
await chappeJson(["node", "standby", "--node", jp, "--out", standby])

await send(fr, "JP", "before")
await send(jp, "FR", "from JP before")
await lab.api(jp).inboxMessage(({ subject }) => subject === "before")

await t.test("a backup is taken while the node runs", async (t) => {
  const [written] = await chappeJson([
    "backup",
    "--dir",
    jp,
    "--out",
    file,
    "--secret-file",
    secret,
  ])
  t.ok(Number(written?.["records"]) > 0)
  t.equal((await stat(file)).mode & 0o777, 0o600)
  const again = await chappe([
    "backup",
    "--dir",
    jp,
    "--out",
    file,
    "--secret-file",
    secret,
    "--json",
  ])
  t.equal(errorCode(again), "file-exists")
})

const after = ["after 1", "after 2", "after 3"]

await t.test("the network goes on, and the node is lost", async (t) => {
  for (const subject of after) await send(fr, "JP", subject)
  await send(fr, "JP", "after, flash", "flash")
  await send(jp, "FR", "from JP after")
  await lab.api(jp).inboxMessage(({ subject }) => subject === "after, flash")
  await lab.api(jp).inboxMessage(({ subject }) => subject === "after 3")
  await lab.api(fr).inboxMessage(({ subject }) => subject === "from JP after")
  await lab.end(jp)
  t.pass()
})

await t.test("what is not whole is refused and leaves nothing", async (t) => {
  const bytes = await readFile(file)
  for (const [name, broken] of [
    ["cut", bytes.subarray(0, bytes.length - 1)],
    ["changed", bytes.map((byte, i) => (i === bytes.length - 40 ? byte ^ 1 : byte))],
  ] as const) {
    await writeFile(lab.path(name), broken)
    const words = ["node", "takeover", "--dir", standby, "--backup", lab.path(name)]
    const outcome = await chappe([...words, "--secret-file", secret, "--json"])
    t.equal(errorCode(outcome), "backup", name)
  }
})

await t.test(
  "the standby takes over: nothing missing, nothing twice, next incarnation",
  async (t) => {
    const began = process.hrtime.bigint()
    const words = ["node", "takeover", "--dir", standby, "--backup", file]
    await chappeJson([...words, "--secret-file", secret])
    await lab.start("node", standby)
    const api = lab.api(standby)
    await api.inboxMessage(({ subject }) => subject === "after, flash")
    await api.inboxMessage(({ subject }) => subject === "after 3")
    const sent = await send(standby, "FR", "from JP again")
    const found: Json = await lab.api(fr).inboxMessage(({ subject }) => subject === "from JP again")
    const seconds = Number(process.hrtime.bigint() - began) / 1e9
    t.comment(`in service after ${seconds.toFixed(1)} s`)
    t.ok(sent["id"])
    t.equal((found["channel"] as Json)["seq"], 1, "a channel of its own")
    t.equal((found["channel"] as Json)["incarnation"], 2)
    const expected = ["before", ...after, "after, flash"]
    t.same([...(await subjects(standby))].toSorted(), [...expected].toSorted())
    t.same(
      (await subjects(standby)).filter((subject) => /^after \d$/u.test(subject)),
      after,
      "in order",
    )
    const status = await lab.api(standby, "operator").call("GET", "/v1/status")
    t.ok((status["alarms"] as readonly Json[]).some(({ kind }) => kind === "standby-used"))
  },
)
