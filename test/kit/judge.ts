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
  /** It came after its lane's deadline, and is marked so. */
  readonly isLate?: boolean
}

/** What a sender says of a recipient: whether it was told that `member` has the message. */
export type Claim = {
  readonly sender: string
  readonly id: string
  readonly member: string
  readonly isTold: boolean
}

export const noFaults = {
  lost: 0,
  doubled: 0,
  changed: 0,
  misdelivered: 0,
  invented: 0,
  reordered: 0,
  /** Refused to its sender, and shown all the same. */
  refusedButShown: 0,
  /** Numbers of a channel below its newest that nothing was shown for. */
  unsettled: 0,
  /** A receipt for what is not there. */
  falselyReceipted: 0,
  /** Shown, and its sender does not know. */
  untold: 0,
}

export type Faults = Readonly<typeof noFaults>

export function isFaultless(faults: Faults): boolean {
  return Object.values(faults).every((count) => count === 0)
}

/** One breach of the word, with the words by which a log can be searched. */
export type Fault = { readonly kind: keyof Faults; readonly about: string }

/** `shown`: each member's inbox, oldest first. `submitted`: in each sender's order. */
export function judge(
  submitted: readonly Submitted[],
  shown: ReadonlyMap<string, readonly Shown[]>,
  claims: readonly Claim[] = [],
): Faults {
  return countFaults(findFaults(submitted, shown, claims))
}

export function countFaults(found: readonly Fault[]): Faults {
  const faults = { ...noFaults }
  for (const { kind } of found) faults[kind] += 1
  return faults
}

/** As `judge`, each fault by itself. */
export function findFaults(
  submitted: readonly Submitted[],
  shown: ReadonlyMap<string, readonly Shown[]>,
  claims: readonly Claim[] = [],
): readonly Fault[] {
  const accepted = submitted.filter(({ answered }) => answered !== "refused")
  const known = new Map(
    accepted.map((item, order) => [keyOf(item.sender, item.id), { item, order }]),
  )
  const refused = new Set(
    submitted
      .filter(({ answered }) => answered === "refused")
      .map(({ sender, digest }) => keyOf(sender, digest)),
  )
  const found: Fault[] = []
  const arrived = new Set<string>()
  for (const [member, inbox] of shown) {
    const last = new Map<string, { readonly seq: number; readonly order: number }>()
    const numbers = new Map<string, Set<number>>()
    for (const message of inbox) {
      const key = keyOf(message.from, message.id)
      const channel = `${message.from} ${message.incarnation ?? 1} ${message.lane}`
      const note = (kind: keyof Faults): void => {
        found.push({ kind, about: `${member}: ${channel} ${message.seq} ${message.id}` })
      }
      numbers.set(channel, (numbers.get(channel) ?? new Set()).add(message.seq))
      const sent = known.get(key)
      if (sent === undefined) {
        note(refused.has(keyOf(message.from, message.digest)) ? "refusedButShown" : "invented")
        continue
      }
      const { item, order } = sent
      if (!item.to.includes(member)) note("misdelivered")
      if (item.digest !== message.digest || item.lane !== message.lane) note("changed")
      const place = `${member} ${key}`
      if (arrived.has(place)) note("doubled")
      arrived.add(place)
      // Later numbers were shown at the deadline, and its reader sees that it is late.
      if (message.isLate === true) continue
      const before = last.get(channel)
      if (before !== undefined && (message.seq <= before.seq || order < before.order))
        note("reordered")
      last.set(channel, { seq: message.seq, order })
    }
    for (const [channel, seen] of numbers)
      for (let seq = 1; seq < Math.max(...seen); seq++)
        if (!seen.has(seq)) found.push({ kind: "unsettled", about: `${member}: ${channel} ${seq}` })
  }
  for (const item of accepted)
    if (item.answered !== "unknown")
      for (const member of item.to)
        if (!arrived.has(`${member} ${keyOf(item.sender, item.id)}`))
          found.push({ kind: "lost", about: `${member}: ${item.sender} ${item.lane} ${item.id}` })
  for (const { sender, id, member, isTold } of claims) {
    const isThere = arrived.has(`${member} ${keyOf(sender, id)}`)
    const about = `${member}: ${sender} ${id}`
    if (isTold && !isThere) found.push({ kind: "falselyReceipted", about })
    if (!isTold && isThere) found.push({ kind: "untold", about })
  }
  return found
}

function keyOf(sender: string, id: string): string {
  return `${sender}/${id}`
}
