// A 200 MB file arrives byte-identical although a relay and both nodes are killed in its middle, and no
// process needs more than 250 MB for it.

import { createHash } from "node:crypto"
import { createReadStream } from "node:fs"
import { mkdir, open, readFile, stat } from "node:fs/promises"
import { join } from "node:path"
import t from "tap"
import { chappeJson } from "../kit/command.ts"
import { Lab } from "../kit/lab.ts"
import { prng } from "../kit/mutate.ts"

const megabyte = 1_000_000
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

await t.test(
  "200 MB, resumed after kill -9 of a relay and both nodes",
  { timeout: 0 },
  async (t) => {
    const file = join(work, "disk.img")
    await writeRandom(file)
    const peaks: number[] = []
    const watch = async (): Promise<void> => {
      for (const { pid } of lab.processes.values()) peaks.push(await peakMemory(pid).catch(() => 0))
    }
    const sending = chappeJson([
      "send",
      "--node",
      lab.nodeDir("FR"),
      "--to",
      "JP",
      "--subject",
      "Disk image",
      "--attach",
      file,
    ])
    const [sent] = await sending
    const id = String(sent?.["id"])
    await watch()
    for (const victim of ["hub1", "FR", "JP", "hub2"]) await lab.kill(victim)
    await lab.api("JP").inboxMessage((item) => item["id"] === id)
    const saved = join(work, "saved")
    const saving = chappeJson([
      "show",
      id,
      "--node",
      lab.nodeDir("JP"),
      "--save-attachments",
      saved,
    ])
    await saving
    await watch()
    const copy = join(saved, "disk.img")
    t.equal((await stat(copy)).size, size, "every byte is there")
    t.equal(await digestOf(copy), await digestOf(file), "and the same")
    t.ok(
      peaks.every((peak) => peak < memoryMax),
      `peak memory ${Math.round(Math.max(...peaks) / megabyte)} MB`,
    )
  },
)
