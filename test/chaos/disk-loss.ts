// The whole disk of a relay is lost under traffic, again and again; it comes back with new logs, as
// docs/operator.md says, and the ends fill it again.

import { rm } from "node:fs/promises"
import { join } from "node:path"
import { chappe, chappeJson } from "../kit/command.ts"
import { type Submitted, isFaultless } from "../kit/judge.ts"
import { prng } from "../kit/mutate.ts"
import { ProcessLab } from "../kit/process-lab.ts"
import { Arrivals, judgeAll, sendAll } from "../kit/traffic.ts"
import { type Chaos, availableEverywhere } from "./chaos.ts"

const messagesPerLoss = 120
/** Whose mail is in custody, and nowhere else, when the disk goes. */
const away = "JP"

async function loseDisk(lab: ProcessLab, relay: string): Promise<void> {
  const dir = lab.dirOf(relay)
  await lab.stop(relay)
  for (const lost of ["data", "log"]) await rm(join(dir, lost), { recursive: true })
  const root = join(lab.dir, "roots", `${relay}.key`)
  await chappeJson(["relay", "new-logs", "--dir", dir, "--root", root])
  await lab.start(relay)
}

/** Everybody has a key to seal with for who will be away: else mail for it waits unsealed. */
async function reach(lab: ProcessLab, senders: readonly string[]): Promise<readonly Submitted[]> {
  const sent = await Promise.all(
    senders.map((sender) =>
      sendAll(lab, {
        members: [sender, away],
        senders: [sender],
        messages: 1,
        seed: 0,
        round: "reach",
      }),
    ),
  )
  await new Arrivals(lab, [away]).all(sent.flat())
  return sent.flat()
}

/** Whether an auditor finds the new logs to be what they say. */
async function isAudited(lab: ProcessLab, relay: string): Promise<boolean> {
  const log = join(lab.dirOf(relay), "log")
  const trust = join(lab.dir, "trust.json")
  const { code } = await chappe(["audit", "verify", log, "--trust", trust, "--json"])
  return code === 0
}

export const diskLoss: Chaos = {
  name: "disk-loss",
  says: "total loss of a relay's disk under traffic, while a member is away: 0 lost",
  unit: "losses",
  sizes: { brief: 1, ci: 4, long: 30 },
  unavailable: availableEverywhere,
  async run({ count, seed, say }) {
    const lab = await ProcessLab.init("--members", "FR,JP,BR", "--relays", "2")
    try {
      await lab.startAll()
      const random = prng(seed)
      const { members, relays } = lab
      const senders = members.filter((member) => member !== away)
      const submitted: Submitted[] = [...(await reach(lab, senders))]
      let badAudits = 0
      for (let i = 0; i < count; i++) {
        const relay = random.pick(relays)
        await lab.stop(away)
        const plan = { members, senders, seed: seed + i, messages: messagesPerLoss }
        submitted.push(...(await sendAll(lab, { ...plan, round: `${i} before` })))
        const traffic = sendAll(lab, { ...plan, round: `${i} under` })
        await loseDisk(lab, relay)
        submitted.push(...(await traffic))
        await lab.start(away)
        const faults = await judgeAll(lab, members, submitted)
        if (!(await isAudited(lab, relay))) badAudits += 1
        say(`${relay} lost its disk: ${faults.lost} lost of ${submitted.length} messages`)
      }
      const faults = await judgeAll(lab, members, submitted)
      const custody = submitted.filter(({ answered }) => answered === "custody").length
      return {
        passed: isFaultless(faults) && badAudits === 0,
        figures: {
          losses: count,
          messages: submitted.length,
          custody,
          bad_audits: badAudits,
          ...faults,
        },
      }
    } finally {
      await lab.end()
    }
  },
}
