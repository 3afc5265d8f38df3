// Two nodes and the real relays, with real sockets, files and databases, in one process.

import { readFile, readdir } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import { startNode } from "../../node/compose.ts"
import { QuickLab } from "../kit/quick-lab.ts"
import { refusalOf } from "../kit/refusal.ts"

const canary = "CANARY-7f3a-Véhicule"
let lab: QuickLab

beforeAll(async () => {
  lab = await QuickLab.found(["FR", "JP"])
  await lab.start()
})
afterAll(async () => {
  await lab.end()
})

async function filesUnder(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}

async function filesWith(folder: string, text: string): Promise<readonly string[]> {
  const found: string[] = []
  for (const file of await filesUnder(folder))
    if ((await readFile(file)).includes(text)) found.push(file)
  return found
}

test("FR writes to JP, and every step of JP's comes back signed and logged", async () => {
  const sent = await lab.api("FR").call("POST", "/v1/messages", {
    to: ["JP"],
    subject: canary,
    text: canary,
    form: { note: canary },
    precedence: "flash",
  })
  expect(sent["state"]).toBe("custody")
  const id = String(sent["id"])
  const jp = lab.api("JP")
  await jp.inboxMessage((item) => item["id"] === id)
  expect(await jp.call("GET", `/v1/messages/${id}`)).toMatchObject({ text: canary })
  await jp.call("POST", `/v1/messages/${id}/take`, {})
  await jp.call("POST", `/v1/messages/${id}/reply`, { text: canary })
  const steps = await lab.api("FR").stepsOf(id, "answered")
  const wanted = ["submitted", "custody", "delivered", "opened", "in-charge", "answered"]
  expect(steps.map((one) => one["step"])).toEqual(expect.arrayContaining(wanted))
  for (const one of steps) expect(one["log"]).toMatchObject({ index: expect.any(Number) as number })
})

test("nothing of the words is on the node's disk, and the same search finds what was planted", async () => {
  for (const name of ["FR", "JP"]) {
    const data = join(lab.dir, "nodes", name, "data")
    expect((await filesUnder(data)).length).toBeGreaterThan(3)
    expect(await filesWith(data, canary)).toEqual([])
    expect(await filesWith(data, "directory-entry/")).not.toEqual([])
  }
})

test("the hand-over of the first prekeys is gone from the key folder", async () => {
  const keys = await readdir(join(lab.dir, "nodes", "FR", "keys"))
  expect(keys.filter((name) => name.startsWith("prekeys"))).toEqual([])
})

test("a second process on the same folder is told that it is in use", async () => {
  expect(await refusalOf(startNode({ dir: join(lab.dir, "nodes", "FR") }))).toBe("locked")
})
