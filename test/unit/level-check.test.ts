// What a database's files show before it is opened: damage anywhere is named, and what a crash tore is not
// taken for damage.

import { cp, mkdir, mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { toHex, utf8 } from "../../protocol/bytes.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { crc32c } from "../../store/crc32c.ts"
import { openSnappy } from "../../store/snappy.ts"
import { openLevelRecordStore } from "../../relay/adapters/level-record-store.ts"
import type { RecordOp } from "../../relay/core/ports.ts"
import { prng } from "../kit/mutate.ts"
import { refusalOf } from "../kit/refusal.ts"
import { filesIn, rotOne } from "../kit/rot.ts"

const opens = 4
const batches = 30
let dir = ""
let whole = ""

function ops(from: number): readonly RecordOp[] {
  return Array.from({ length: 20 }, (_, i) => {
    const n = from * 20 + i
    return { type: "put", key: utf8(`k${n}`), value: utf8(`value ${n} `.repeat(30)) }
  })
}

function codeOfError(cause: unknown): string {
  return cause instanceof ChappeError ? cause.code : String(cause)
}

/** Everything in the store, as one text. */
async function contents(data: string): Promise<string> {
  const store = await openLevelRecordStore(join(data, "records"))
  try {
    const found = await store.range({ gte: utf8("k"), lt: utf8("l"), limit: 100_000 })
    return found.map(({ key, value }) => `${toHex(key)}=${toHex(value)}`).join("\n")
  } finally {
    await store.close()
  }
}

async function copyOf(): Promise<string> {
  const copy = await mkdtemp(join(dir, "copy-"))
  await cp(whole, copy, { recursive: true })
  return copy
}

const isTable = (path: string): boolean => path.endsWith(".ldb")
const counts = (path: string): boolean => !/^(?:LOG|LOG\.old|LOCK)$/u.test(basename(path))

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "chappe-level-"))
  whole = join(dir, "whole")
  for (let n = 0; n < opens; n++) {
    const store = await openLevelRecordStore(join(whole, "records"))
    for (let batch = 0; batch < batches; batch++) await store.commit(ops(n * batches + batch))
    await store.close()
  }
})
afterAll(async () => rm(dir, { recursive: true, force: true }))

describe("a database's files", () => {
  test("any damage is named, or changes nothing that is read", async () => {
    const expected = await contents(await copyOf())
    const random = prng(11)
    let named = 0
    for (let trial = 0; trial < 120; trial++) {
      const copy = await copyOf()
      const rot = await rotOne(await filesIn(copy, counts), random)
      const outcome = await contents(copy).then((found) => found === expected, codeOfError)
      if (outcome === false) throw new Error(`silent: ${rot.file} ${rot.what}`)
      expect([true, "damaged", "newer-format"]).toContain(outcome)
      if (outcome !== true) named += 1
      await rm(copy, { recursive: true })
    }
    expect(named).toBeGreaterThan(100)
  })

  test("a log that a crash tore is no damage, as long as nothing acknowledged is gone", async () => {
    const copy = await mkdtemp(join(dir, "torn-"))
    const store = await openLevelRecordStore(join(copy, "records"))
    await store.commit(ops(9_000))
    const before = await readFile(join(copy, "records.mark"))
    await store.commit(ops(9_001))
    await store.close()
    await rm(join(copy, "records.end"))
    const [log] = (await filesIn(join(copy, "records"), (path) => path.endsWith(".log"))).slice(-1)
    if (log === undefined) throw new RangeError("no log")
    const bytes = await readFile(log)
    await truncate(log, bytes.length - 100)
    await expect(contents(copy)).rejects.toThrow(/changes \d+ to \d+ are missing/u)
    await writeFile(join(copy, "records.mark"), before)
    expect(await contents(copy)).toContain(toHex(utf8("k180000")))
  })

  test("a log that is shorter than at the clean stop is damage, whatever it still holds", async () => {
    for (const left of [0, 7, 5_000]) {
      const copy = await copyOf()
      const store = await openLevelRecordStore(join(copy, "records"))
      await store.commit(ops(9_000))
      await store.close()
      const logs = await filesIn(join(copy, "records"), (path) => path.endsWith(".log"))
      await truncate(logs.at(-1) ?? "", left)
      await expect(contents(copy)).rejects.toThrow(`has ${left} bytes instead of`)
    }
  })

  test("a log that was cut is damage also when tables were merged after its last change", async () => {
    const copy = await mkdtemp(join(dir, "merged-"))
    const random = prng(5)
    const large = (n: number): RecordOp => ({
      type: "put",
      key: utf8(`k${n}`),
      value: Uint8Array.from({ length: 65_536 }, () => random.below(256)),
    })
    // Four tables of the same keys are merged into one in the background.
    for (let n = 0; n < 4; n++) {
      const store = await openLevelRecordStore(join(copy, "records"))
      for (let i = 0; i < 32; i++) await store.commit([large(i)])
      await store.close()
    }
    const store = await openLevelRecordStore(join(copy, "records"))
    await store.commit(ops(9_000))
    await store.commit(ops(9_001))
    while ((await filesIn(copy, isTable)).length > 2) await new Promise(setImmediate)
    await store.close()
    await rm(join(copy, "records.end"))
    const logs = await filesIn(join(copy, "records"), (path) => path.endsWith(".log"))
    await truncate(logs.at(-1) ?? "", 10_000)
    await expect(contents(copy)).rejects.toThrow(/changes \d+ to \d+ are missing/u)
  })

  test("a store that was cut off before its first change is begun again, and what was there is kept", async () => {
    const data = await mkdtemp(join(dir, "new-"))
    const store = await openLevelRecordStore(join(data, "records"))
    await store.close()
    for (const name of ["format", "records.mark"]) await rm(join(data, name))
    for (const path of await filesIn(join(data, "records"), (path) => path.endsWith(".log")))
      await truncate(path, 0)
    const [manifest] = await filesIn(join(data, "records"), (path) => path.includes("MANIFEST"))
    await truncate(manifest ?? "", 0)
    expect(await contents(data)).toBe("")
    expect((await filesIn(data, () => true)).some((path) => path.includes("unfinished-1"))).toBe(
      true,
    )
  })

  test("a store of format 1 gets its mark; one of a later format is left alone", async () => {
    const copy = await copyOf()
    await rm(join(copy, "format"))
    await rm(join(copy, "records.mark"))
    const expected = await contents(copy)
    expect(expected.length).toBeGreaterThan(1_000)
    expect(await readFile(join(copy, "format"), "utf8")).toBe("2\n")
    await writeFile(join(copy, "format"), "3\n")
    expect(await refusalOf(contents(copy))).toBe("newer-format")
  })

  test("a step to a newer format that was cut short is done again", async () => {
    const whole = await copyOf()
    const expected = await contents(whole)
    for (const isMarked of [false, true]) {
      const copy = await copyOf()
      await writeFile(join(copy, "format"), "1\n")
      if (!isMarked) await rm(join(copy, "records.mark"))
      expect(await contents(copy)).toEqual(expected)
      expect(await readFile(join(copy, "format"), "utf8")).toBe("2\n")
    }
  })

  test("before a mark is made the format that it was made in has its name", async () => {
    const copy = await copyOf()
    await rm(join(copy, "format"))
    await rm(join(copy, "records.mark"))
    // The mark cannot be written: it is a folder.
    await mkdir(join(copy, "records.mark.new"))
    expect(await refusalOf(contents(copy))).toBe("storage")
    expect(await readFile(join(copy, "format"), "utf8")).toBe("1\n")
  })
})

test("the sums are those of RFC 3720", () => {
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa)
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43)
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e)
  expect(crc32c(utf8("123456789"))).toBe(0xe3069283)
})

test("snappy blocks open to what they say, and nothing else does", () => {
  // "abcd", then a copy of 4 bytes from 4 back that goes on over itself.
  const block = Uint8Array.of(12, 3 << 2, 97, 98, 99, 100, (7 << 2) | 2, 4, 0)
  expect(new TextDecoder().decode(openSnappy(block, 100))).toBe("abcdabcdabcd")
  expect(openSnappy(block, 11)).toBeUndefined()
  expect(openSnappy(block.subarray(0, 6), 100)).toBeUndefined()
  expect(openSnappy(Uint8Array.of(4, 1, 9, 0), 100)).toBeUndefined()
})
