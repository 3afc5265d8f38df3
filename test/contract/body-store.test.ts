// The contract of BodyStore, kept by every adapter.

import { mkdtemp, readdir, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, describe, expect, test } from "vitest"
import { toHex } from "../../protocol/bytes.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { type DurableBodies, openMemoryBodyStore } from "../../relay/adapters/memory-body-store.ts"
import { openSegmentBodyStore } from "../../relay/adapters/segment-body-store.ts"
import type { BodyStore } from "../../relay/core/ports.ts"

const segmentBytes = 65_536
const body = (fill: number, length = 1_000): Uint8Array => new Uint8Array(length).fill(fill)

const ends: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end()
})

async function newFolder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "chappe-bodies-"))
  ends.push(async () => rm(dir, { recursive: true, force: true }))
  return dir
}

type Setup = () => Promise<() => Promise<BodyStore>>
const setups: Readonly<Record<string, Setup>> = {
  segments: async () => {
    const dir = await newFolder()
    return async () => {
      const store = await openSegmentBodyStore(dir, segmentBytes)
      ends.push(async () => store.close())
      return store
    }
  },
  memory: async () => {
    const durable: DurableBodies = new Map()
    return async () => openMemoryBodyStore(durable)
  },
}

describe.each(Object.entries(setups))("a body store: %s", (_name, setup) => {
  test("gives back each body of a group", async () => {
    const store = await (await setup())()
    await store.retain([])
    const [first, second] = await store.appendAll([body(1), body(2, 500)])
    expect(first === undefined ? "" : toHex(await store.read(first))).toBe(toHex(body(1)))
    expect(second === undefined ? "" : toHex(await store.read(second))).toBe(toHex(body(2, 500)))
  })

  test("refuses what was given back, and goes on", async () => {
    const store = await (await setup())()
    await store.retain([])
    const [gone] = await store.appendAll([body(1, segmentBytes)])
    if (gone === undefined) throw new Error("a location")
    await store.appendAll([body(2, segmentBytes)])
    await store.release(gone)
    await expect(store.read(gone)).rejects.toBeInstanceOf(ChappeError)
    const [kept] = await store.appendAll([body(3)])
    expect(kept === undefined ? "" : toHex(await store.read(kept))).toBe(toHex(body(3)))
    await store.close()
  })

  test("keeps what is retained when it is opened again, and writes on behind it", async () => {
    const open = await setup()
    const before = await open()
    await before.retain([])
    const [kept] = await before.appendAll([body(1)])
    await before.appendAll([body(2)])
    await before.close()

    const after = await open()
    if (kept === undefined) throw new Error("a location")
    await after.retain([kept])
    await after.appendAll([body(3)])
    expect(toHex(await after.read(kept))).toBe(toHex(body(1)))
  })

  test("has room on its disk", async () => {
    const store = await (await setup())()
    expect(await store.freeBytes()).toBeGreaterThan(0)
  })
})

test("a segment goes when its last body is released, and not before", async () => {
  const dir = await newFolder()
  const store = await openSegmentBodyStore(dir, segmentBytes)
  ends.push(async () => store.close())
  await store.retain([])
  const first = await store.appendAll([body(1, 40_000), body(2, 20_000)])
  await store.appendAll([body(3, 40_000)])
  expect(await readdir(dir)).toHaveLength(2)
  const [one, two] = first
  if (one === undefined || two === undefined) throw new Error("two locations")
  await store.release(one)
  expect(await readdir(dir)).toHaveLength(2)
  await store.release(two)
  expect(await readdir(dir)).toHaveLength(1)
})

test("a segment of which little is left is sparse, but for the one that is written", async () => {
  const dir = await newFolder()
  const store = await openSegmentBodyStore(dir, segmentBytes)
  ends.push(async () => store.close())
  await store.retain([])
  const [small, large] = await store.appendAll([body(1, 4_000), body(2, 50_000)])
  await store.appendAll([body(3, 40_000)])
  expect([...store.sparse()]).toEqual([])
  if (small === undefined || large === undefined) throw new Error("two locations")
  await store.release(large)
  expect([...store.sparse()]).toEqual([small.segment])
})

test("segments that nothing retains are given back at the start", async () => {
  const dir = await newFolder()
  const before = await openSegmentBodyStore(dir, segmentBytes)
  await before.retain([])
  await before.appendAll([body(1)])
  await before.close()
  const after = await openSegmentBodyStore(dir, segmentBytes)
  ends.push(async () => after.close())
  await after.retain([])
  expect(await readdir(dir)).toHaveLength(0)
})
