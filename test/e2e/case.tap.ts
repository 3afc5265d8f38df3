// The main job, from outside: three countries and the HQ desk exchange a case message with attachments,
// a diffusion and a notice through two relays; every step is receipted, logged and audited.

import { createHash } from "node:crypto"
import { mkdir, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import t from "tap"
import { type Json, chappe, chappeJson, errorCode } from "../kit/command.ts"
import { Lab } from "../kit/lab.ts"

t.setTimeout(0)
const lab = await Lab.init("--members", "FR,JP,BR")
await lab.up()
t.teardown(() => lab.end())

const work = join(lab.dir, "..", "work")
await mkdir(work, { recursive: true })

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex")
}

async function inboxOf(member: string): Promise<readonly Json[]> {
  return chappeJson(["inbox", "--node", lab.nodeDir(member)])
}

/** Follows a member's inbox until this message is there. */
async function arrived(member: string, wanted: (message: Json) => boolean): Promise<Json> {
  return lab.api(member).inboxMessage(wanted)
}

await t.test(
  "a case message with Arabic text, French text and an attachment arrives unchanged",
  async (t) => {
    const text = "طفلة مفقودة، آخر مشاهدة في المحطة. Enfant disparue, vue à la gare. 1980-01-02"
    const photo = Uint8Array.from({ length: 3_000_000 }, (_, i) => (i * 7 + (i >> 8)) & 255)
    const file = join(work, "photo.jpg")
    await writeFile(file, photo)
    const [sent] = await chappeJson([
      "send",
      "--node",
      lab.nodeDir("FR"),
      "--to",
      "JP",
      "--subject",
      "Demande 17 — إختبار",
      "--text",
      text,
      "--attach",
      file,
      "--precedence",
      "flash",
      "--our-ref",
      "FR-2099-000017",
    ])
    t.equal(sent?.["state"], "custody", "the answer is custody")
    t.same(sent?.["recipients"], ["JP"], "one recipient")
    const id = String(sent?.["id"])
    t.match(id, /^[0-9a-f]{32}$/u, "the id is core.id in hex")

    const message = await arrived("JP", (item) => item["id"] === id)
    t.equal(message["from"], "FR", "it names its sender")
    t.equal(message["precedence"], "flash", "and its precedence")
    t.same((message["channel"] as Json)["seq"], 1, "first in its channel")
    t.same(
      message["attachments"],
      [{ name: "photo.jpg", size: photo.length, sha256: sha256(photo) }],
      "its attachment is listed",
    )

    const saved = join(work, "saved")
    const [shown] = await chappeJson([
      "show",
      id,
      "--node",
      lab.nodeDir("JP"),
      "--save-attachments",
      saved,
    ])
    t.equal(shown?.["text"], text, "the text is the same")
    t.equal(shown?.["officer"], "FR/duty", "the officer is named")
    t.equal(sha256(await readFile(join(saved, "photo.jpg"))), sha256(photo), "byte for byte")
  },
)

await t.test(
  "a reply, a receipt in charge, and the evidence ladder back at the sender",
  async (t) => {
    const [first] = await inboxOf("JP")
    const id = String(first?.["id"])
    await chappeJson(["take", id, "--node", lab.nodeDir("JP")])
    const [reply] = await chappeJson([
      "reply",
      id,
      "--node",
      lab.nodeDir("JP"),
      "--text",
      "Vue à Ueno.",
    ])
    const answer = await arrived("FR", (item) => item["id"] === reply?.["id"])
    t.equal(answer["type"], "reply", "the reply arrives")
    const steps = await lab.api("FR").stepsOf(id, "answered")
    for (const step of ["custody", "delivered", "opened", "in-charge", "answered"])
      t.ok(
        steps.some((item) => item["step"] === step),
        `${step} is known at the sender`,
      )
    t.ok(
      steps.every((item) => item["step"] === "submitted" || item["log"] !== null),
      "every step stands in a log",
    )
  },
)

await t.test("a diffusion goes to its recipients and the desk, and to nobody else", async (t) => {
  const [sent] = await chappeJson([
    "send",
    "--node",
    lab.nodeDir("FR"),
    "--type",
    "diffusion",
    "--to",
    "JP",
    "--subject",
    "Véhicule blanc",
    "--text",
    "white van",
  ])
  const id = String(sent?.["id"])
  t.same(sent?.["recipients"], ["HQ", "JP"], "the desk is added")
  await arrived("JP", (item) => item["id"] === id)
  await arrived("HQ", (item) => item["id"] === id)
  const brazil = await inboxOf("BR")
  t.notOk(
    brazil.some((item) => item["id"] === id),
    "BR has nothing",
  )
  const attempt = await chappe(["show", id, "--node", lab.nodeDir("BR"), "--json"])
  t.equal(attempt.code, 1, "BR cannot open it")
  t.equal(errorCode(attempt), "not-found", "it is not there")
})

await t.test("a notice goes to the desk, and from there to all but the excluded", async (t) => {
  const form = join(work, "yellow.json")
  await writeFile(form, JSON.stringify({ colour: "yellow", person: { family: "Nemo", age: 9 } }))
  const [sent] = await chappeJson([
    "send",
    "--node",
    lab.nodeDir("FR"),
    "--type",
    "notice",
    "--to",
    "JP",
    "--subject",
    "Missing child (fictional)",
    "--document",
    form,
  ])
  const id = String(sent?.["id"])
  t.same(sent?.["recipients"], ["HQ"], "to the desk, whatever --to says")
  await arrived("HQ", (item) => item["id"] === id)
  const [published] = await chappeJson([
    "publish",
    id,
    "--node",
    lab.nodeDir("HQ"),
    "--exclude",
    "BR",
  ])
  t.same(published?.["recipients"], ["FR", "JP"], "all but the excluded")
  const copy = await arrived("JP", (item) => item["id"] === published?.["id"])
  t.equal(copy["type"], "publication", "it is a publication")
  const [shown] = await chappeJson(["show", String(copy["id"]), "--node", lab.nodeDir("JP")])
  t.match(
    shown?.["quoted"],
    { from: "FR", officer: "FR/duty" },
    "with its source's words and signatures",
  )
})

await t.test(
  "evidence verifies offline, with and without its content; a changed byte does not",
  async (t) => {
    const [first] = await inboxOf("JP")
    const id = String(first?.["id"])
    const file = join(work, "evidence.json")
    const trust = join(lab.dir, "trust.json")
    await chappeJson(["evidence", "export", id, "--node", lab.nodeDir("FR"), "--out", file])
    const [verdict] = await chappeJson(["evidence", "verify", file, "--trust", trust])
    t.equal(verdict?.["ok"], true, "it verifies")
    t.equal(verdict?.["disclosed"], null, "and shows no content")
    const disclosed = join(work, "disclosed.json")
    await chappeJson([
      "evidence",
      "export",
      id,
      "--node",
      lab.nodeDir("FR"),
      "--out",
      disclosed,
      "--disclose",
    ])
    const [open] = await chappeJson(["evidence", "verify", disclosed, "--trust", trust])
    t.match(open?.["disclosed"], { officer: "FR/duty" }, "disclosed, it proves the content")

    const forged = join(work, "forged.json")
    const text = await readFile(file, "utf8")
    const at = text.indexOf('"header": "') + 60
    const other = text[at] === "A" ? "B" : "A"
    await writeFile(forged, text.slice(0, at) + other + text.slice(at + 1))
    const refused = await chappe(["evidence", "verify", forged, "--trust", trust, "--json"])
    t.equal(refused.code, 3, "a changed byte is tampering")
  },
)

await t.test("an auditor verifies both relays, live and from copies", async (t) => {
  const trust = join(lab.dir, "trust.json")
  for (const relay of ["hub1", "hub2"]) {
    const copy = await chappe([
      "audit",
      "verify",
      join(lab.relayDir(relay), "log"),
      "--trust",
      trust,
      "--json",
    ])
    t.equal(copy.code, 0, `${relay}: the copied directory holds ${copy.stderr}`)
    const live = await chappe([
      "audit",
      "verify",
      lab.process(relay).url,
      "--trust",
      trust,
      "--json",
    ])
    t.equal(live.code, 0, `${relay}: the live log holds ${live.stderr}`)
  }
})
