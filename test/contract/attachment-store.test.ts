// The contract of AttachmentStore, kept by every adapter.

import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, describe, expect, test } from "vitest"
import { sha256 } from "../../keys/crypto.ts"
import { toHex } from "../../protocol/bytes.ts"
import { openFileAttachmentStore } from "../../relay/adapters/file-attachment-store.ts"
import { openMemoryAttachmentStore } from "../../relay/adapters/memory-attachment-store.ts"
import type { AttachmentStore } from "../../relay/core/ports.ts"
import { refusalOf } from "../kit/refusal.ts"

const ends: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end()
})

const setups: Readonly<Record<string, () => Promise<AttachmentStore>>> = {
  files: async () => {
    const dir = await mkdtemp(join(tmpdir(), "chappe-attachments-"))
    ends.push(async () => rm(dir, { recursive: true, force: true }))
    return openFileAttachmentStore(dir)
  },
  memory: async () => openMemoryAttachmentStore(),
}

const bytes = Uint8Array.from({ length: 1_000 }, (_, i) => i % 251)
const hash = sha256(bytes)

describe.each(Object.entries(setups))("an attachment store: %s", (_name, setup) => {
  test("takes parts in order and is whole at the last", async () => {
    const store = await setup()
    expect(await store.begin(hash, 1_000)).toBe(0)
    expect(await store.append(hash, 0, bytes.slice(0, 600))).toBe(600)
    expect(await store.isWhole(hash, 1_000)).toBe(false)
    expect(await store.begin(hash, 1_000)).toBe(600)
    expect(await store.append(hash, 600, bytes.slice(600))).toBe(1_000)
    expect(await store.isWhole(hash, 1_000)).toBe(true)
    expect(await store.begin(hash, 1_000)).toBe(1_000)
  })

  test("a part at another offset, or beyond the end, changes nothing", async () => {
    const store = await setup()
    await store.begin(hash, 1_000)
    await store.append(hash, 0, bytes.slice(0, 600))
    expect(await store.append(hash, 0, bytes.slice(0, 600))).toBe(600)
    expect(await store.append(hash, 700, bytes.slice(700))).toBe(600)
    expect(await store.append(hash, 600, bytes)).toBe(600)
  })

  test("a body with another hash is dropped and can be sent again", async () => {
    const store = await setup()
    await store.begin(hash, 1_000)
    expect(await store.append(hash, 0, new Uint8Array(1_000))).toBe(0)
    expect(await store.isWhole(hash, 1_000)).toBe(false)
    expect(await store.append(hash, 0, bytes)).toBe(1_000)
  })

  test("reads anywhere, and less at the end", async () => {
    const store = await setup()
    await store.begin(hash, 1_000)
    await store.append(hash, 0, bytes)
    expect(toHex(await store.read(hash, 900, 500))).toBe(toHex(bytes.slice(900)))
  })

  test("what is not whole is not read, and forgetting twice is no error", async () => {
    const store = await setup()
    await store.begin(hash, 1_000)
    expect(await refusalOf(store.read(hash, 0, 1))).toBe("not-found")
    await store.remove(hash)
    await store.remove(hash)
    expect(await refusalOf(store.append(hash, 0, bytes))).toBe("not-found")
  })
})
