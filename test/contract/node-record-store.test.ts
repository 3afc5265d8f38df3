// The contract of the node's RecordStore, kept by every adapter.

import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, describe, expect, test } from "vitest"
import { openLevelRecordStore } from "../../node/adapters/level-record-store.ts"
import { type DurableRecords, MemoryRecordStore } from "../../node/adapters/memory-record-store.ts"
import type { Change, RecordStore } from "../../node/core/ports.ts"
import { fromUtf8, utf8 } from "../../protocol/bytes.ts"
import { refusalOf } from "../kit/refusal.ts"

type Setup = () => Promise<{
  readonly store: RecordStore
  readonly reopen: () => Promise<RecordStore>
}>

const ends: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end()
})

const setups: Readonly<Record<string, Setup>> = {
  level: async () => {
    const dir = await mkdtemp(join(tmpdir(), "chappe-node-records-"))
    ends.push(() => rm(dir, { recursive: true, force: true }))
    const open = async (): Promise<RecordStore> => {
      const store = await openLevelRecordStore(join(dir, "records"))
      ends.push(() => store.close())
      return store
    }
    return { store: await open(), reopen: open }
  },
  memory: async () => {
    const durable: DurableRecords = new Map()
    return {
      store: new MemoryRecordStore(durable),
      reopen: async () => new MemoryRecordStore(durable),
    }
  },
}

const put = (key: string, value: string): Change => ({ kind: "put", key, value: utf8(value) })
const remove = (key: string): Change => ({ kind: "remove", key })
const textOf = (bytes: Uint8Array | undefined): string | undefined =>
  bytes === undefined ? undefined : fromUtf8(bytes)

describe.each(Object.entries(setups))("the node's records: %s", (_name, setup) => {
  test("give what was committed, in the order of the changes", async () => {
    const { store } = await setup()
    await store.commit([put("t/a", "1"), put("t/b", "2"), remove("t/a"), put("t/b", "3")])
    expect(textOf(await store.get("t/a"))).toBeUndefined()
    expect(textOf(await store.get("t/b"))).toBe("3")
  })

  test("give room back and keep what was not removed", async () => {
    const { store } = await setup()
    await store.commit([put("t/a", "1"), put("t/b", "2"), remove("t/a")])
    await store.compact()
    expect(textOf(await store.get("t/a"))).toBeUndefined()
    expect(textOf(await store.get("t/b"))).toBe("2")
  })

  test("removing what is not there is no error", async () => {
    const { store } = await setup()
    await store.commit([remove("t/none")])
    expect(await store.get("t/none")).toBeUndefined()
  })

  test("are there for the next handle", async () => {
    const { store, reopen } = await setup()
    await store.commit([put("t/k", "kept")])
    await store.close()
    expect(textOf(await (await reopen()).get("t/k"))).toBe("kept")
  })

  test("lists are half open, in the order of bytes, limited and reversible", async () => {
    const { store } = await setup()
    await store.commit(["t/d", "t/a", "t/c", "t/b", "u/a"].map((key) => put(key, key)))
    const keys = async (limit: number, reverse = false): Promise<string> =>
      (await store.list({ from: "t/a", to: "t/d", limit, reverse })).map(({ key }) => key).join(" ")
    expect(await keys(10)).toBe("t/a t/b t/c")
    expect(await keys(2)).toBe("t/a t/b")
    expect(await keys(2, true)).toBe("t/c t/b")
  })

  test("a snapshot is of one moment, whatever is committed while it is read", async () => {
    const { store } = await setup()
    const keys = ["t/a", "t/b", "t/c", "u/d", "v/e"]
    await store.commit(keys.map((key) => put(key, key)))
    const seen: string[] = []
    for await (const page of store.snapshot(2)) {
      expect(page.length).toBeLessThanOrEqual(2)
      seen.push(...page.map(({ key, value }) => `${key}=${textOf(value)}`))
      await store.commit([
        put("t/aa", "new"),
        put("v/e", "changed"),
        { kind: "remove", key: "u/d" },
      ])
    }
    expect(seen).toEqual(keys.map((key) => `${key}=${key}`))
  })

  test("nothing works after closing, and closing twice is no error", async () => {
    const { store } = await setup()
    await store.close()
    await store.close()
    expect(await refusalOf(store.commit([put("t/k", "late")]))).toBe("storage")
  })
})

test("a second process is told that the records are in use", async () => {
  const dir = await mkdtemp(join(tmpdir(), "chappe-node-records-"))
  ends.push(() => rm(dir, { recursive: true, force: true }))
  const store = await openLevelRecordStore(join(dir, "records"))
  ends.push(() => store.close())
  expect(await refusalOf(openLevelRecordStore(join(dir, "records")))).toBe("locked")
})

test("a planned failure is final, and says nothing about what the disk has", async () => {
  for (const when of ["before", "after"] as const) {
    const durable: DurableRecords = new Map()
    const store = new MemoryRecordStore(durable, { commit: 2, when })
    await store.commit([put("t/1", "one")])
    expect(await refusalOf(store.commit([put("t/2", "two")]))).toBe("storage")
    expect(await refusalOf(store.commit([put("t/3", "three")]))).toBe("storage")
    expect([...durable.keys()]).toEqual(when === "before" ? ["t/1"] : ["t/1", "t/2"])
  }
})
