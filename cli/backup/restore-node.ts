// A node from a backup, as its next incarnation: the data key comes from the backup, nothing that signed
// before does, and the standby key waits in keys/ for the first start. docs/PROTOCOL.md, "Backups".

import { rename, rm } from "node:fs/promises"
import { dirname, join } from "node:path"
import type { KeyEntry } from "../../keys/key-file.ts"
import { openLevelRecordStore, recordsPath } from "../../node/adapters/level-record-store.ts"
import { catchUpRecord } from "../../node/core/catch-up.ts"
import type { Change, RecordStore } from "../../node/core/ports.ts"
import { Records } from "../../node/core/records.ts"
import type { BackupFrame, BackupHead } from "../../protocol/backup-frames.ts"
import { emptyBytes, fromUtf8 } from "../../protocol/bytes.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { asChappeError } from "../failure.ts"
import { cliLimits } from "../limits.ts"
import { exists, namesIn, readBytes, syncFolder, writeNew } from "../private-files.ts"
import { secretBeside, writeKeysWithSecret } from "../secret.ts"
import { type World, nowSeconds } from "../world.ts"
import { FolderWriter } from "./folder-writer.ts"

// A commit that fails is refused to its caller, who ends.
const nothing = (): void => undefined

type PutBack = { readonly records: number; readonly files: number }

/**
 * Everything goes to a folder of its own first: what does not hold to its end leaves nothing behind.
 * `bringKeys` puts the keys in place that no backup holds. Refused: `backup`, `file-exists`, `disk-full`.
 */
export async function restoreNode(
  world: World,
  dir: string,
  head: BackupHead,
  frames: AsyncIterable<BackupFrame>,
  bringKeys: () => Promise<void>,
): Promise<PutBack> {
  if (head.role !== "node") throw new ChappeError("backup", `this is a backup of a ${head.role}`)
  const dataKey = head.secrets.find(({ use }) => use === "data")?.secret
  if (dataKey === undefined) throw new ChappeError("backup", "the backup has no data key")
  const beside = join(dir, "restoring")
  try {
    await rm(beside, { recursive: true, force: true })
    const putBack = await unpack(world, beside, { head, dataKey }, frames)
    await bringKeys()
    for (const name of await namesIn(beside)) await rename(join(beside, name), join(dir, name))
    // Written last: a folder without it cannot be started.
    await writeKeysWithSecret(world, join(dir, "keys", "node.key"), newKeys(world, dataKey))
    return putBack
  } catch (error) {
    throw asChappeError(error)
  } finally {
    await rm(beside, { recursive: true, force: true })
    await syncFolder(dir)
  }
}

async function unpack(
  world: World,
  dir: string,
  { head, dataKey }: { readonly head: BackupHead; readonly dataKey: Uint8Array },
  frames: AsyncIterable<BackupFrame>,
): Promise<PutBack> {
  const files = new FolderWriter(dir, {
    forbidden: ["keys", "officers", "run", "data/records"],
    // The records are in the form in which they were read, whatever this version writes.
    replaced: ["data/format"],
  })
  const store = await openLevelRecordStore(recordsPath(join(dir, "data")))
  let records = 0
  try {
    const batch = new Batch(store)
    for await (const item of frames) {
      if (item.name === "record") {
        records += 1
        await batch.put({ kind: "put", key: fromUtf8(item.key), value: item.value })
      } else await files.take(item)
    }
    await files.end()
    await batch.flush()
    await markForCatchUp(world, store, dataKey, head.at)
  } finally {
    await store.close()
  }
  return { records, files: files.count }
}

/** A new hedge secret: randomness that was in use before can never be drawn again. */
function newKeys(world: World, dataKey: Uint8Array): readonly KeyEntry[] {
  return [
    { use: "hedge", publicKey: emptyBytes, secret: world.random(32) },
    { use: "data", publicKey: emptyBytes, secret: dataKey },
  ]
}

/** The node asks each sender for what came after the backup, once it runs. */
async function markForCatchUp(
  world: World,
  store: RecordStore,
  dataKey: Uint8Array,
  takenAt: number,
): Promise<void> {
  const records = new Records({ store, dataKey, random: world.random, onFailure: nothing })
  await records.commit([catchUpRecord(records, { takenAt, restoredAt: nowSeconds(world) })])
}

/** Copies a key file and the secret beside it, if it has one. Refused: `file-exists`. */
export async function copyKeyFile(from: string, to: string): Promise<void> {
  const bytes = await readBytes(from, cliLimits.keyFileBytesMax)
  const secret = secretBeside(from)
  if (await exists(secret))
    await writeNew(secretBeside(to), await readBytes(secret, cliLimits.secretFileBytesMax))
  await writeNew(to, bytes)
}

/** The second place has it, synced, before the first loses it. */
export async function moveKeyFile(from: string, to: string): Promise<void> {
  await copyKeyFile(from, to)
  await syncFolder(dirname(to))
  await rm(from)
  await rm(secretBeside(from), { force: true })
  await syncFolder(dirname(from))
}

/** Every key file of a folder. */
export async function copyKeyFolder(from: string, to: string): Promise<void> {
  for (const name of await namesIn(from))
    if (name.endsWith(".key")) await copyKeyFile(join(from, name), join(to, name))
}

/** Records in commits of bounded size. */
class Batch {
  readonly #store: RecordStore
  #changes: Change[] = []
  #bytes = 0

  constructor(store: RecordStore) {
    this.#store = store
  }

  async put(change: Change & { readonly kind: "put" }): Promise<void> {
    this.#changes.push(change)
    this.#bytes += change.value.length
    const isFull =
      this.#bytes >= cliLimits.restoreCommitBytes ||
      this.#changes.length >= cliLimits.restoreCommitRecords
    if (isFull) await this.flush()
  }

  async flush(): Promise<void> {
    await this.#store.commit(this.#changes)
    this.#changes = []
    this.#bytes = 0
  }
}
