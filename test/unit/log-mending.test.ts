// What a disk changed in a log's files is made anew, or named.

import { describe, expect, test } from "vitest"
import { sha256 } from "../../keys/crypto.ts"
import { equalBytes, utf8 } from "../../protocol/bytes.ts"
import { edgeRoot, emptyEdge, growLog } from "../../protocol/tile-writer.ts"
import { type DurableFiles, openMemoryLogFiles } from "../../relay/adapters/memory-log-files.ts"
import { openMemoryRecordStore } from "../../relay/adapters/memory-record-store.ts"
import { type LogFinding, LogMending } from "../../relay/core/log-mending.ts"
import { entryKey } from "../../relay/core/logs.ts"
import { sealRecord } from "../../relay/core/tables.ts"

const origin = "hub1/traffic/2027"
const sizes = [100, 270, 520, 600]
const size = 600
const entries = Array.from({ length: size }, (_, i) => utf8(`entry ${i}`))
/** Full bundles have no other copy. */
const irreplaceable = ["tile/entries/000", "tile/entries/001"]

/** A log of 600 entries as it grew, and the records of those in its last bundle. */
async function makeLog() {
  const durable: DurableFiles = new Map()
  const files = openMemoryLogFiles(durable)
  let edge = emptyEdge
  for (const to of sizes) {
    const growth = growLog(sha256, edge, entries.slice(edge.size, to))
    await files.write(growth.files)
    edge = growth.edge
  }
  const store = openMemoryRecordStore()
  await store.commit(
    entries.slice(512).map((entry, i) => {
      const key = entryKey(origin, 512 + i)
      return { type: "put" as const, key, value: sealRecord(key, entry) }
    }),
  )
  const head = { size, root: edgeRoot(sha256, edge) }
  return { durable, mending: new LogMending({ files, store, origin, head }) }
}

async function allOf(mending: LogMending): Promise<readonly LogFinding[]> {
  const findings: LogFinding[] = []
  for await (const finding of mending.all()) findings.push(finding)
  return findings.filter(({ state }) => state !== "whole")
}

const damages: Readonly<Record<string, (bytes: Uint8Array) => Uint8Array | undefined>> = {
  "a turned bit": (bytes) =>
    bytes.with(Math.floor(bytes.length / 3), bytes[Math.floor(bytes.length / 3)]! ^ 4),
  "a turned first bit": (bytes) => bytes.with(0, bytes[0]! ^ 1),
  "a cut": (bytes) => bytes.slice(0, -5),
  "a file that is gone": () => undefined,
}

test("a whole log is left as it is, but for partial tiles beside full ones", async () => {
  const { durable, mending } = await makeLog()
  const before = new Map(durable)
  expect(await allOf(mending)).toEqual([])
  const gone = [...before.keys()].filter((path) => !durable.has(path))
  expect(gone).toContain("tile/0/000.p/100")
  expect(gone.every((path) => /\/00[01]\.p\//u.test(path))).toBe(true)
  for (const [path, bytes] of durable) expect(bytes).toEqual(before.get(path))
})

// A smaller partial one that is gone was not needed.
const stale = /^tile\/(?:(?:0|entries)\/002\.p\/8|1\/000\.p\/1)$/u

function outcomeOf(findings: readonly LogFinding[], before: Uint8Array, now?: Uint8Array): string {
  if (findings.some(({ state }) => state === "damaged")) return "named"
  if (now === undefined) return "gone"
  return equalBytes(before, now) ? "as before" : "changed"
}

describe.each(Object.entries(damages))("%s in any file of a log", (name, damage) => {
  test("is mended from what it covers or from the records, or named", async () => {
    const { durable: whole, mending: first } = await makeLog()
    await allOf(first)
    const outcomes = new Map<string, string>()
    const expected = new Map<string, string>()
    for (const [path, bytes] of whole) {
      const { durable, mending } = await makeLog()
      await allOf(mending)
      const damaged = damage(bytes)
      if (damaged === undefined) durable.delete(path)
      else durable.set(path, damaged)
      outcomes.set(path, outcomeOf(await allOf(mending), bytes, durable.get(path)))
      const isGone = name === "a file that is gone" && stale.test(path)
      expected.set(path, isGone ? "gone" : irreplaceable.includes(path) ? "named" : "as before")
    }
    expect(outcomes).toEqual(expected)
  })
})

test("a bundle and the tile above it are both named when both are gone", async () => {
  const { durable, mending } = await makeLog()
  durable.delete("tile/entries/001")
  durable.delete("tile/0/001")
  const findings = await allOf(mending)
  expect(findings.filter(({ state }) => state === "damaged").map(({ path }) => path)).toEqual([
    "tile/0/001",
    "tile/entries/001",
  ])
})

test("the edge that a start goes on from has the entries that were logged", async () => {
  const { durable, mending } = await makeLog()
  const bundle = durable.get("tile/entries/002.p/88")!
  durable.set("tile/entries/002.p/88", bundle.with(5, bundle[5]! ^ 1))
  const found = await mending.edge()
  expect(found?.isMended).toBe(true)
  expect(found?.edge.entries).toEqual(entries.slice(512))
  expect(durable.get("tile/entries/002.p/88")).toEqual(bundle)
})
