// What measured processes get of the machine, by a cgroup (version 2 or 1) where root allows it: a share of one
// processor at most, and what they get before everything else that runs here, so that this is not measured.

import { access, mkdir, rmdir, writeFile } from "node:fs/promises"
import { join } from "node:path"

const root = "/sys/fs/cgroup"
const periodUs = 100_000
/** The most that both versions take. */
const weight = "10000"

export type CpuGroup = { readonly how: string; readonly end: () => Promise<void> }

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

/**
 * `share` of one processor, 0 … 1; undefined: as much as there is. Where no cgroup can be made, nothing is
 * limited or put first, and `how` says so. `end` lets the processes go.
 */
export async function groupCpu(
  pids: readonly number[],
  { share }: { readonly share?: number } = {},
): Promise<CpuGroup> {
  const isUnified = await isThere(join(root, "cgroup.controllers"))
  const top = isUnified ? root : join(root, "cpu")
  const folder = join(top, `chappe-${share === undefined ? "first" : "limited"}-${pids.join("-")}`)
  try {
    await mkdir(folder)
    await writeFile(join(folder, isUnified ? "cpu.weight" : "cpu.shares"), weight)
    const quota = share === undefined ? undefined : String(Math.round(share * periodUs))
    if (quota !== undefined && isUnified)
      await writeFile(join(folder, "cpu.max"), `${quota} ${periodUs}`)
    else if (quota !== undefined) {
      await writeFile(join(folder, "cpu.cfs_period_us"), String(periodUs))
      await writeFile(join(folder, "cpu.cfs_quota_us"), quota)
    }
    for (const pid of pids) await writeFile(join(folder, "cgroup.procs"), String(pid))
  } catch (cause) {
    await rmdir(folder).catch(() => undefined)
    const why = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown"
    return { how: `no limit, for no cgroup can be made (${why})`, end: async () => undefined }
  }
  return {
    how: `cgroup ${isUnified ? "v2" : "v1"}${share === undefined ? "" : `, ${share} of a processor`}`,
    end: async () => {
      for (const pid of pids)
        await writeFile(join(top, "cgroup.procs"), String(pid)).catch(() => undefined) // has ended
      await rmdir(folder).catch(() => undefined)
    },
  }
}
