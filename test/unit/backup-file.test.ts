import { expect, test } from "vitest"
import { BackupWriter, readBackup } from "../../keys/backup-file.ts"
import type { Unlock } from "../../keys/key-file.ts"
import type { BackupFrame } from "../../protocol/backup-frames.ts"
import { concat, toHex, utf8 } from "../../protocol/bytes.ts"
import { countingRandom } from "../kit/counting-random.ts"
import { refusalOf } from "../kit/refusal.ts"

const unlock: Unlock = { kind: "secret", secret: new Uint8Array(32).fill(7) }
const dataKey = new Uint8Array(32).fill(0xab)
const head = {
  role: "node",
  owner: "FR",
  at: 1_800_000_000,
  secrets: [{ use: "data", secret: dataKey }],
} as const
const frames: readonly BackupFrame[] = [
  { name: "record", key: utf8("t/k"), value: new Uint8Array(40_000).fill(1) },
  { name: "file", path: "data/bodies/aa" },
  { name: "part", part: utf8("a part of a body") },
  { name: "file", path: "node.toml" },
]

async function written(items = frames): Promise<Uint8Array> {
  const random = countingRandom("backup")
  const { writer, bytes } = await BackupWriter.begin({ head, unlock, random })
  return concat(bytes, ...items.map((item) => writer.add(item)), writer.end())
}

async function* pieces(file: Uint8Array, length: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < file.length; at += length) yield file.slice(at, at + length)
}

async function read(file: Uint8Array, length = 1_000): Promise<readonly BackupFrame[]> {
  const found: BackupFrame[] = []
  for await (const item of readBackup(pieces(file, length), async () => unlock)) found.push(item)
  return found
}

test("a backup gives back what was put in, in pieces of any size", async () => {
  const file = await written()
  for (const length of [7, 1_000, file.length])
    expect(await read(file, length)).toEqual([{ name: "head", version: 1, ...head }, ...frames])
})

test("nothing of it can be read without the secret", async () => {
  const file = await written()
  expect(toHex(file)).not.toContain(toHex(dataKey))
  expect(toHex(file)).not.toContain(toHex(utf8("a part of a body")))
  const other: Unlock = { kind: "secret", secret: new Uint8Array(32).fill(8) }
  const opened = readBackup(pieces(file, 1_000), async () => other)
  expect(await refusalOf(opened.next())).toBe("passphrase")
})

test("a backup that was cut anywhere is refused", async () => {
  const file = await written()
  for (let length = 0; length < file.length; length += 997)
    expect(await refusalOf(read(file.slice(0, length)))).toBe("backup")
  expect(await refusalOf(read(file.slice(0, -1)))).toBe("backup")
  expect(await refusalOf(read(concat(file, utf8("more"))))).toBe("backup")
})

test("a backup that was changed anywhere is refused", async () => {
  const file = await written()
  for (let at = 0; at < file.length; at += 499) {
    const changed = file.map((byte, i) => (i === at ? byte ^ 4 : byte))
    expect(["backup", "passphrase", "key-file", "tampered"]).toContain(
      await refusalOf(read(changed)),
    )
  }
})

test("a file of another kind is refused", async () => {
  expect(await refusalOf(read(utf8("chappe-backup/2\nand so on, for some bytes")))).toBe("backup")
})
