// The contract of the node's BodyFiles, kept by every adapter.

import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, describe, expect, test } from "vitest"
import { sha256 } from "../../keys/crypto.ts"
import { openFileBodyFiles } from "../../node/adapters/file-body-files.ts"
import { MemoryBodyFiles } from "../../node/adapters/memory-body-files.ts"
import type { BodyFiles } from "../../node/core/ports.ts"
import { concat, toHex, utf8 } from "../../protocol/bytes.ts"
import { countingRandom } from "../kit/counting-random.ts"
import { refusalOf } from "../kit/refusal.ts"

const ends: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end()
})

async function folder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "chappe-node-bodies-"))
  ends.push(() => rm(dir, { recursive: true, force: true }))
  return dir
}

const setups: Readonly<Record<string, () => Promise<BodyFiles>>> = {
  files: async () => await openFileBodyFiles(await folder(), countingRandom("bodies")),
  memory: async () => new MemoryBodyFiles(),
}

const body = utf8("sealed body of an attachment")
const hash = sha256(body)

describe.each(Object.entries(setups))("attachment bodies: %s", (_name, setup) => {
  test("an upload is whole under its hash once it is finished", async () => {
    const files = await setup()
    const upload = await files.create()
    await upload.write(body.slice(0, 5))
    await upload.write(body.slice(5))
    expect(await files.state(hash)).toEqual({ kind: "none" })
    expect(await upload.finish()).toEqual({ hash, length: body.length })
    expect(await files.state(hash)).toEqual({ kind: "whole", length: body.length })
    expect(await files.read(hash, 7, 4)).toEqual(body.slice(7, 11))
    expect(await files.read(hash, body.length - 2, 100)).toEqual(body.slice(-2))
  })

  test("the same body twice is one, and an upload that ends early leaves nothing", async () => {
    const files = await setup()
    for (let round = 0; round < 2; round++) {
      const upload = await files.create()
      await upload.write(body)
      await upload.finish()
    }
    const upload = await files.create()
    await upload.write(utf8("never finished"))
    await upload.abort()
    expect(await files.state(hash)).toEqual({ kind: "whole", length: body.length })
  })

  test("a fetched body grows from where it stopped and counts when it is verified", async () => {
    const files = await setup()
    await files.append(hash, 0, body.slice(0, 10))
    expect(await files.state(hash)).toEqual({ kind: "partial", length: 10 })
    await expect(files.append(hash, 3, body.slice(3))).rejects.toThrow(RangeError)
    await files.append(hash, 10, body.slice(10))
    await files.finish(hash, body.length)
    expect(await files.state(hash)).toEqual({ kind: "whole", length: body.length })
    await files.verify(hash)
  })

  test("another body than the one named is refused and forgotten", async () => {
    const files = await setup()
    await files.append(hash, 0, concat(body, utf8("!")))
    expect(await refusalOf(files.finish(hash, body.length + 1))).toBe("body")
    expect(await files.state(hash)).toEqual({ kind: "none" })
  })

  test("what is not there is not found, and forgetting it is no error", async () => {
    const files = await setup()
    expect(await refusalOf(files.read(hash, 0, 1))).toBe("not-found")
    expect(await refusalOf(files.verify(hash))).toBe("not-found")
    await files.remove(hash)
  })
})

test("file names are hashes only, and a changed file is found when it is read whole", async () => {
  const dir = await folder()
  const files = await openFileBodyFiles(dir, countingRandom("bodies"))
  const upload = await files.create()
  await upload.write(body)
  await upload.finish()
  expect(await readdir(dir)).toEqual([toHex(hash)])
  await writeFile(join(dir, toHex(hash)), concat(body.slice(0, -1), utf8("?")))
  expect(await refusalOf(files.verify(hash))).toBe("tampered")
})

test("what was being uploaded when the process ended is gone at the next start", async () => {
  const dir = await folder()
  const upload = await (await openFileBodyFiles(dir, countingRandom("one"))).create()
  await upload.write(body)
  await openFileBodyFiles(dir, countingRandom("two"))
  expect(await readdir(dir)).toEqual([])
  await upload.abort()
})
