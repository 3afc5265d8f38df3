// kill -9 of random nodes and relays under traffic.

import { noFaults } from "../kit/judge.ts"
import { Lab } from "../kit/lab.ts"
import { prng } from "../kit/mutate.ts"
import { judgeAll, sendAll } from "../kit/traffic.ts"
import { type Chaos, availableEverywhere } from "./chaos.ts"

const members = ["BR", "FR", "HQ", "JP"]
const messagesPerKill = 20

export const kills: Chaos = {
  name: "kills",
  says: "kill -9 of random nodes and relays under traffic: 0 lost, doubled, changed, reordered",
  unit: "kills",
  sizes: { brief: 25, ci: 100, long: 3_000 },
  unavailable: availableEverywhere,
  async run({ count, seed, say }) {
    const lab = await Lab.init("--members", "FR,JP,BR", "--relays", "2")
    try {
      await lab.up()
      const random = prng(seed)
      const victims = [...members, "hub1", "hub2"]
      const sent = new AbortController()
      const killUntilSent = async (): Promise<number> => {
        let killed = 0
        for (; !sent.signal.aborted || killed < count; killed++) {
          await lab.kill(random.pick(victims))
          if (killed % 50 === 49) say(`${killed + 1} kills`)
        }
        return killed
      }
      const killing = killUntilSent()
      const messages = count * messagesPerKill
      const submitted = await sendAll(lab, { members, messages, seed }).finally(() => sent.abort())
      const killed = await killing
      const faults = await judgeAll(lab, members, submitted)
      const custody = submitted.filter(({ answered }) => answered === "custody").length
      const passed =
        killed >= count &&
        submitted.length >= messages &&
        JSON.stringify(faults) === JSON.stringify(noFaults)
      return {
        passed,
        figures: { kills: killed, messages: submitted.length, custody, ...faults },
      }
    } finally {
      await lab.end()
    }
  },
}
