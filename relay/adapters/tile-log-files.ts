// A log's tiles, bundles and checkpoint as files that any tlog-tiles reader can be pointed at.

import { rm } from "node:fs/promises"
import { dirname, join } from "node:path"
import { parseTilePath } from "../../protocol/tiles.ts"
import type { LogFiles } from "../core/ports.ts"
import {
  makeFolder,
  namesIn,
  onDisk,
  readIfThere,
  replaceFile,
  syncFolder,
} from "../../store/durable-files.ts"

export async function openTileLogFiles(prefix: string): Promise<LogFiles> {
  await onDisk("opening the log's folder", async () => makeFolder(prefix))
  return {
    async read(path) {
      if (path !== "checkpoint") parseTilePath(path)
      return onDisk("reading the log", async () => readIfThere(join(prefix, path)))
    },

    async write(files) {
      await onDisk("writing the log", async () => {
        const folders = new Set<string>()
        for (const { path, bytes } of files) {
          parseTilePath(path)
          const target = join(prefix, path)
          const folder = dirname(target)
          if (!folders.has(folder)) await makeFolder(folder)
          folders.add(folder)
          await replaceFile(target, bytes)
        }
        for (const folder of folders) await syncFolder(folder)
      })
    },

    async publish(checkpoint) {
      await onDisk("publishing the checkpoint", async () => {
        await replaceFile(join(prefix, "checkpoint"), checkpoint)
        await syncFolder(prefix)
      })
    },

    async widths(path) {
      parseTilePath(path)
      const names = await onDisk("reading the log", async () => namesIn(join(prefix, `${path}.p`)))
      const widths = names.filter((name) => /^[1-9][0-9]{0,2}$/u.test(name)).map(Number)
      return widths.toSorted((a, b) => a - b)
    },

    async trim(paths) {
      await onDisk("trimming the log", async () => {
        for (const path of paths) {
          parseTilePath(path.replace(/\.p$/u, ""))
          await rm(join(prefix, path), { recursive: true, force: true })
        }
      })
    },
  }
}
