// Files that go to a node and come from it, streamed.

import { createHash } from "node:crypto"
import { createReadStream } from "node:fs"
import { link, open, rm, stat } from "node:fs/promises"
import type { Readable } from "node:stream"
import { ChappeError } from "../../protocol/errors.ts"
import { asChappeError } from "../failure.ts"

const pieceBytes = 262_144

/** Refused: `file-unreadable`, also for what is no plain file. */
export async function hashFile(
  path: string,
): Promise<{ readonly size: number; readonly sha256: string }> {
  try {
    if (!(await stat(path)).isFile())
      throw new ChappeError("file-unreadable", `${path} is not a file`)
    const hash = createHash("sha256")
    let size = 0
    for await (const part of readFileStream(path)) {
      if (!(part instanceof Uint8Array)) continue
      hash.update(part)
      size += part.length
    }
    return { size, sha256: hash.digest("hex") }
  } catch (error) {
    throw asChappeError(error)
  }
}

export function readFileStream(path: string): Readable {
  return createReadStream(path, { highWaterMark: pieceBytes })
}

/**
 * Writes what comes, synced, under a new name; a broken transfer leaves nothing. Refused: `file-exists`,
 * `tampered` for another hash than `sha256`, `disk-full`.
 */
export async function writeStream(source: Readable, target: string, sha256: string): Promise<void> {
  const partial = `${target}.partial`
  try {
    await rm(partial, { force: true })
    const file = await open(partial, "wx", 0o600)
    const hash = createHash("sha256")
    try {
      for await (const part of source) {
        if (!(part instanceof Uint8Array)) continue
        hash.update(part)
        await file.write(part)
      }
      await file.sync()
    } finally {
      await file.close()
    }
    if (hash.digest("hex") !== sha256)
      throw new ChappeError("tampered", "the attachment is not the one that its sender named")
    // A link is never made over something, unlike a rename.
    await link(partial, target)
  } catch (error) {
    throw asChappeError(error)
  } finally {
    await rm(partial, { force: true })
  }
}
