// The oracle of system tests: it compares what was submitted with what was shown, and counts every way
// in which a messaging system can break its word. A message is (sender, id): sealing again is no duplicate.

export type Submitted = {
  readonly sender: string
  readonly id: string
  readonly to: readonly string[]
  readonly lane: string
  readonly digest: string
  /** `unknown`: the answer never came, so the message may be there or not, once. */
  readonly answered: "custody" | "queued" | "unknown"
}

export type Shown = {
  readonly id: string
  readonly from: string
  readonly lane: string
  readonly seq: number
  readonly digest: string
}

export type Faults = {
  readonly lost: number
  readonly doubled: number
  readonly changed: number
  readonly misdelivered: number
  readonly invented: number
  readonly reordered: number
}

export const noFaults: Faults = {
  lost: 0,
  doubled: 0,
  changed: 0,
  misdelivered: 0,
  invented: 0,
  reordered: 0,
}

/** `shown`: each member's inbox, oldest first. `submitted`: in each sender's order. */
export function judge(
  submitted: readonly Submitted[],
  shown: ReadonlyMap<string, readonly Shown[]>,
): Faults {
  const known = new Map(
    submitted.map((item, order) => [keyOf(item.sender, item.id), { item, order }]),
  )
  const faults = { ...noFaults }
  const arrived = new Set<string>()
  for (const [member, inbox] of shown) {
    const last = new Map<string, { readonly seq: number; readonly order: number }>()
    for (const message of inbox) {
      const key = keyOf(message.from, message.id)
      const found = known.get(key)
      if (found === undefined) {
        faults.invented += 1
        continue
      }
      const { item, order } = found
      if (!item.to.includes(member)) faults.misdelivered += 1
      if (item.digest !== message.digest || item.lane !== message.lane) faults.changed += 1
      const place = `${member} ${key}`
      if (arrived.has(place)) faults.doubled += 1
      arrived.add(place)
      const channel = `${message.from} ${message.lane}`
      const before = last.get(channel)
      if (before !== undefined && (message.seq <= before.seq || order < before.order))
        faults.reordered += 1
      last.set(channel, { seq: message.seq, order })
    }
  }
  for (const item of submitted)
    if (item.answered !== "unknown")
      for (const member of item.to)
        if (!arrived.has(`${member} ${keyOf(item.sender, item.id)}`)) faults.lost += 1
  return faults
}

function keyOf(sender: string, id: string): string {
  return `${sender}/${id}`
}
