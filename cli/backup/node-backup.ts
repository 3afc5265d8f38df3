// What of a node's folder goes into a backup: everything but keys that sign. Records come from the running
// process, as they stand at one moment; where none runs, from the store itself.

import { basename, join } from "node:path"
import { openLevelRecordStore, recordsPath } from "../../node/adapters/level-record-store.ts"
import { recordFrames } from "../../node/adapters/http-backup-route.ts"
import type { BackupFrame, BackupHead } from "../../protocol/backup-frames.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { memberNameIn } from "../ceremony/member-chain.ts"
import { asOperator } from "../node-client.ts"
import { openKeys } from "../secret.ts"
import { type World, nowSeconds } from "../world.ts"
import { filesOf, recordsOf } from "./write-backup.ts"

/** Top of the folder; `keys`, `officers` and `run` stay out. */
const plainFiles = ["node.toml", "trust.json", "directory.chappe", "join.request"]

export async function nodeHead(
  world: World,
  dir: string,
): Promise<Omit<BackupHead, "name" | "version">> {
  const entries = await openKeys(world, join(dir, "keys", "node.key"))
  const secrets = entries
    .filter(({ use }) => use === "data")
    .map(({ secret }) => ({ use: "data", secret }) as const)
  return { role: "node", owner: await memberNameIn(dir), at: nowSeconds(world), secrets }
}

/** Runs `work` with everything of the node's folder. Refused: `locked` where the process cannot be asked. */
export async function withNodeFrames<T>(
  dir: string,
  work: (frames: AsyncIterable<BackupFrame>) => Promise<T>,
): Promise<T> {
  try {
    return await asOperator(dir, async (client) => {
      const frames = everything(dir, await client.stream("/v1/backup"))
      return await work(frames)
    })
  } catch (error) {
    if (!(error instanceof ChappeError) || error.code !== "node-down") throw error
  }
  const store = await openLevelRecordStore(recordsPath(join(dir, "data")))
  try {
    return await work(everything(dir, recordFrames(store)))
  } finally {
    await store.close()
  }
}

function isWhole(path: string): boolean {
  return !/\.(?:part|upload)$/u.test(path)
}

/** Bodies are named by their hash and never change: those that the records name are there before them. */
async function* everything(
  dir: string,
  records: AsyncIterable<unknown>,
): AsyncGenerator<BackupFrame, void, void> {
  yield* recordsOf(records)
  yield* filesOf(dir, dir, (path) => plainFiles.includes(path))
  // The store itself, and what it keeps beside it about its own files, are made anew.
  const store = join("data", basename(recordsPath("data")))
  const isStores = (path: string): boolean =>
    path.startsWith(`${store}/`) || path.startsWith(`${store}.`)
  yield* filesOf(dir, join(dir, "data"), (path) => !isStores(path) && isWhole(path))
}
