// Mail on a file for a node whose link is down: taken in by the same checks, receipted on the next file,
// shown once when the link is back.

import { readFile, writeFile } from "node:fs/promises"
import { setTimeout as pause } from "node:timers/promises"
import t from "tap"
import { type Json, chappe, chappeJson, errorCode } from "../kit/command.ts"
import { Processes } from "../kit/processes.ts"

t.setTimeout(0)
const lab = await Processes.init("--members", "FR,JP", "--relays", "1")
t.teardown(() => lab.endAll())
const [fr, jp, hq, hub] = [lab.node("FR"), lab.node("JP"), lab.node("HQ"), lab.relay("hub1")]
const there = lab.path("there.courier")
const back = lab.path("back.courier")

const importing = async (dir: string, file: string) =>
  await chappe(["courier", "import", file, "--node", dir, "--json"])

const subjects = async (dir: string): Promise<readonly string[]> =>
  (await lab.api(dir).inbox()).map((message) => String(message["subject"]))

await lab.start("relay", hub)
for (const dir of [fr, jp, hq]) await lab.start("node", dir)
const attached = lab.path("plan.txt")
await writeFile(attached, "the plan ".repeat(40_000))
let sent: readonly Json[] = []

await t.test("mail that a relay has accepted leaves on a file", async (t) => {
  await chappeJson(["send", "--node", fr, "--to", "JP", "--subject", "first", "--text", "one"])
  await lab.api(jp).inboxMessage(({ subject }) => subject === "first")
  // JP's link goes down for days: its relay is out of its reach, and only its officers see the node.
  await lab.end(jp, "SIGTERM")
  sent = [
    ...(await chappeJson([
      "send",
      "--node",
      fr,
      "--to",
      "JP",
      "--subject",
      "second",
      "--text",
      "two",
    ])),
    ...(await chappeJson([
      "send",
      "--node",
      fr,
      "--to",
      "JP",
      "--subject",
      "third",
      "--text",
      "three",
      "--attach",
      attached,
    ])),
  ]
  t.same(
    sent.map(({ state }) => state),
    ["custody", "custody"],
  )
  const [written] = await chappeJson([
    "courier",
    "export",
    "--node",
    fr,
    "--for",
    "JP",
    "--out",
    there,
  ])
  t.ok(Number(written?.["parts"]) >= 4)
  await lab.end(hub, "SIGTERM")
  await lab.start("node", jp)
})

await t.test("what is cut, changed or for somebody else is refused by name", async (t) => {
  const bytes = await readFile(there)
  const cut = lab.path("cut")
  await writeFile(cut, bytes.subarray(0, bytes.length - 1))
  t.equal(errorCode(await importing(jp, cut)), "courier")
  const changed = lab.path("changed")
  await writeFile(
    changed,
    bytes.map((byte, i) => (i === bytes.length >> 1 ? byte ^ 1 : byte)),
  )
  t.equal(errorCode(await importing(jp, changed)), "courier")
  t.equal(errorCode(await importing(hq, there)), "not-for-me")
  t.same(await subjects(jp), ["first"])
})

await t.test("the file is taken in without any link, once", async (t) => {
  const outcome = await importing(jp, there)
  t.same(outcome.lines, [{ from: "FR", messages: 2, receipts: 0, refused: 0 }])
  t.same(await subjects(jp), ["first", "second", "third"])
  t.equal(errorCode(await importing(jp, there)), "duplicate")
  t.same(await subjects(jp), ["first", "second", "third"])
})

await t.test("receipts go back on the next file", async (t) => {
  await chappeJson(["courier", "export", "--node", jp, "--for", "FR", "--out", back])
  const outcome = await importing(fr, back)
  t.equal(outcome.lines[0]?.["receipts"], 2)
  for (const { id } of sent) await lab.api(fr).stepsOf(String(id), "delivered")
  t.pass("the sender knows")
})

await t.test(
  "when the link is back nothing is shown twice, and the log has the receipts",
  async (t) => {
    await lab.start("relay", hub)
    const id = String(sent[1]?.["id"])
    for (;;) {
      const steps = await lab.api(fr).stepsOf(id, "delivered")
      if (steps.some(({ step, log }) => step === "delivered" && log !== null)) break
      await pause(100)
    }
    await chappeJson(["send", "--node", fr, "--to", "JP", "--subject", "fourth", "--text", "four"])
    await lab.api(jp).inboxMessage(({ subject }) => subject === "fourth")
    t.same(await subjects(jp), ["first", "second", "third", "fourth"])
  },
)
