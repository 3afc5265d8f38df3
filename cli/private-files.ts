// Files that the command reads and writes. What it writes is for its user alone (0600, folders 0700), is
// synced, and never overwrites something unless told so.

import { constants } from "node:fs"
import { chmod, mkdir, open, readFile, readdir, rename, stat } from "node:fs/promises"
import { dirname } from "node:path"
import { ChappeError } from "../protocol/errors.ts"
import { asChappeError, systemCode } from "./failure.ts"

/** Refused: `file-unreadable`; `size`, before anything large is read. */
export async function readBytes(path: string, bytesMax: number): Promise<Uint8Array> {
  try {
    const { size } = await stat(path)
    if (size > bytesMax)
      throw new ChappeError("size", `${path} has ${size} of at most ${bytesMax} bytes`)
    return new Uint8Array(await readFile(path))
  } catch (error) {
    throw asChappeError(error)
  }
}

export async function readText(path: string, bytesMax: number): Promise<string> {
  const bytes = await readBytes(path, bytesMax)
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (cause) {
    throw new ChappeError("file-unreadable", `${path} is not UTF-8 text`, { cause })
  }
}

export async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if (systemCode(error) === "ENOENT" || systemCode(error) === "ENOTDIR") return false
    throw asChappeError(error)
  }
}

/** Makes a folder and those above it; only new ones get mode 0700. */
export async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 })
}

/** Refused: `file-exists` for a folder that holds anything. */
export async function requireEmptyFolder(path: string): Promise<void> {
  await makeFolder(path)
  const found = await readdir(path)
  if (found.length > 0) throw new ChappeError("file-exists", `${path} is not empty`)
  await chmod(path, 0o700)
}

/** A new file. Refused: `file-exists`, `disk-full`. */
export async function writeNew(path: string, content: Uint8Array | string): Promise<void> {
  await makeFolder(dirname(path))
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL
  const file = await open(path, flags, 0o600)
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Replaces a file whole: after a power cut it is the old one or the new one. */
export async function replaceFile(path: string, content: Uint8Array | string): Promise<void> {
  await makeFolder(dirname(path))
  const beside = `${path}.new`
  const file = await open(beside, "w", 0o600)
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(beside, path)
  await syncFolder(dirname(path))
}

/** What was created or renamed in it survives a power cut. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r")
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** Names in a folder, sorted; none where it does not exist. */
export async function namesIn(path: string): Promise<readonly string[]> {
  try {
    return (await readdir(path)).toSorted()
  } catch (error) {
    if (systemCode(error) === "ENOENT") return []
    throw asChappeError(error)
  }
}
