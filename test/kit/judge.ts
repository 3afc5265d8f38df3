// The oracle of system tests: it compares what was submitted with what was shown and what senders were told,
// and counts every way in which a messaging system can break its word. A message is (sender, id): sealing
// again is no duplicate.

export type Submitted = {
  readonly sender: string
  /** Empty for what was refused. */
  readonly id: string
  readonly to: readonly string[]
  readonly lane: string
  readonly digest: string
  /** `unknown`: the answer never came, so the message may be there or not, once. */
  readonly answered: "custody" | "queued" | "refused" | "unknown"
}

export type Shown = {
  readonly id: string
  readonly from: string
  readonly lane: string
  /** Of its sender's node; 1 where nothing is said. */
  readonly incarnation?: number
  readonly seq: number
  readonly digest: string
}

/** A sender was told that `member` has the message. */
export type Claim = { readonly sender: string; readonly id: string; readonly member: string }

export type Faults = {
  readonly lost: number
  readonly doubled: number
  readonly changed: number
  readonly misdelivered: number
  readonly invented: number
  readonly reordered: number
  /** Refused to its sender, and shown all the same. */
  readonly refusedButShown: number
  /** Numbers of a channel below its newest that nothing was shown for. */
  readonly unsettled: number
  /** A receipt for what is not there. */
  readonly falselyReceipted: number
}

export const noFaults: Faults = {
  lost: 0,
  doubled: 0,
  changed: 0,
  misdelivered: 0,
  invented: 0,
  reordered: 0,
  refusedButShown: 0,
  unsettled: 0,
  falselyReceipted: 0,
}

export function isFaultless(faults: Faults): boolean {
  return Object.values(faults).every((count) => count === 0)
}

/** `shown`: each member's inbox, oldest first. `submitted`: in each sender's order. */
export function judge(
  submitted: readonly Submitted[],
  shown: ReadonlyMap<string, readonly Shown[]>,
  claims: readonly Claim[] = [],
): Faults {
  const accepted = submitted.filter(({ answered }) => answered !== "refused")
  const known = new Map(
    accepted.map((item, order) => [keyOf(item.sender, item.id), { item, order }]),
  )
  const refused = new Set(
    submitted
      .filter(({ answered }) => answered === "refused")
      .map(({ sender, digest }) => keyOf(sender, digest)),
  )
  const faults = { ...noFaults }
  const arrived = new Set<string>()
  for (const [member, inbox] of shown) {
    const last = new Map<string, { readonly seq: number; readonly order: number }>()
    const numbers = new Map<string, Set<number>>()
    for (const message of inbox) {
      const key = keyOf(message.from, message.id)
      const channel = `${message.from} ${message.incarnation ?? 1} ${message.lane}`
      numbers.set(channel, (numbers.get(channel) ?? new Set()).add(message.seq))
      const found = known.get(key)
      if (found === undefined) {
        if (refused.has(keyOf(message.from, message.digest))) faults.refusedButShown += 1
        else faults.invented += 1
        continue
      }
      const { item, order } = found
      if (!item.to.includes(member)) faults.misdelivered += 1
      if (item.digest !== message.digest || item.lane !== message.lane) faults.changed += 1
      const place = `${member} ${key}`
      if (arrived.has(place)) faults.doubled += 1
      arrived.add(place)
      const before = last.get(channel)
      if (before !== undefined && (message.seq <= before.seq || order < before.order))
        faults.reordered += 1
      last.set(channel, { seq: message.seq, order })
    }
    for (const seen of numbers.values())
      for (let seq = 1; seq < Math.max(...seen); seq++) if (!seen.has(seq)) faults.unsettled += 1
  }
  for (const item of accepted)
    if (item.answered !== "unknown")
      for (const member of item.to)
        if (!arrived.has(`${member} ${keyOf(item.sender, item.id)}`)) faults.lost += 1
  for (const { sender, id, member } of claims)
    if (!arrived.has(`${member} ${keyOf(sender, id)}`)) faults.falselyReceipted += 1
  return faults
}

function keyOf(sender: string, id: string): string {
  return `${sender}/${id}`
}
