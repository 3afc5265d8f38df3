// The published logs among the external vectors (../shared/vectors), read as bytes.

import { readFileSync, readdirSync } from "node:fs"
import { fileURLToPath } from "node:url"

/** Path of a file or folder of the vectors. */
export function sharedPath(path: string): string {
  return fileURLToPath(new URL(`../../../shared/vectors/${path}`, import.meta.url))
}

export function readShared(path: string): Uint8Array {
  return Uint8Array.from(readFileSync(sharedPath(path)))
}

/** Paths of all files below a folder, relative to it. */
export function sharedFiles(path: string): readonly string[] {
  return readdirSync(sharedPath(path), { withFileTypes: true, recursive: true })
    .filter((item) => item.isFile())
    .map((item) => `${item.parentPath}/${item.name}`.slice(sharedPath(path).length + 1))
    .toSorted()
}
