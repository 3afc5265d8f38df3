// Bit rot: one change to one file of a stopped process's folder, as disks make them.

import { readFile, readdir, rm, truncate, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { Prng } from "./mutate.ts"

export type Rot = { readonly file: string; readonly what: string }

const pageBytes = 4_096
const kinds = ["flip", "truncate", "zero", "delete"] as const

/** Paths of all files in a folder, in their order, that `counts` takes. */
export async function filesIn(
  dir: string,
  counts: (path: string) => boolean,
): Promise<readonly string[]> {
  const found = await readdir(dir, { recursive: true, withFileTypes: true })
  return found
    .filter((item) => item.isFile())
    .map((item) => join(item.parentPath, item.name))
    .filter(counts)
    .toSorted()
}

/** Damages one of the files; says which and how. */
export async function rotOne(files: readonly string[], random: Prng): Promise<Rot> {
  const file = random.pick(files)
  const bytes = await readFile(file)
  const kind = bytes.length === 0 ? "delete" : random.pick(kinds)
  if (kind === "delete") {
    await rm(file)
    return { file, what: "deleted" }
  }
  const at = random.below(bytes.length)
  if (kind === "truncate") {
    await truncate(file, at)
    return { file, what: `cut from ${bytes.length} to ${at} bytes` }
  }
  if (kind === "zero") {
    const start = at - (at % pageBytes)
    bytes.fill(0, start, Math.min(start + pageBytes, bytes.length))
    await writeFile(file, bytes)
    return { file, what: `zeros at ${start}` }
  }
  const bit = random.below(8)
  bytes[at] = (bytes[at] ?? 0) ^ (1 << bit)
  await writeFile(file, bytes)
  return { file, what: `bit ${bit} of byte ${at} turned` }
}
