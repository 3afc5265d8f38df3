// The contract of LogFiles, kept by every adapter.

import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, describe, expect, test } from "vitest"
import { utf8 } from "../../protocol/bytes.ts"
import { openMemoryLogFiles } from "../../relay/adapters/memory-log-files.ts"
import { openTileLogFiles } from "../../relay/adapters/tile-log-files.ts"
import type { LogFiles } from "../../relay/core/ports.ts"
import { refusalOf } from "../kit/refusal.ts"

const ends: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end()
})

const setups: Readonly<Record<string, () => Promise<LogFiles>>> = {
  files: async () => {
    const dir = await mkdtemp(join(tmpdir(), "chappe-log-"))
    ends.push(async () => rm(dir, { recursive: true, force: true }))
    return openTileLogFiles(dir)
  },
  memory: async () => openMemoryLogFiles(),
}

describe.each(Object.entries(setups))("a log's files: %s", (_name, setup) => {
  test("give back what was written, also when it is written again", async () => {
    const files = await setup()
    const tile = { path: "tile/0/000.p/7", bytes: utf8("seven") }
    await files.write([tile])
    await files.write([tile])
    expect(await files.read("tile/0/000.p/7")).toEqual(utf8("seven"))
    expect(await files.read("tile/0/001")).toBeUndefined()
  })

  test("the checkpoint is replaced whole", async () => {
    const files = await setup()
    expect(await files.read("checkpoint")).toBeUndefined()
    await files.publish(utf8("a long checkpoint"))
    await files.publish(utf8("short"))
    expect(await files.read("checkpoint")).toEqual(utf8("short"))
  })

  test("tell which partial tiles are here", async () => {
    const files = await setup()
    await files.write([
      { path: "tile/0/000.p/17", bytes: utf8("seventeen") },
      { path: "tile/0/000.p/7", bytes: utf8("seven") },
      { path: "tile/0/001.p/3", bytes: utf8("three") },
    ])
    expect(await files.widths("tile/0/000")).toEqual([7, 17])
    expect(await files.widths("tile/entries/000")).toEqual([])
  })

  test("partial tiles are trimmed, the full one stays", async () => {
    const files = await setup()
    await files.write([
      { path: "tile/0/000.p/7", bytes: utf8("seven") },
      { path: "tile/0/000", bytes: utf8("full") },
    ])
    await files.trim(["tile/0/000.p"])
    expect(await files.read("tile/0/000.p/7")).toBeUndefined()
    expect(await files.read("tile/0/000")).toEqual(utf8("full"))
  })

  test("a path of another form never becomes a file name", async () => {
    const files = await setup()
    expect(await refusalOf(files.read("../../etc/passwd"))).toBe("not-found")
    expect(await refusalOf(files.write([{ path: "tile/../x", bytes: utf8("") }]))).toBe("not-found")
  })
})
