// Traffic for system tests: members that send one message after another while processes die around them,
// and the history that the judge compares.

import { createHash } from "node:crypto"
import { setTimeout as pause } from "node:timers/promises"
import type { Json } from "./command.ts"
import {
  type Claim,
  type Fault,
  type Faults,
  type Shown,
  type Submitted,
  countFaults,
  findFaults,
} from "./judge.ts"
import { prng } from "./mutate.ts"
import type { NodeApi } from "./node-api.ts"

const lanes = ["routine", "priority", "immediate", "flash"] as const
const lookMs = 500
const arrivalLookMs = 50
const arrivalLooks = 2_400
const toldFaultsMax = 20

/** Sessions at the members' nodes, wherever these run. */
export type Desks = { readonly api: (member: string) => NodeApi }

export type TrafficPlan = {
  readonly members: readonly string[]
  /** Who sends; every member unless told. */
  readonly senders?: readonly string[]
  readonly messages: number
  readonly seed: number
  /** Tells the messages of several calls apart. */
  readonly round?: string
  /** No message is begun after this. */
  readonly until?: AbortSignal
}

export function digestOf(subject: string): string {
  return createHash("sha256").update(subject).digest("hex")
}

/** Every member sends its share, in order, each message once; resolves when all were answered. */
export async function sendAll(desks: Desks, plan: TrafficPlan): Promise<readonly Submitted[]> {
  const { senders = plan.members } = plan
  const each = Math.ceil(plan.messages / senders.length)
  const histories = await Promise.all(
    senders.map((member, i) => sendFrom(desks, plan, member, each, plan.seed + i)),
  )
  return histories.flat()
}

async function sendFrom(
  desks: Desks,
  plan: TrafficPlan,
  sender: string,
  count: number,
  seed: number,
): Promise<readonly Submitted[]> {
  const random = prng(seed)
  const api = desks.api(sender)
  const others = plan.members.filter((member) => member !== sender)
  const submitted: Submitted[] = []
  const { round = "" } = plan
  const isOver = (): boolean => plan.until?.aborted === true
  for (let n = 0; n < count && !isOver(); n++) {
    const to = others.filter(() => random.below(2) === 0)
    if (to.length === 0) to.push(random.pick(others))
    const lane = random.pick(lanes)
    const subject = `${sender} ${round} ${n}`
    // The key makes the repetition of an unanswered request harmless.
    const answer: Json = await api.call("POST", "/v1/messages", {
      type: "message",
      to,
      subject,
      text: `message ${n} of ${sender}`,
      precedence: lane,
      idempotencyKey: `${sender}-${round}-${n}`,
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

/** What has come into the members' inboxes, looked at again and again. */
export class Arrivals {
  readonly #desks: Desks
  readonly #last = new Map<string, string>()
  readonly #ids = new Map<string, Set<string>>()

  constructor(desks: Desks, members: readonly string[]) {
    this.#desks = desks
    for (const member of members) this.#ids.set(member, new Set())
  }

  /** Resolves once all of these have come, or nobody would wait any longer. */
  async all(submitted: readonly Submitted[]): Promise<void> {
    for (let looks = 0; looks < arrivalLooks; looks++) {
      await Promise.all([...this.#ids.keys()].map(async (member) => this.#look(member)))
      const isThere = submitted.every(({ id, to }) =>
        to.every((member) => this.#ids.get(member)?.has(id) === true),
      )
      if (isThere) return
      await pause(arrivalLookMs)
    }
  }

  async #look(member: string): Promise<void> {
    const last = this.#last.get(member)
    for (const message of await this.#desks.api(member).inbox(last)) {
      this.#ids.get(member)?.add(String(message["id"]))
      this.#last.set(member, String(message["id"]))
    }
  }
}

/** Waits until everything has arrived, or until nobody would wait any longer; then judges. */
export async function judgeAll(
  desks: Desks,
  members: readonly string[],
  submitted: readonly Submitted[],
  say: (line: string) => void = () => undefined,
): Promise<Faults> {
  const patience = 240
  let found = await look(desks, members, submitted)
  for (let looks = 0; found.length > 0 && looks < patience; looks++) {
    await pause(lookMs)
    found = await look(desks, members, submitted)
  }
  for (const { kind, about } of found.slice(0, toldFaultsMax)) say(`${kind} at ${about}`)
  return countFaults(found)
}

async function look(
  desks: Desks,
  members: readonly string[],
  submitted: readonly Submitted[],
): Promise<readonly Fault[]> {
  // What a sender was told must be true of what is looked at afterwards.
  const claims = await Promise.all(members.map((member) => claimsOf(desks, member)))
  const inboxes = await Promise.all(
    members.map(async (member) => {
      const messages = await desks.api(member).inbox()
      return [member, messages.map(shownOf)] as const
    }),
  )
  return findFaults(submitted, new Map(inboxes), claims.flat())
}

const steps = ["delivered", "opened", "in-charge", "refused", "answered"]

/** Of the newest 1,000 messages: more than one page the outbox does not show. */
async function claimsOf(desks: Desks, sender: string): Promise<readonly Claim[]> {
  const page = await desks.api(sender).call("GET", "/v1/outbox?limit=1000")
  return (page["messages"] as readonly Json[]).flatMap((message) =>
    (message["recipients"] as readonly Json[]).map(({ step, member }) => ({
      sender,
      id: String(message["id"]),
      member: String(member),
      isTold: steps.includes(String(step)),
    })),
  )
}

function shownOf(message: Json): Shown {
  const channel = message["channel"] as Json
  return {
    id: String(message["id"]),
    from: String(message["from"]),
    lane: String(message["precedence"]),
    incarnation: Number(channel["incarnation"]),
    seq: Number(channel["seq"]),
    digest: digestOf(String(message["subject"])),
  }
}
