// External test vectors live beside the project, in ../shared/vectors; see ORIGINS.md there.
// They are not part of it: where the folder is missing, the tests that read it are skipped with one line.

import { existsSync, readFileSync } from "node:fs"

const folder = new URL("../../../shared/vectors/", import.meta.url)

/** Absent where the vectors are not beside the project. */
export const haveSharedVectors = existsSync(folder)
if (!haveSharedVectors) console.warn("shared/vectors is missing: external vectors are skipped")

export function readSharedVectors(path: string): unknown {
  return JSON.parse(readFileSync(new URL(path, folder), "utf8"))
}

/** The test groups of a Wycheproof file. */
export function wycheproof(name: string): unknown {
  return (readSharedVectors(`wycheproof/${name}`) as { readonly testGroups: unknown }).testGroups
}
