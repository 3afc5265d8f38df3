// Files from a backup into a folder: paths that stay inside it.

import { type FileHandle, open } from "node:fs/promises"
import { dirname, join, normalize } from "node:path"
import type { BackupFrame } from "../../protocol/backup-frames.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { makeFolder, syncFolder } from "../private-files.ts"

export class FolderWriter {
  readonly #dir: string
  readonly #forbidden: readonly string[]
  readonly #replaced: readonly string[]
  readonly #folders = new Set<string>()
  #file: FileHandle | undefined
  count = 0

  constructor(
    dir: string,
    paths: {
      /** No backup may write there. */
      readonly forbidden: readonly string[]
      /** May be there already; nothing else may. */
      readonly replaced: readonly string[]
    },
  ) {
    this.#dir = dir
    this.#forbidden = paths.forbidden
    this.#replaced = paths.replaced
  }

  /** Refused: `backup` for a path that leads elsewhere, `file-exists`. */
  async take(item: BackupFrame): Promise<void> {
    if (item.name === "file") {
      await this.#endFile()
      this.#file = await this.#create(item.path)
      this.count += 1
      return
    }
    if (item.name !== "part" || this.#file === undefined)
      throw new ChappeError("backup", `a ${item.name} out of place`)
    await this.#file.writeFile(item.part)
  }

  /** Everything is on the disk. */
  async end(): Promise<void> {
    await this.#endFile()
    for (const folder of this.#folders) await syncFolder(folder)
  }

  async #endFile(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    try {
      await file?.sync()
    } finally {
      await file?.close()
    }
  }

  async #create(path: string): Promise<FileHandle> {
    const isInside = normalize(path) === path && !path.startsWith("/") && !path.startsWith("..")
    const isForbidden = this.#forbidden.some((one) => path === one || path.startsWith(`${one}/`))
    if (!isInside || isForbidden || path === "." || path.endsWith("/"))
      throw new ChappeError("backup", "a file's path leads out of the folder")
    const target = join(this.#dir, path)
    await makeFolder(dirname(target))
    this.#folders.add(dirname(target))
    return await open(target, this.#replaced.includes(path) ? "w" : "wx", 0o600)
  }
}
