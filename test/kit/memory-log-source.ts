// A log held in memory, to be damaged at will.

import type { LogSource } from "../../audit/log-source.ts"
import { ChappeError } from "../../protocol/errors.ts"

export class MemoryLogSource implements LogSource {
  readonly files: Map<string, Uint8Array>

  constructor(files: Iterable<readonly [string, Uint8Array]>) {
    this.files = new Map(files)
  }

  read(path: string, bytesMax: number): Promise<Uint8Array | undefined> {
    const bytes = this.files.get(path)
    if (bytes !== undefined && bytes.length > bytesMax)
      return Promise.reject(new ChappeError("log-file", `${path} has ${bytes.length} bytes`))
    return Promise.resolve(bytes?.slice())
  }

  tilePaths(): Promise<readonly string[]> {
    return Promise.resolve([...this.files.keys()].filter((path) => path.startsWith("tile/")))
  }

  /** Replaces a file by what `change` makes of it. */
  change(path: string, change: (bytes: Uint8Array) => Uint8Array): void {
    const bytes = this.files.get(path)
    if (bytes === undefined) throw new RangeError(`no ${path}`)
    this.files.set(path, change(bytes))
  }
}
