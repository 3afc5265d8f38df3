import { expect, test } from "vitest"
import { sha256 } from "../../keys/crypto.ts"
import { concat, utf8 } from "../../protocol/bytes.ts"
import { type CourierFrame, CourierWriter, readCourier } from "../../protocol/courier-file.ts"
import { limits } from "../../protocol/limits.ts"
import { refusalOf } from "../kit/refusal.ts"

const head = { from: "FR", to: "JP", at: 1_800_000_000 } as const
const frames: readonly CourierFrame[] = [
  {
    name: "directory",
    origin: "hub1/directory",
    first: 0,
    entries: [utf8("an entry")],
    note: new Uint8Array(0),
  },
  { name: "message", message: new Uint8Array(3_000).fill(1) },
  { name: "message", message: new Uint8Array(3_000).fill(2) },
]

function written(items = frames): readonly Uint8Array[] {
  const writer = new CourierWriter(sha256)
  return [writer.begin(head), ...items.map((item) => writer.add(item)), writer.end()]
}

async function* pieces(file: Uint8Array, length: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < file.length; at += length) yield file.slice(at, at + length)
}

async function read(file: Uint8Array, length = 1_000): Promise<readonly CourierFrame[]> {
  const found: CourierFrame[] = []
  for await (const item of readCourier(pieces(file, length), sha256)) found.push(item)
  return found
}

test("a courier's file gives back what was put in, in pieces of any size", async () => {
  const file = concat(...written())
  for (const length of [1, 1_000, file.length])
    expect(await read(file, length)).toEqual([{ name: "head", version: 1, ...head }, ...frames])
})

test("a file that was cut or changed anywhere is refused", async () => {
  const file = concat(...written())
  for (let at = 0; at < file.length; at += 251) {
    expect(await refusalOf(read(file.slice(0, at)))).toBe("courier")
    const changed = file.map((byte, i) => (i === at ? byte ^ 4 : byte))
    expect(await refusalOf(read(changed))).toBe("courier")
  }
  expect(await refusalOf(read(file.slice(0, -1)))).toBe("courier")
  expect(await refusalOf(read(concat(file, utf8("more"))))).toBe("courier")
})

test("parts that were left out, swapped or put in twice are refused", async () => {
  const [start, directory, one, two, end] = written()
  if (!start || !directory || !one || !two || !end) throw new Error("five parts")
  for (const parts of [
    [start, directory, one, end],
    [start, directory, two, one, end],
    [start, directory, one, one, two, end],
    [start, directory, one, two, end, end],
  ])
    expect(await refusalOf(read(concat(...parts)))).toBe("courier")
})

test("a part that announces more than any may have is refused before it comes", async () => {
  const [start] = written()
  if (start === undefined) throw new Error("a start")
  const length = new Uint8Array(4)
  new DataView(length.buffer).setUint32(0, limits.courierFrameBytesMax + 1)
  expect(await refusalOf(read(concat(start, length)))).toBe("courier")
})
