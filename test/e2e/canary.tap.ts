// Relays read nothing: canary strings of every field of a message are in no relay's memory, disk, log,
// metrics or HTTP answer, and not on any node's disk; the planted control is found by the same search.

import { mkdir, readFile, writeFile } from "node:fs/promises"
import { request } from "node:https"
import { join } from "node:path"
import t from "tap"
import { inMemory, inText, onDisk } from "../kit/canary.ts"
import { chappeJson } from "../kit/command.ts"
import { Lab } from "../kit/lab.ts"

const canaries = [
  "subject",
  "text",
  "document-key",
  "document-value",
  "file-name",
  "file-content",
].map((field) => `canary-${field}-7f3c19d2b8`)
const [subject, text, key, value, name, content] = canaries as [
  string,
  string,
  string,
  string,
  string,
  string,
]
// A member's name is the one word of ours that relays must know: the control that the search must find.
const control = "CANARY-CONTROL-7F3C19"

t.setTimeout(0)
const lab = await Lab.init("--members", `FR,JP,${control}`)
await lab.up()
t.teardown(() => lab.end())
const relays = ["hub1", "hub2"]
const nodes = ["FR", "HQ", "JP", control]

async function get(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    request(url, { rejectUnauthorized: false }, (answer) => {
      let body = JSON.stringify(answer.headers)
      answer.setEncoding("utf8").on("data", (part: string) => (body += part))
      answer.on("end", () => resolve(body))
    })
      .on("error", reject)
      .end()
  })
}

await t.test("after messages with canaries in every field", async (t) => {
  const work = join(lab.dir, "..", "work")
  await mkdir(work, { recursive: true })
  await writeFile(join(work, `${name}.txt`), `${content}\n`.repeat(2_000))
  await writeFile(join(work, "form.json"), JSON.stringify({ colour: "yellow", [key]: value }))
  for (const type of ["message", "diffusion", "notice"])
    await chappeJson([
      "send",
      "--node",
      lab.nodeDir("FR"),
      "--to",
      `JP,${control}`,
      "--type",
      type,
      "--subject",
      subject,
      "--text",
      text,
      "--document",
      join(work, "form.json"),
      "--attach",
      join(work, `${name}.txt`),
    ])
  const first = await lab.api("JP").inboxMessage((item) => item["subject"] === subject)
  await lab.api("HQ").inboxMessage((item) => item["type"] === "notice")
  const [shown] = await chappeJson([
    "show",
    String(first["id"]),
    "--node",
    lab.nodeDir("JP"),
    "--save-attachments",
    join(work, "saved"),
  ])
  t.equal(shown?.["text"], text, "JP reads it")
  t.equal(
    (await readFile(join(work, "saved", `${name}.txt`), "utf8")).includes(content),
    true,
    "and its attachment",
  )
})

for (const relay of relays) {
  await t.test(`${relay} has nothing of it`, async (t) => {
    const all = [...canaries, control]
    t.same(await onDisk(lab.relayDir(relay), all), [control], "disk: the control only")
    const { pid, url } = lab.process(relay)
    t.same(await inMemory(pid, all), [control], "memory: the control only")
    for (const path of ["/livez", "/readyz", "/metrics", "/version", "/nonsense"])
      t.same(inText(await get(`${url}${path}`), canaries), [], `${path}: nothing`)
  })
}

for (const node of nodes)
  await t.test(`${node}'s disk has nothing of it`, async (t) => {
    t.same(await onDisk(lab.nodeDir(node), canaries), [], "nothing in plain")
  })

await t.test("the search finds what is planted", async (t) => {
  const planted = join(lab.nodeDir("FR"), "planted")
  await writeFile(planted, Buffer.from(`x${text}y`).toString("base64"))
  t.same(await onDisk(lab.nodeDir("FR"), canaries), [text], "in base64, at an odd place")
  t.same(await inMemory(process.pid, [text]), [text], "in this process's memory")
})
