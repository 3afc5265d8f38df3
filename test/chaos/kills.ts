// kill -9 of random nodes and relays under traffic, of all at once, and processes that stand still.

import { isFaultless } from "../kit/judge.ts"
import { Lab } from "../kit/lab.ts"
import { type Prng, prng } from "../kit/mutate.ts"
import { judgeAll, sendAll } from "../kit/traffic.ts"
import { type Chaos, availableEverywhere } from "./chaos.ts"

const members = ["BR", "FR", "HQ", "JP"]
const victims = [...members, "hub1", "hub2"]
const messagesMin = 2_000
const messagesPerKill = 20

/** One fault; the number of processes that were killed. */
async function strike(lab: Lab, random: Prng): Promise<number> {
  const lot = random.below(20)
  const victim = random.pick(victims)
  if (lot === 0) {
    await Promise.all(victims.map((name) => lab.kill(name)))
    return victims.length
  }
  if (lot > 4) {
    await lab.kill(victim)
    return 1
  }
  // One stands still while another dies and comes back.
  const still = random.pick(victims.filter((name) => name !== victim))
  const goOn = lab.hold(still)
  await lab.kill(victim).finally(goOn)
  return 1
}

export const kills: Chaos = {
  name: "kills",
  says: "kill -9 of random nodes and relays under traffic, some held still, at times all at once: 0 lost, doubled, changed, reordered",
  unit: "kills",
  sizes: { brief: 60, ci: 100, long: 3_000 },
  unavailable: availableEverywhere,
  async run({ count, seed, say }) {
    const lab = await Lab.init("--members", "FR,JP,BR", "--relays", "2")
    try {
      await lab.up()
      const random = prng(seed)
      const sent = new AbortController()
      const killUntilSent = async (): Promise<number> => {
        let killed = 0
        for (let told = 0; !sent.signal.aborted || killed < count;) {
          killed += await strike(lab, random)
          if (killed - told < 50) continue
          told = killed
          say(`${killed} kills`)
        }
        return killed
      }
      const killing = killUntilSent()
      const messages = Math.max(messagesMin, count * messagesPerKill)
      const submitted = await sendAll(lab, { members, messages, seed }).finally(() => sent.abort())
      const killed = await killing
      const faults = await judgeAll(lab, members, submitted)
      const custody = submitted.filter(({ answered }) => answered === "custody").length
      const passed = killed >= count && submitted.length >= messages && isFaultless(faults)
      return {
        passed,
        figures: { kills: killed, messages: submitted.length, custody, ...faults },
      }
    } finally {
      await lab.end()
    }
  },
}
