import { parseTilePath } from "../../protocol/tiles.ts"
import type { LogFiles } from "../core/ports.ts"
import { MemoryDisk } from "./memory-disk.ts"

/** Files by path: what a power cut leaves. */
export type DurableFiles = Map<string, Uint8Array>

export function openMemoryLogFiles(
  durable: DurableFiles = new Map(),
  disk: MemoryDisk = new MemoryDisk(),
): LogFiles {
  return {
    async read(path) {
      if (path !== "checkpoint") parseTilePath(path)
      const bytes = durable.get(path)
      return bytes === undefined ? undefined : new Uint8Array(bytes)
    },
    async write(files) {
      await disk.run("tiles", () => {
        for (const { path, bytes } of files) {
          parseTilePath(path)
          durable.set(path, new Uint8Array(bytes))
        }
      })
    },
    async publish(checkpoint) {
      await disk.run("checkpoint", () => durable.set("checkpoint", new Uint8Array(checkpoint)))
    },
    async widths(path) {
      parseTilePath(path)
      const partial = `${path}.p/`
      const names = [...durable.keys()].filter((name) => name.startsWith(partial))
      return names.map((name) => Number(name.slice(partial.length))).toSorted((a, b) => a - b)
    },
    async trim(paths) {
      for (const path of paths)
        for (const name of durable.keys()) if (name.startsWith(`${path}/`)) durable.delete(name)
    },
  }
}
