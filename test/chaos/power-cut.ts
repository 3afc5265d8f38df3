// The power of all processes at once: what was not synced is gone. On ext4 and XFS, under traffic and while
// everything starts for the first time.

import { execFile } from "node:child_process"
import { access, cp, rm } from "node:fs/promises"
import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import { promisify } from "node:util"
import { CutDisk, cutDiskUnavailable, fileSystems } from "../kit/cut-disk.ts"
import { type Faults, isFaultless } from "../kit/judge.ts"
import { Lab } from "../kit/lab.ts"
import { type Prng, prng } from "../kit/mutate.ts"
import { judgeAll, sendAll } from "../kit/traffic.ts"
import type { Chaos, ChaosRun } from "./chaos.ts"

const members = ["FR", "JP"]
const labWords = ["--members", members.join(","), "--relays", "1"]
const messagesMost = 1_000_000 // until the last cut
const firstStartShare = 4 // one cut of so many
const firstMsMost = 300
const trafficMsMost = 1_500
const lookMs = 10
const startLooks = 6_000

/** Everything starts for the first time, and the power goes while the first files are being made. */
async function cutAtFirstStart(lab: Lab, disk: CutDisk, random: Prng): Promise<void> {
  const starting = lab.up().catch(() => undefined)
  for (let looks = 0; looks < startLooks; looks++) {
    const made = await access(join(lab.relayDir("hub1"), "data")).then(
      () => true,
      () => false,
    )
    if (made) break
    await pause(lookMs)
  }
  await pause(random.below(firstMsMost))
  await disk.cut()
  await lab.crash()
  await starting
  await disk.restore()
}

async function runOn(
  disk: CutDisk,
  { count, seed, say }: ChaosRun,
): Promise<{ readonly messages: number; readonly faults: Faults }> {
  const random = prng(seed)
  const lab = await Lab.initIn(disk.path, ...labWords)
  const pristine = `${disk.path}-pristine`
  try {
    await cp(lab.dir, pristine, { recursive: true })
    const first = Math.max(1, Math.floor(count / firstStartShare))
    for (let n = 0; n < first; n++) {
      await rm(lab.dir, { recursive: true })
      await cp(pristine, lab.dir, { recursive: true })
      await promisify(execFile)("sync", ["-f", disk.path])
      await cutAtFirstStart(lab, disk, random)
      await lab.up()
      await lab.stop()
      say(`${n + 1} cuts at the first start`)
    }
    await lab.up()
    const sent = new AbortController()
    const cutAll = async (): Promise<void> => {
      for (let n = first; n < count; n++) {
        const before = (await lab.api("JP").inbox()).length
        while ((await lab.api("JP").inbox()).length === before) await pause(lookMs)
        await pause(random.below(trafficMsMost))
        await disk.cut()
        await lab.crash()
        await disk.restore()
        await lab.up()
        say(`${n + 1} cuts`)
      }
    }
    const plan = { members, messages: messagesMost, seed, until: sent.signal }
    const [submitted] = await Promise.all([
      sendAll(lab, plan),
      cutAll().finally(() => {
        sent.abort()
      }),
    ])
    return { messages: submitted.length, faults: await judgeAll(lab, members, submitted) }
  } finally {
    await lab.end()
    await rm(pristine, { recursive: true, force: true })
  }
}

export const powerCut: Chaos = {
  name: "power-cut",
  says: "the power of all processes cut at once, on ext4 and XFS, a quarter while they start for the first time: 0 acknowledged lost, 0 stores that do not open",
  unit: "cuts",
  sizes: { brief: 4, ci: 20, long: 300 },
  unavailable: cutDiskUnavailable,
  async run({ count, seed, say }) {
    const totals = { messages: 0, lost: 0, otherFaults: 0 }
    let passed = true
    for (const [i, kind] of fileSystems.entries()) {
      const disk = await CutDisk.make(kind)
      try {
        const share = Math.ceil(count / fileSystems.length)
        const told = (line: string): void => say(`${kind}: ${line}`)
        const { messages, faults } = await runOn(disk, { count: share, seed: seed + i, say: told })
        const all = Object.values(faults).reduce((sum, found) => sum + found, 0)
        totals.messages += messages
        totals.lost += faults.lost
        totals.otherFaults += all - faults.lost
        passed &&= messages > 0 && isFaultless(faults)
      } finally {
        await disk.end()
      }
    }
    return { passed, figures: { cuts: count, ...totals } }
  },
}
