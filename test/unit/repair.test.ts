// `chappe repair` on a data folder: what can be read is kept, what cannot is named and moved aside.

import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { cp, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, describe, expect, test } from "vitest"
import {
  damagedBodies,
  faultOf,
  isDatabaseWhole,
  rebuildDatabase,
  mendMark,
  withDatabaseLocked,
} from "../../cli/adapters/store-repair.ts"
import { fromUtf8, utf8 } from "../../protocol/bytes.ts"
import { openLevelRecordStore } from "../../relay/adapters/level-record-store.ts"
import { Rollback, barredBy } from "../../relay/core/rollback.ts"
import { refusalOf } from "../kit/refusal.ts"
import { filesIn } from "../kit/rot.ts"

const dirs: string[] = []
const children: ChildProcess[] = []
afterEach(async () => {
  for (const child of children.splice(0)) child.kill()
  for (const dir of dirs.splice(0)) await rm(dir, { recursive: true, force: true })
})

/** Two tables and a log: keys 0 … 899, every third overwritten later, every ninth removed. */
async function filled(): Promise<string> {
  const data = await mkdtemp(join(tmpdir(), "chappe-repair-"))
  dirs.push(data)
  for (let part = 0; part < 3; part++) {
    const store = await openLevelRecordStore(join(data, "records"))
    for (let n = part * 300; n < (part + 1) * 300; n++) {
      await store.commit([
        { type: "put", key: utf8(`k${n}`), value: utf8(`first ${n}`.repeat(20)) },
      ])
      if (n % 3 === 0)
        await store.commit([{ type: "put", key: utf8(`k${n}`), value: utf8(`then ${n}`) }])
      if (n % 9 === 0) await store.commit([{ type: "del", key: utf8(`k${n}`) }])
    }
    await store.close()
  }
  return data
}

async function contents(data: string): Promise<ReadonlyMap<string, string>> {
  const store = await openLevelRecordStore(join(data, "records"))
  const found = await store.range({ gte: utf8("k"), lt: utf8("l"), limit: 10_000 })
  await store.close()
  return new Map(found.map(({ key, value }) => [fromUtf8(key), fromUtf8(value)]))
}

async function flip(path: string, at: number): Promise<void> {
  const bytes = await readFile(path)
  bytes[at] = (bytes[at] ?? 0) ^ 1
  await writeFile(path, bytes)
}

describe("a damaged database", () => {
  test("without its lists of tables is made anew whole", async () => {
    const data = await filled()
    const copy = `${data}-copy`
    dirs.push(copy)
    await cp(data, copy, { recursive: true })
    await rm(join(data, "records", "CURRENT"))
    expect(await faultOf(data)).toBe("CURRENT is missing")
    expect(await isDatabaseWhole(data)).toBe(false)
    await rebuildDatabase(data, join(data, "..", "damaged"))
    dirs.push(join(data, "..", "damaged"))
    expect(await faultOf(data)).toBeUndefined()
    expect(await contents(data)).toEqual(await contents(copy))
  })

  test("keeps what other blocks hold, and no value that was never written", async () => {
    const data = await filled()
    const aside = join(data, "damaged")
    const [table] = await filesIn(join(data, "records"), (path) => path.endsWith(".ldb"))
    await flip(table ?? "", 40)
    expect(await faultOf(data)).toMatch(/\.ldb is damaged/u)
    await rebuildDatabase(data, aside)
    expect(await faultOf(data)).toBeUndefined()
    const found = await contents(data)
    expect(found.size).toBeGreaterThan(500)
    expect(found.size).toBeLessThan(800)
    for (const [key, value] of found) {
      const n = Number(key.slice(1))
      expect([`then ${n}`, `first ${n}`.repeat(20)]).toContain(value)
    }
    expect(await readdir(join(aside, "records"))).toContain("CURRENT")
  })

  test("whose mark alone is damaged gets a new one", async () => {
    const data = await filled()
    const before = await contents(data)
    await flip(join(data, "records.mark"), 3)
    expect(await faultOf(data)).toBe("the mark is damaged")
    expect(await isDatabaseWhole(data)).toBe(true)
    await mendMark(data)
    expect(await faultOf(data)).toBeUndefined()
    expect(await contents(data)).toEqual(before)
  })
})

describe("a repaired relay", () => {
  test("does not start on what is left: it may have promised more", async () => {
    for (const repair of [
      async (data: string) => mendMark(data, barredBy("changes are missing")),
      async (data: string) => {
        await rebuildDatabase(data, join(data, "damaged"), barredBy("a table is damaged"))
      },
    ]) {
      const data = await filled()
      const before = await contents(data)
      await repair(data)
      expect(await faultOf(data)).toBeUndefined()
      expect(await contents(data)).toEqual(before)
      const store = await openLevelRecordStore(join(data, "records"))
      expect(await refusalOf(Rollback.requireNone(store))).toBe("rollback")
      await store.close()
    }
  })
})

const opener = `
const { Level } = require("level")
const database = new Level(process.argv[1])
database.open().then(() => console.log("open"), ({ cause }) => console.log(cause.code))
setInterval(() => undefined, 1_000)`

/** Another process opens the database, and keeps it open until the test is over; what it says. */
async function openElsewhere(data: string): Promise<string> {
  const child = spawn(process.execPath, ["-e", opener, join(data, "records")])
  children.push(child)
  const [said] = (await once(child.stdout, "data")) as [Buffer]
  return said.toString().trim()
}

describe("the lock of a database", { timeout: 60_000 }, () => {
  test("is held during a repair", async () => {
    const data = await filled()
    const said = await withDatabaseLocked(data, async () => openElsewhere(data))
    expect(said).toBe("LEVEL_LOCKED")
  })

  test("is not to be had while another process has it", async () => {
    const data = await filled()
    expect(await openElsewhere(data)).toBe("open")
    expect(await refusalOf(withDatabaseLocked(data, async () => "done"))).toBe("locked")
  })
})

test("bodies that do not have their hash are found", async () => {
  const data = await mkdtemp(join(tmpdir(), "chappe-repair-"))
  dirs.push(data)
  const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
  await writeFile(join(data, empty), "")
  await writeFile(join(data, empty.replace("e3", "00")), "")
  await writeFile(join(data, `${empty}.part`), "x")
  expect(await damagedBodies(data)).toEqual([join(data, empty.replace("e3", "00"))])
})
