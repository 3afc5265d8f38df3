// Data that any released version left opens with today's code, which finds the same mail in it.

import { execFile } from "node:child_process"
import { mkdir, mkdtemp, readFile, readdir, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { afterEach, expect, test } from "vitest"
import { sha256 } from "../../keys/crypto.ts"
import { toHex } from "../../protocol/bytes.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { storeFormat } from "../../store/store-format.ts"
import type { Json } from "../kit/command.ts"
import type { NodeApi } from "../kit/node-api.ts"
import { QuickLab } from "../kit/quick-lab.ts"
import { type Fixture, arrived, attachmentOf, textOf, waiting } from "./fixture.ts"

const here = fileURLToPath(new URL(".", import.meta.url))
const lookMs = 200
const ends: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end()
})

async function unpacked(name: string): Promise<QuickLab> {
  const base = await mkdtemp(join(tmpdir(), "chappe-abi-"))
  ends.push(async () => rm(base, { recursive: true, force: true }))
  const dir = join(base, "lab")
  await mkdir(dir)
  await promisify(execFile)("tar", ["-xzf", join(here, name), "-C", dir])
  const { madeAt } = JSON.parse(await readFile(join(dir, "fixture.json"), "utf8")) as Fixture
  const lab = QuickLab.of(base, { members: ["FR", "JP"], relays: ["hub1"] }, madeAt)
  ends.push(async () => lab.stop())
  return lab
}

/** The relay's port is in what was signed: should another test have it now, this one waits. */
async function started(lab: QuickLab): Promise<void> {
  for (;;)
    try {
      return await lab.start()
    } catch (cause) {
      if (!(cause instanceof ChappeError) || cause.code !== "port-taken") throw cause
      await lab.stop()
      await pause(lookMs)
    }
}

/** What an officer reads: by subject, the text and the digest of the attachment. */
async function readBy(api: NodeApi): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>()
  for (const { id, subject } of await api.inbox()) {
    const message = await api.call("GET", `/v1/messages/${String(id)}`)
    const digest = await api.attachmentDigest(String(id), 0)
    found.set(String(subject), `${String(message["text"])} ${digest}`)
  }
  return found
}

function asSent(subjects: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    subjects.map((one) => [one, `${textOf(one)} ${toHex(sha256(attachmentOf(one)))}`] as const),
  )
}

const fixtures = (await readdir(here)).filter((name) => /^format-\d+\.tar\.gz$/u.test(name))

test("there is a fixture of every format up to today's", () => {
  const all = Array.from({ length: storeFormat }, (_, i) => `format-${i + 1}.tar.gz`)
  expect(fixtures.toSorted()).toEqual(all)
})

test.each(fixtures)(
  "%s: nodes and relay open, what arrived is read, what waited is delivered",
  { timeout: 120_000 },
  async (name) => {
    const lab = await unpacked(name)
    await started(lab)
    const jp = lab.api("JP")
    const all = [...arrived.FR, ...waiting]
    while ((await jp.inbox()).length < all.length) await pause(lookMs)
    expect(await readBy(jp)).toEqual(asSent(all))
    expect(await readBy(lab.api("FR"))).toEqual(asSent(arrived.JP))
    const outbox = await lab.api("FR").call("GET", "/v1/outbox?limit=100")
    const sent = (outbox["messages"] as readonly Json[]).map(({ subject }) => String(subject))
    expect(sent.toSorted()).toEqual([...all].toSorted())
    for (const folder of ["relays/hub1", "nodes/FR", "nodes/JP"])
      expect(await readFile(join(lab.dir, folder, "data", "format"), "utf8")).toBe(
        `${storeFormat}\n`,
      )
  },
)
