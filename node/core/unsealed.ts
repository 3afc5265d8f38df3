// Copies that no envelope carries yet. Those of one channel, to one recipient on one lane, stand in line: a
// number is given when a copy is sealed, so a later message must not be sealed before an earlier one that
// waits for a key.

import type { Lane } from "../../protocol/envelope.ts"
import { isSettled } from "./ladder.ts"
import type { OutboxItem, RecipientState } from "./outbox-records.ts"

export function isUnsealed(state: RecipientState): boolean {
  return state.messageId === null && !isSettled(state.rung)
}

export class Unsealed {
  readonly #channels = new Map<number, readonly string[]>()
  /** Numbers of messages, rising. */
  readonly #lines = new Map<string, number[]>()

  get size(): number {
    return this.#channels.size
  }

  /** The messages' numbers, the oldest first. */
  numbers(): readonly number[] {
    return [...this.#channels.keys()].toSorted((a, b) => a - b)
  }

  /** Takes the message as it is now. Returns which messages come next in the lines that it has left. */
  update({ number, lane, recipients }: OutboxItem): readonly number[] {
    const before = this.#channels.get(number) ?? []
    const now = recipients.filter(isUnsealed).map(({ member }) => channelOf(member, lane))
    if (now.length === 0) this.#channels.delete(number)
    else this.#channels.set(number, now)
    for (const channel of now) if (!before.includes(channel)) this.#join(channel, number)
    const left = before.filter((channel) => !now.includes(channel))
    return [...new Set(left.flatMap((channel) => this.#leave(channel, number)))]
  }

  /** Whether no earlier message waits for this recipient on this lane. */
  isNext({ number, lane }: OutboxItem, member: string): boolean {
    const [first = number] = this.#lines.get(channelOf(member, lane)) ?? []
    return first >= number
  }

  #join(channel: string, number: number): void {
    const line = this.#lines.get(channel) ?? []
    this.#lines.set(channel, line)
    // Mostly at the end: only what is sealed anew comes back to the front.
    let at = line.length
    while (at > 0 && (line[at - 1] ?? 0) > number) at -= 1
    line.splice(at, 0, number)
  }

  #leave(channel: string, number: number): readonly number[] {
    const line = this.#lines.get(channel) ?? []
    line.splice(line.indexOf(number), 1)
    if (line.length === 0) this.#lines.delete(channel)
    return line.slice(0, 1)
  }
}

function channelOf(member: string, lane: Lane): string {
  return `${member} ${lane}`
}
