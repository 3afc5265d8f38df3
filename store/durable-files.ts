// Files that survive a power cut: content synced, then the name, then the folder. Errors of the disk in
// the words of the error table.

import { type FileHandle, access, mkdir, open, readFile, readdir, rename } from "node:fs/promises"
import { dirname, join } from "node:path"
import { ChappeError } from "../protocol/errors.ts"
import type { FolderReader } from "./level-check.ts"

export function codeOf(cause: unknown): string {
  return cause instanceof Error && "code" in cause && typeof cause.code === "string"
    ? cause.code
    : ""
}

export function isMissing(cause: unknown): boolean {
  return codeOf(cause) === "ENOENT"
}

/** `disk-full` where the disk or a quota is full, `storage` for everything else. */
export function storageError(cause: unknown, what: string): ChappeError {
  if (cause instanceof ChappeError) return cause
  const code = codeOf(cause)
  const isFull = code === "ENOSPC" || code === "EDQUOT" || code === "EFBIG"
  return new ChappeError(
    isFull ? "disk-full" : "storage",
    `${what} failed (${code || "unknown"})`,
    {
      cause,
    },
  )
}

/** Runs a disk operation; whatever it throws comes out as `disk-full` or `storage`. */
export async function onDisk<T>(what: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (cause) {
    throw storageError(cause, what)
  }
}

export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r")
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** Makes a folder, only for this user, so that it survives a power cut. */
export async function makeFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 })
  if (first === undefined) return
  for (let at = path; at.length >= first.length; at = dirname(at)) await syncFolder(dirname(at))
}

/** Replaces a file whole. The folder is not synced: `syncFolder` does that once for several files. */
export async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.new`
  const file: FileHandle = await open(temporary, "w", 0o600)
  try {
    await file.writeFile(bytes)
    await file.datasync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
}

async function unlessMissing<T>(task: Promise<T>): Promise<T | undefined> {
  try {
    return await task
  } catch (cause) {
    if (isMissing(cause)) return undefined
    throw cause
  }
}

export async function isThere(path: string): Promise<boolean> {
  return (await unlessMissing(access(path).then(() => true))) ?? false
}

export async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  const found = await unlessMissing(readFile(path))
  return found === undefined ? undefined : new Uint8Array(found)
}

/** None when there is no such folder. */
export async function namesIn(path: string): Promise<readonly string[]> {
  return (await unlessMissing(readdir(path))) ?? []
}

/** The files of a folder, for reading only. */
export function folderReader(path: string): FolderReader {
  return {
    names: async () => namesIn(path),
    read: async (name) => readIfThere(join(path, name)),
  }
}
