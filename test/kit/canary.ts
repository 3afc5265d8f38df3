// Searching memory and disk for strings that must not be there, in every spelling that software uses:
// UTF-8, UTF-16, hex, and base64 at its three alignments.

import { createReadStream } from "node:fs"
import { open, readFile, readdir } from "node:fs/promises"
import { join } from "node:path"

const pieceBytes = 8 * 1_048_576

/** All spellings of a canary; the edges of base64 that depend on neighbours are left out. */
export function spellings(canary: string): readonly Buffer[] {
  const plain = Buffer.from(canary, "utf8")
  const base64 = [0, 1, 2].map((shift) => {
    const whole = Buffer.concat([Buffer.alloc(shift), plain]).toString("base64")
    return whole.slice(shift === 0 ? 0 : 4, -4)
  })
  return [
    plain,
    Buffer.from(canary, "utf16le"),
    Buffer.from(plain.toString("hex")),
    Buffer.from(plain.toString("hex").toUpperCase()),
    ...base64.map((text) => Buffer.from(text)),
    ...base64.map((text) => Buffer.from(text.replaceAll("+", "-").replaceAll("/", "_"))),
  ]
}

function holds(bytes: Buffer, needles: readonly Buffer[]): boolean {
  return needles.some((needle) => bytes.includes(needle))
}

/** The canaries that a process has in its readable memory (Linux). */
export async function inMemory(
  pid: number,
  canaries: readonly string[],
): Promise<readonly string[]> {
  const maps = await readFile(`/proc/${pid}/maps`, "utf8")
  const found = new Set<string>()
  const memory = await open(`/proc/${pid}/mem`, "r")
  try {
    for (const line of maps.split("\n")) {
      const range = /^([0-9a-f]+)-([0-9a-f]+) r/u.exec(line)
      if (range?.[1] === undefined || range[2] === undefined || line.includes("[v")) continue
      const [from, to] = [Number.parseInt(range[1], 16), Number.parseInt(range[2], 16)]
      for (let at = from; at < to; at += pieceBytes) {
        const bytes = await readMemory(memory, at, Math.min(pieceBytes + 1_024, to - at))
        for (const canary of canaries) if (holds(bytes, spellings(canary))) found.add(canary)
      }
    }
  } finally {
    await memory.close()
  }
  return [...found]
}

type Memory = Awaited<ReturnType<typeof open>>

async function readMemory(memory: Memory, at: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length)
  try {
    const { bytesRead } = await memory.read(buffer, 0, length, at)
    return buffer.subarray(0, bytesRead)
  } catch {
    // A range that went away, or a guard page.
    return Buffer.alloc(0)
  }
}

/** The canaries that stand in any file below a directory, or in a file's name. */
export async function onDisk(dir: string, canaries: readonly string[]): Promise<readonly string[]> {
  const found = new Set<string>()
  const items = await readdir(dir, { recursive: true, withFileTypes: true })
  for (const item of items) {
    const name = Buffer.from(item.name)
    for (const canary of canaries) if (holds(name, spellings(canary))) found.add(canary)
    if (!item.isFile()) continue
    const file = join(item.parentPath, item.name)
    for (const canary of await inFile(file, canaries).catch(noneIfGone)) found.add(canary)
  }
  return [...found]
}

/** A temporary file may be renamed while the search goes on: it is found under its new name next time. */
function noneIfGone(error: unknown): readonly string[] {
  if (error instanceof Error && "code" in error && error.code === "ENOENT") return []
  throw error
}

async function inFile(file: string, canaries: readonly string[]): Promise<readonly string[]> {
  const found = new Set<string>()
  let tail: Buffer = Buffer.alloc(0)
  for await (const part of createReadStream(file, { highWaterMark: pieceBytes })) {
    const bytes = Buffer.concat([tail, part as Buffer])
    for (const canary of canaries) if (holds(bytes, spellings(canary))) found.add(canary)
    tail = bytes.subarray(-1_024)
  }
  return [...found]
}

/** The canaries in a text, e.g. an HTTP answer or a log. */
export function inText(text: string, canaries: readonly string[]): readonly string[] {
  return canaries.filter((canary) => holds(Buffer.from(text), spellings(canary)))
}
