// Holds a process to a share of one processor: by a cgroup where root allows it (version 2 or 1).

import { access, mkdir, rmdir, writeFile } from "node:fs/promises"
import { join } from "node:path"

const root = "/sys/fs/cgroup"
const periodUs = 100_000

export type CpuLimit = { readonly how: string; readonly end: () => Promise<void> }

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

/** `share` of one processor, 0 … 1. Where no cgroup can be made, nothing is limited and `how` says so. */
export async function limitCpu(pid: number, share: number): Promise<CpuLimit> {
  const quota = String(Math.round(share * periodUs))
  const isUnified = await isThere(join(root, "cgroup.controllers"))
  const folder = join(isUnified ? root : join(root, "cpu"), `chappe-${pid}`)
  try {
    await mkdir(folder)
    if (isUnified) await writeFile(join(folder, "cpu.max"), `${quota} ${periodUs}`)
    else {
      await writeFile(join(folder, "cpu.cfs_period_us"), String(periodUs))
      await writeFile(join(folder, "cpu.cfs_quota_us"), quota)
    }
    await writeFile(join(folder, "cgroup.procs"), String(pid))
  } catch (cause) {
    await rmdir(folder).catch(() => undefined)
    const why = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown"
    return { how: `no limit, for no cgroup can be made (${why})`, end: async () => undefined }
  }
  return {
    how: `cgroup ${isUnified ? "v2" : "v1"}, ${share} of a processor`,
    // Empty once its process has ended.
    end: async () => rmdir(folder).catch(() => undefined),
  }
}
