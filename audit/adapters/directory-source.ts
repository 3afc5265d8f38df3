// A log copied to disk in the layout of tlog-tiles.

import { readFile, readdir, stat } from "node:fs/promises"
import { join } from "node:path"
import { ChappeError } from "../../protocol/errors.ts"
import type { LogSource } from "../log-source.ts"

/** The log below `directory`. */
export class DirectorySource implements LogSource {
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
  }

  async read(path: string, bytesMax: number): Promise<Uint8Array | undefined> {
    // Paths come from the tile grammar, but a file name is never made of anything else.
    const segments = path.split("/")
    if (!segments.every((segment) => /^[a-z0-9][a-z0-9.-]*$/u.test(segment)))
      throw new RangeError("not the path of a log resource")
    const name = join(this.#directory, ...segments)
    try {
      const found = await stat(name)
      // A pipe would never end, and a folder is not a resource.
      if (!found.isFile()) return undefined
      if (found.size > bytesMax)
        throw new ChappeError("log-file", `${path} has ${found.size} bytes`)
      return new Uint8Array(await readFile(name))
    } catch (cause) {
      if (cause instanceof ChappeError) throw cause
      if (isMissing(cause)) return undefined
      throw new ChappeError("unverified", `${path} cannot be read`, { cause })
    }
  }

  async tilePaths(): Promise<readonly string[]> {
    const tiles = join(this.#directory, "tile")
    try {
      const items = await readdir(tiles, { withFileTypes: true, recursive: true })
      return items
        .filter((item) => !item.isDirectory())
        .map((item) => join("tile", item.parentPath.slice(tiles.length), item.name))
    } catch (cause) {
      if (isMissing(cause)) return []
      throw new ChappeError("unverified", "the log's directory cannot be read", { cause })
    }
  }
}

function isMissing(error: unknown): boolean {
  return (
    error instanceof Error &&
    "code" in error &&
    // A file where a folder belongs is a resource that is not there.
    (error.code === "ENOENT" || error.code === "ENOTDIR")
  )
}
