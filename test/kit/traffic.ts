// Traffic for system tests: members that send one message after another while processes die around them,
// and the history that the judge compares.

import { createHash } from "node:crypto"
import { setTimeout as pause } from "node:timers/promises"
import type { Json } from "./command.ts"
import { type Faults, type Shown, type Submitted, judge } from "./judge.ts"
import type { Lab } from "./lab.ts"
import { prng } from "./mutate.ts"

const lanes = ["routine", "priority", "immediate", "flash"] as const
const lookMs = 500

export type TrafficPlan = {
  readonly members: readonly string[]
  readonly messages: number
  readonly seed: number
}

export function digestOf(subject: string): string {
  return createHash("sha256").update(subject).digest("hex")
}

/** Every member sends its share, in order, each message once; resolves when all were answered. */
export async function sendAll(lab: Lab, plan: TrafficPlan): Promise<readonly Submitted[]> {
  const each = Math.ceil(plan.messages / plan.members.length)
  const histories = await Promise.all(
    plan.members.map((member, i) => sendFrom(lab, plan, member, each, plan.seed + i)),
  )
  return histories.flat()
}

async function sendFrom(
  lab: Lab,
  plan: TrafficPlan,
  sender: string,
  count: number,
  seed: number,
): Promise<readonly Submitted[]> {
  const random = prng(seed)
  const api = lab.api(sender)
  const others = plan.members.filter((member) => member !== sender)
  const submitted: Submitted[] = []
  for (let n = 0; n < count; n++) {
    const to = others.filter(() => random.below(2) === 0)
    if (to.length === 0) to.push(random.pick(others))
    const lane = random.pick(lanes)
    const subject = `${sender} ${n}`
    // The key makes the repetition of an unanswered request harmless.
    const answer: Json = await api.call("POST", "/v1/messages", {
      type: "message",
      to,
      subject,
      text: `message ${n} of ${sender}`,
      precedence: lane,
      idempotencyKey: `${sender}-${n}`,
    })
    submitted.push({
      sender,
      id: String(answer["id"]),
      to,
      lane,
      digest: digestOf(subject),
      answered: answer["state"] === "custody" ? "custody" : "queued",
    })
  }
  return submitted
}

/** Waits until everything has arrived, or until nothing changes any more; then judges. */
export async function judgeAll(
  lab: Lab,
  members: readonly string[],
  submitted: readonly Submitted[],
): Promise<Faults> {
  const patience = 240
  let faults = judge(submitted, await inboxes(lab, members))
  for (let looks = 0; faults.lost > 0 && looks < patience; looks++) {
    await pause(lookMs)
    faults = judge(submitted, await inboxes(lab, members))
  }
  return faults
}

async function inboxes(
  lab: Lab,
  members: readonly string[],
): Promise<ReadonlyMap<string, readonly Shown[]>> {
  const all = await Promise.all(
    members.map(async (member) => {
      const messages = await lab.api(member).inbox()
      return [member, messages.map(shownOf)] as const
    }),
  )
  return new Map(all)
}

function shownOf(message: Json): Shown {
  const channel = message["channel"] as Json
  return {
    id: String(message["id"]),
    from: String(message["from"]),
    lane: String(message["precedence"]),
    seq: Number(channel["seq"]),
    digest: digestOf(String(message["subject"])),
  }
}
