// The machine: software, disk, permissions of secrets.

import { readdir, stat, statfs } from "node:fs/promises"
import { join } from "node:path"
import { formatBytes } from "../duration.ts"
import { asChappeError } from "../failure.ts"
import { cliLimits } from "../limits.ts"
import { type Check, bad, good, watch } from "./check.ts"

const oldest = [20, 19] as const

export function checkNode(version: string): Check {
  const [major = 0, minor = 0] = version.replace(/^v/u, "").split(".").map(Number)
  const about = "Node"
  if (major < oldest[0] || (major === oldest[0] && minor < oldest[1]))
    return bad(about, `${version} is too old`, `install Node ${oldest.join(".")} or later`)
  return good(about, version)
}

export async function checkDisk(dir: string): Promise<Check> {
  const about = "disk"
  try {
    const found = await statfs(dir)
    const free = found.bavail * found.bsize
    const says = `${formatBytes(free)} free for ${dir}`
    return free < cliLimits.diskFreeBytesMin
      ? watch(about, says, "make room: a full disk stops the process, though nothing is lost")
      : good(about, says)
  } catch (error) {
    return bad(about, asChappeError(error).message, "check the path")
  }
}

const secretFile = /\.(?:key|secret)$|-key\.pem$/u

/** Secrets that others on this machine could read. */
export async function checkPermissions(dir: string): Promise<Check> {
  const about = "permissions"
  let secrets = 0
  const open: string[] = []
  for (const item of await readdir(dir, { recursive: true, withFileTypes: true })) {
    if (!item.isFile() || !secretFile.test(item.name)) continue
    secrets += 1
    const path = join(item.parentPath, item.name)
    if (((await stat(path)).mode & 0o077) !== 0) open.push(path)
  }
  const [first] = open
  if (first === undefined) return good(about, `${secrets} secrets, each for its user alone`)
  const more = open.length === 1 ? "" : ` and ${open.length - 1} more`
  return bad(about, `others can read ${first}${more}`, `chmod 600 ${open.join(" ")}`)
}
