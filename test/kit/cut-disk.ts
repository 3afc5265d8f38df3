// A disk whose power can be cut: a file system in a file, on a loop device, that forgets every page that was
// not synced. Needs root, xfsprogs and e2fsprogs.

import { execFile } from "node:child_process"
import { access, mkdir, mkdtemp, rm, truncate, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import { promisify } from "node:util"

const run = promisify(execFile)

export const fileSystems = ["ext4", "xfs"] as const
export type FileSystem = (typeof fileSystems)[number]

const diskBytes = 512 * 1_048_576
const unmountTries = 200
const unmountPauseMs = 50

/** Why this machine has none; undefined where it has. */
export async function cutDiskUnavailable(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return "needs root"
  try {
    await access("/dev/loop-control")
    for (const tool of ["xfs_io", "mkfs.xfs", "mkfs.ext4", "losetup"]) await run("which", [tool])
  } catch {
    return "needs loop devices and the packages xfsprogs and e2fsprogs"
  }
  try {
    const disk = await CutDisk.make("ext4")
    await disk.end()
    return undefined
  } catch (cause) {
    return `no loop device can be mounted here: ${String(cause).split("\n")[0] ?? ""}`
  }
}

export class CutDisk {
  /** Where it is mounted. */
  readonly path: string
  readonly #base: string
  readonly #device: string

  private constructor(base: string, path: string, device: string) {
    this.#base = base
    this.path = path
    this.#device = device
  }

  static async make(kind: FileSystem): Promise<CutDisk> {
    const base = await mkdtemp(join(tmpdir(), "chappe-disk-"))
    const image = join(base, "disk.img")
    const path = join(base, "mnt")
    await writeFile(image, "")
    await truncate(image, diskBytes)
    await run(`mkfs.${kind}`, ["-q", image])
    await mkdir(path)
    const { stdout } = await run("losetup", ["-f", "--show", image])
    const disk = new CutDisk(base, path, stdout.trim())
    try {
      await run("mount", [disk.#device, path])
    } catch (cause) {
      await disk.end()
      throw cause
    }
    return disk
  }

  /** From this moment on nothing reaches the disk, and every unwritten page is gone. */
  async cut(): Promise<void> {
    await run("xfs_io", ["-x", "-c", "shutdown", this.path])
  }

  /** The power comes back. To be called when no process has a file open there any more. */
  async restore(): Promise<void> {
    await this.#unmount()
    await run("mount", [this.#device, this.path])
  }

  async #unmount(): Promise<void> {
    for (let tries = 0; ; tries++) {
      try {
        await run("umount", [this.path])
        return
      } catch (cause) {
        if (tries >= unmountTries) throw cause
        await pause(unmountPauseMs)
      }
    }
  }

  async end(): Promise<void> {
    await this.#unmount().catch(() => undefined)
    await run("losetup", ["-d", this.#device])
    await rm(this.#base, { recursive: true, force: true })
  }
}
