// A backup onto the disk: written beside its place, synced, and only then under its name. docs/PROTOCOL.md, "Backups".

import { link, open, readdir, rm } from "node:fs/promises"
import { join, relative, resolve } from "node:path"
import { BackupWriter } from "../../keys/backup-file.ts"
import type { Unlock } from "../../keys/key-file.ts"
import type { BackupFrame, BackupHead } from "../../protocol/backup-frames.ts"
import { BackupFrames } from "../../protocol/backup-frames.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { readFileStream } from "../adapters/file-transfer.ts"
import { asChappeError, systemCode } from "../failure.ts"
import { exists, syncFolder } from "../private-files.ts"
import type { World } from "../world.ts"

export type Written = { readonly bytes: number; readonly records: number; readonly files: number }

/** Refused: `file-exists`, `disk-full`, and what the frames' source refuses; then nothing is left behind. */
export async function writeBackup(
  world: World,
  target: {
    readonly out: string
    readonly unlock: Unlock
    readonly head: Omit<BackupHead, "name" | "version">
  },
  frames: AsyncIterable<BackupFrame>,
): Promise<Written> {
  const { out, unlock, head } = target
  if (await exists(out)) throw new ChappeError("file-exists", `${out} exists`)
  const partial = `${out}.partial`
  let bytes = 0
  let records = 0
  let files = 0
  try {
    await rm(partial, { force: true })
    const file = await open(partial, "wx", 0o600)
    try {
      const put = async (piece: Uint8Array): Promise<void> => {
        await file.writeFile(piece)
        bytes += piece.length
      }
      const { writer, bytes: first } = await BackupWriter.begin({
        head,
        unlock,
        random: world.random,
      })
      await put(first)
      for await (const item of frames) {
        records += item.name === "record" ? 1 : 0
        files += item.name === "file" ? 1 : 0
        await put(writer.add(item))
      }
      await put(writer.end())
      await file.sync()
    } finally {
      await file.close()
    }
    await link(partial, out)
    await syncFolder(resolve(out, ".."))
    return { bytes, records, files }
  } catch (error) {
    throw asChappeError(error)
  } finally {
    await rm(partial, { force: true })
  }
}

/** Records from a process or a store. Refused: `backup` where the stream is cut. */
export async function* recordsOf(
  source: AsyncIterable<unknown>,
): AsyncGenerator<BackupFrame, void, void> {
  const frames = new BackupFrames()
  let count = 0
  let hasEnded = false
  for await (const piece of source) {
    if (piece instanceof Uint8Array) frames.push(piece)
    for (let item = frames.next(); item !== undefined; item = frames.next()) {
      if (item.name === "end") hasEnded = item.frames === count
      else yield item
      count += 1
    }
  }
  if (!hasEnded || frames.left > 0)
    throw new ChappeError("backup", "the process ended before all records were read")
}

/** The files below `folder`, by their paths below `dir`; what vanishes meanwhile is passed over. */
export async function* filesOf(
  dir: string,
  folder: string,
  isWanted: (path: string) => boolean,
): AsyncGenerator<BackupFrame, void, void> {
  for (const path of await pathsBelow(folder)) {
    const name = relative(dir, path)
    if (!isWanted(name)) continue
    try {
      let isNamed = false
      for await (const part of readFileStream(path)) {
        if (!isNamed) yield { name: "file", path: name }
        isNamed = true
        if (part instanceof Uint8Array && part.length > 0) yield { name: "part", part }
      }
      if (!isNamed) yield { name: "file", path: name }
    } catch (error) {
      if (systemCode(error) !== "ENOENT") throw error
    }
  }
}

async function pathsBelow(folder: string): Promise<readonly string[]> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true }).catch(
    (error: unknown) => {
      if (systemCode(error) === "ENOENT") return []
      throw error
    },
  )
  return found
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted()
}
