// A disk that fails: EIO or ENOSPC at each of a process's sync and write calls in turn, put in by strace. The
// process says so and ends; started again without the fault, everything acknowledged is there.

import { execFile, spawn } from "node:child_process"
import { join } from "node:path"
import { promisify } from "node:util"
import { program } from "../kit/command.ts"
import { isFaultless } from "../kit/judge.ts"
import { Lab } from "../kit/lab.ts"
import { prng } from "../kit/mutate.ts"
import { type End, OneProcess } from "../kit/process.ts"
import { judgeAll, sendAll } from "../kit/traffic.ts"
import type { Chaos } from "./chaos.ts"

const members = ["FR", "JP"]
// What comes often, often; write() is also how threads wake each other, so only the database's log counts.
const calls = ["fdatasync", "fdatasync", "write", "write", "pwrite64", "fsync"] as const
const errors = ["EIO", "ENOSPC"] as const
const callsMost = 200
const messagesMin = 6
const callsPerMessage = 2 // at least: later calls need more traffic
const logNumbers = 1_000 // a database takes three at each start
const named = ["storage", "disk-full"]

type Victim = { readonly role: "relay" | "node"; readonly dir: string }

async function unavailable(): Promise<string | undefined> {
  try {
    // Whether processes may be traced here shows only when one is.
    await promisify(execFile)("strace", ["-f", "-qq", "-o", "/dev/null", "true"])
    return undefined
  } catch {
    return "needs the package strace, and leave to trace processes"
  }
}

/** The tracer's words for a database's logs, whatever number the next one has. */
function logsIn(records: string): readonly string[] {
  return Array.from({ length: logNumbers }, (_, n) => [
    "-P",
    join(records, `${String(n).padStart(6, "0")}.log`),
  ]).flat()
}

/** `when` counts the calls of each thread: so one thread does all of the disk's work. */
function startTraced({ role, dir }: Victim, call: string, fault: string): OneProcess {
  const words = [role, "start", "--dir", dir, "--json", "--with-parent"]
  const paths = call === "write" ? logsIn(join(dir, "data", "records")) : []
  const inject = [...paths, "-e", `trace=${call}`, "-e", `inject=${call}:${fault}`]
  const child = spawn("strace", ["-f", "-qq", "-o", "/dev/null", ...inject, ...program, ...words], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, UV_THREADPOOL_SIZE: "1" },
  })
  return new OneProcess(role, dir, child)
}

/** A fault that came must be told; one that did not come by the end of the trial is none. */
function isTold({ error, signal }: End): boolean {
  return signal === null && error !== undefined && named.includes(error)
}

export const storageErrors: Chaos = {
  name: "storage-errors",
  says: "EIO or ENOSPC at one of the first 200 sync and write calls of a node or relay: it says so and ends, 0 acknowledged lost",
  unit: "trials",
  sizes: { brief: 2, ci: 200, long: 1_200 },
  unavailable,
  async run({ count, seed, say }) {
    const random = prng(seed)
    const lab = await Lab.init("--members", members.join(","), "--relays", "1")
    const hub: Victim = { role: "relay", dir: lab.relayDir("hub1") }
    const fr: Victim = { role: "node", dir: lab.nodeDir("FR") }
    const running = new Map<Victim, OneProcess>()
    const totals = { told: 0, unreached: 0, untold: 0 }
    try {
      // The first start of all makes everybody known.
      await lab.up()
      await lab.stop()
      const jp = new OneProcess("node", lab.nodeDir("JP"))
      running.set({ role: "node", dir: lab.nodeDir("JP") }, jp)
      const submitted = []
      for (let trial = 0; trial < count; trial++) {
        const [victim, other] = trial % 2 === 0 ? [hub, fr] : [fr, hub]
        if (!running.has(other)) running.set(other, new OneProcess(other.role, other.dir))
        await running.get(victim)?.stop()
        const call = random.pick(calls)
        const k = 1 + Math.floor((trial * callsMost) / count)
        const fault = `error=${random.pick(errors)}:when=${k}`
        const traced = startTraced(victim, call, fault)
        running.set(victim, traced)
        const over = new AbortController()
        const sending = sendAll(lab, {
          members,
          messages: messagesMin + Math.ceil(k / callsPerMessage),
          seed: seed + trial,
          round: String(trial),
          until: over.signal,
        })
        const end = await Promise.race([traced.ended, sending.then(() => undefined)])
        say(`${victim.role} ${call} ${fault}: ${end?.error ?? "not reached"}`)
        if (end === undefined) {
          totals.unreached += 1
          // A fault that is still to come would belong to another trial.
          await traced.stop()
        } else {
          totals[isTold(end) ? "told" : "untold"] += 1
          if (!isTold(end)) say(JSON.stringify(end))
        }
        // What a supervisor does.
        running.set(victim, new OneProcess(victim.role, victim.dir))
        submitted.push(...(await sending))
        over.abort()
      }
      const faults = await judgeAll(lab, members, submitted)
      return {
        passed: totals.untold === 0 && totals.told > 0 && isFaultless(faults),
        figures: { trials: count, ...totals, messages: submitted.length, lost: faults.lost },
      }
    } finally {
      await Promise.all([...running.values()].map(async (one) => one.stop()))
      await lab.end()
    }
  },
}
