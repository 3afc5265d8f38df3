// A 200 MB file arrives byte-identical although a relay and both nodes are killed in its middle, and no
// process needs more than 250 MB for it.

import { createHash } from "node:crypto"
import { createReadStream } from "node:fs"
import { mkdir, open, readFile, readdir, stat } from "node:fs/promises"
import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import t from "tap"
import { chappe } from "../kit/command.ts"
import { Lab } from "../kit/lab.ts"
import { prng } from "../kit/mutate.ts"

const megabyte = 1_000_000
const lookMs = 20
const size = 200 * megabyte
const memoryMax = 250 * megabyte

t.setTimeout(0)
const lab = await Lab.init("--members", "FR,JP")
await lab.up()
t.teardown(() => lab.end())

const work = join(lab.dir, "..", "work")
await mkdir(work, { recursive: true })

async function digestOf(file: string): Promise<string> {
  const hash = createHash("sha256")
  for await (const part of createReadStream(file)) hash.update(part as Uint8Array)
  return hash.digest("hex")
}

async function writeRandom(file: string): Promise<void> {
  const random = prng(200)
  const handle = await open(file, "w")
  for (let written = 0; written < size; written += megabyte)
    await handle.write(random.bytes(megabyte))
  await handle.close()
}

/** The most memory that a process has had, in bytes (Linux). */
async function peakMemory(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8")
  return 1_024 * Number(/VmHWM:\s+(\d+)/u.exec(status)?.[1])
}

/** Resolves once a folder holds more than so many bytes. */
async function filled(folder: string, bytesLeast: number): Promise<void> {
  while ((await bytesIn(folder)) < bytesLeast) await pause(lookMs)
}

async function bytesIn(folder: string): Promise<number> {
  const items = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  const sizes = items
    .filter((item) => item.isFile())
    .map((item) => stat(join(item.parentPath, item.name)).catch(() => ({ size: 0 })))
  return (await Promise.all(sizes)).reduce((sum, { size: bytes }) => sum + bytes, 0)
}

await t.test(
  "200 MB, resumed after kill -9 of relays and both nodes in the middle",
  { timeout: 0 },
  async (t) => {
    const file = join(work, "disk.img")
    await writeRandom(file)
    const digest = await digestOf(file)
    const peaks: number[] = []
    const watch = async (): Promise<void> => {
      for (const { pid } of lab.processes.values()) peaks.push(await peakMemory(pid).catch(() => 0))
    }
    const attachment = await lab.api("FR").attach(file, { name: "disk.img", size, sha256: digest })
    const sending = lab.api("FR").call("POST", "/v1/messages", {
      type: "message",
      to: ["JP"],
      subject: "Disk image",
      text: "",
      precedence: "routine",
      attachments: [attachment],
      idempotencyKey: "disk-image",
    })
    const atRelay = ["hub1", "hub2"].map((relay) =>
      join(lab.relayDir(relay), "data", "attachments"),
    )
    await Promise.race(atRelay.map((folder) => filled(folder, size / 10)))
    await watch()
    const uploaded = await Promise.all(atRelay.map(bytesIn))
    for (const victim of ["hub1", "FR", "hub2"]) await lab.kill(victim)
    t.ok(
      uploaded.every((bytes) => bytes < size),
      `killed when the relays had ${uploaded.join(" and ")} bytes`,
    )
    const sent = await sending
    const id = String(sent["id"])
    await lab.api("JP").inboxMessage((item) => item["id"] === id)
    await watch()

    const saved = join(work, "saved")
    const save = ["show", id, "--node", lab.nodeDir("JP"), "--save-attachments", saved, "--json"]
    const first = chappe(save)
    const atNode = join(lab.nodeDir("JP"), "data", "bodies")
    await filled(atNode, size / 10)
    await watch()
    const fetched = await bytesIn(atNode)
    for (const victim of ["JP", "hub1", "hub2"]) await lab.kill(victim)
    t.ok(fetched < size, `killed when JP had ${fetched} bytes`)
    await first
    while ((await chappe(save)).code !== 0) await pause(lookMs)
    await watch()
    const copy = join(saved, "disk.img")
    t.equal((await stat(copy)).size, size, "every byte is there")
    t.equal(await digestOf(copy), digest, "and the same")
    const peak = Math.max(...peaks)
    t.ok(peak < memoryMax, `peak memory ${Math.round(peak / megabyte)} MB`)
  },
)
