// The contract of RecordStore, kept by every adapter.

import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, describe, expect, test } from "vitest"
import { toHex, utf8 } from "../../protocol/bytes.ts"
import { openLevelRecordStore } from "../../relay/adapters/level-record-store.ts"
import { MemoryDisk } from "../../relay/adapters/memory-disk.ts"
import {
  type DurableRecords,
  openMemoryRecordStore,
} from "../../relay/adapters/memory-record-store.ts"
import type { RecordOp, RecordStore } from "../../relay/core/ports.ts"
import { refusalOf } from "../kit/refusal.ts"

type Setup = () => Promise<{
  readonly store: RecordStore
  /** Another handle on the same disk, after the first was closed. */
  readonly reopen: () => Promise<RecordStore>
}>

const ends: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end()
})

const setups: Readonly<Record<string, Setup>> = {
  level: async () => {
    const dir = await mkdtemp(join(tmpdir(), "chappe-records-"))
    ends.push(async () => rm(dir, { recursive: true, force: true }))
    const open = async (): Promise<RecordStore> => {
      const store = await openLevelRecordStore(join(dir, "records"))
      ends.push(async () => store.close())
      return store
    }
    return { store: await open(), reopen: open }
  },
  memory: async () => {
    const durable: DurableRecords = new Map()
    return {
      store: openMemoryRecordStore(durable),
      reopen: async () => openMemoryRecordStore(durable),
    }
  },
}

const put = (key: string, value: string): RecordOp => ({
  type: "put",
  key: utf8(key),
  value: utf8(value),
})
const del = (key: string): RecordOp => ({ type: "del", key: utf8(key) })
const textOf = (bytes: Uint8Array | undefined): string | undefined =>
  bytes === undefined ? undefined : new TextDecoder().decode(bytes)

describe.each(Object.entries(setups))("a record store: %s", (_name, setup) => {
  test("gives what was committed, and nothing for the rest", async () => {
    const { store } = await setup()
    await store.commit([put("ka", "1"), put("kb", "2")])
    await store.commit([del("ka"), put("kb", "3")])
    expect(textOf(await store.get(utf8("ka")))).toBeUndefined()
    expect(textOf(await store.get(utf8("kb")))).toBe("3")
  })

  test("gives room back and keeps what was not removed", async () => {
    const { store } = await setup()
    await store.commit([put("ka", "1"), put("kb", "2"), del("ka")])
    await store.compact()
    expect(textOf(await store.get(utf8("ka")))).toBeUndefined()
    expect(textOf(await store.get(utf8("kb")))).toBe("2")
  })

  test("keeps commits for the next handle", async () => {
    const { store, reopen } = await setup()
    await store.commit([put("k", "kept")])
    await store.close()
    expect(textOf(await (await reopen()).get(utf8("k")))).toBe("kept")
  })

  test("ranges are half open, in the order of bytes, limited, and reversible", async () => {
    const { store } = await setup()
    await store.commit(["kd", "ka", "kc", "kb"].map((key) => put(key, key)))
    const range = { gte: utf8("ka"), lt: utf8("kd") }
    const keys = async (limit: number, reverse = false): Promise<string> =>
      (await store.range({ ...range, limit, reverse })).map(({ key }) => textOf(key)).join(" ")
    expect(await keys(10)).toBe("ka kb kc")
    expect(await keys(2)).toBe("ka kb")
    expect(await keys(2, true)).toBe("kc kb")
  })

  test("the order within a commit counts", async () => {
    const { store } = await setup()
    await store.commit([put("k", "1"), del("k"), put("k", "2")])
    expect(textOf(await store.get(utf8("k")))).toBe("2")
  })

  test("what is given out is the caller's own", async () => {
    const { store } = await setup()
    await store.commit([put("k", "abc")])
    const value = await store.get(utf8("k"))
    value?.fill(0)
    expect(toHex((await store.get(utf8("k"))) ?? utf8(""))).toBe(toHex(utf8("abc")))
  })
})

test("a second process finds the database locked", async () => {
  const dir = await mkdtemp(join(tmpdir(), "chappe-records-"))
  ends.push(async () => rm(dir, { recursive: true, force: true }))
  const store = await openLevelRecordStore(join(dir, "records"))
  ends.push(async () => store.close())
  expect(await refusalOf(openLevelRecordStore(join(dir, "records")))).toBe("locked")
})

describe("the memory disk", () => {
  test("an operation that fails before its effect leaves nothing, and ends the handle", async () => {
    const durable: DurableRecords = new Map()
    const disk = new MemoryDisk()
    const store = openMemoryRecordStore(durable, disk)
    disk.failAt({ operation: 2, when: "before" })
    await store.commit([put("k1", "1")])
    expect(await refusalOf(store.commit([put("k2", "2")]))).toBe("storage")
    expect(await refusalOf(store.commit([put("k3", "3")]))).toBe("storage")
    expect(durable.size).toBe(1)
  })

  test("an operation that fails after its effect was durable, and nobody was told", async () => {
    const durable: DurableRecords = new Map()
    const disk = new MemoryDisk()
    const store = openMemoryRecordStore(durable, disk)
    disk.failAt({ operation: 1, when: "after" })
    expect(await refusalOf(store.commit([put("k", "1")]))).toBe("storage")
    expect(durable.size).toBe(1)
  })
})
