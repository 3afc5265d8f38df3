// A relay's folder in a backup: its configuration, its trust anchor, what waits at its door. No key, no mail
// and no log: mail is at its senders until it expires, and a log that was put back would be a second history.
// Its restore begins new logs. docs/PROTOCOL.md, "Backups".

import { rename, rm } from "node:fs/promises"
import { join } from "node:path"
import type { BackupFrame, BackupHead } from "../../protocol/backup-frames.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { readRelayConfig } from "../../relay/config.ts"
import { asChappeError } from "../failure.ts"
import { cliLimits } from "../limits.ts"
import { namesIn, readBytes, syncFolder, writeNew } from "../private-files.ts"
import { type World, nowSeconds } from "../world.ts"
import { FolderWriter } from "./folder-writer.ts"
import { filesOf } from "./write-backup.ts"

const plainFiles = ["relay.toml", "trust.json", "directory.chappe", "founding.json"]
const plainFolders = ["joins", "tokens"]

export async function relayHead(
  world: World,
  dir: string,
): Promise<Omit<BackupHead, "name" | "version">> {
  const { name } = await readRelayConfig(dir)
  return { role: "relay", owner: name, at: nowSeconds(world), secrets: [] }
}

/** While the relay runs or not: nothing of this changes with its mail. */
export async function* relayFrames(dir: string): AsyncGenerator<BackupFrame, void, void> {
  yield* filesOf(dir, dir, (path) => plainFiles.includes(path))
  for (const folder of plainFolders) yield* filesOf(dir, join(dir, folder), () => true)
}

/**
 * Puts the files into an empty folder, and the keys beside them, which no backup holds; how many files.
 * Refused: `backup`, `file-exists`, `disk-full`.
 */
export async function restoreRelay(
  dir: string,
  keys: string,
  frames: AsyncIterable<BackupFrame>,
): Promise<number> {
  const beside = join(dir, "restoring")
  try {
    await rm(beside, { recursive: true, force: true })
    const files = new FolderWriter(beside, {
      forbidden: ["keys", "data", "log", "run"],
      replaced: [],
    })
    for await (const item of frames) {
      if (item.name === "record")
        throw new ChappeError("backup", "a relay's backup holds no records")
      await files.take(item)
    }
    await files.end()
    for (const name of await namesIn(keys))
      await writeNew(
        join(dir, "keys", name),
        await readBytes(join(keys, name), cliLimits.keyFileBytesMax),
      )
    for (const name of await namesIn(beside)) await rename(join(beside, name), join(dir, name))
    return files.count
  } catch (error) {
    throw asChappeError(error)
  } finally {
    await rm(beside, { recursive: true, force: true })
    await syncFolder(dir)
  }
}
