// Acknowledged means kept, once, unchanged, in order: under kill -9 of random nodes and relays.

import t from "tap"
import { Lab } from "../kit/lab.ts"
import { noFaults } from "../kit/judge.ts"
import { prng } from "../kit/mutate.ts"
import { judgeAll, sendAll } from "../kit/traffic.ts"

const messages = Number(process.env["KILL_MESSAGES"] ?? 2_000)
const killsLeast = Number(process.env["KILLS"] ?? 60)
const seed = Number(process.env["SEED"] ?? 7)
const members = ["BR", "FR", "HQ", "JP"]

/** Kills at least `killsLeast` times, and on until `done`. */
async function killUntil(done: AbortSignal, kill: () => Promise<void>): Promise<number> {
  let kills = 0
  for (; !done.aborted || kills < killsLeast; kills++) await kill()
  return kills
}

t.setTimeout(0)
const lab = await Lab.init("--members", "FR,JP,BR", "--relays", "2")
await lab.up()
t.teardown(() => lab.end())

await t.test(
  `${messages} messages among ${members.length} members, ${killsLeast} kills or more`,
  { timeout: 0 },
  async (t) => {
    const random = prng(seed)
    const victims = [...members, "hub1", "hub2"]
    const sent = new AbortController()
    const killing = killUntil(sent.signal, () => lab.kill(random.pick(victims)))
    const submitted = await sendAll(lab, { members, messages, seed }).finally(() => sent.abort())
    const kills = await killing
    const faults = await judgeAll(lab, members, submitted)
    t.ok(submitted.length >= messages, `${submitted.length} messages were answered`)
    t.ok(kills >= killsLeast, `${kills} kills`)
    t.same(faults, noFaults, "nothing lost, doubled, changed, misdelivered, invented or reordered")
    t.comment(`custody ${submitted.filter(({ answered }) => answered === "custody").length}`)
  },
)
