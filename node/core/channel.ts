// Channels: one counter per sender, incarnation, recipient and precedence lane, so that a recipient sees
// at once that something is missing, and a flash never waits for a routine message.
// docs/PROTOCOL.md, "Channels".

import { equalBytes } from "../../protocol/bytes.ts"
import { zeroHash } from "../../protocol/chain.ts"
import { type Infer, bytes, list, nullable, record, uint } from "../../protocol/codec.ts"
import type { Lane } from "../../protocol/envelope.ts"

const u32 = uint(0xffff_ffff)

export function channelKey(member: string, incarnation: number, lane: Lane): string {
  return `${member}/${incarnation}/${lane}`
}

// ---- The sender's side

export const channelOut = record({ seq: u32, id: bytes(32) })
/** The last number given and the message that has it. */
export type ChannelOut = Infer<typeof channelOut>

/** The place of the next message. */
export function nextPlace(last: ChannelOut | undefined): {
  readonly channelSeq: number
  readonly channelPrev: Uint8Array
} {
  return { channelSeq: (last?.seq ?? 0) + 1, channelPrev: last?.id ?? zeroHash }
}

// ---- The recipient's side

const span = record({ first: u32, last: u32 })
/** Numbers first … last. */
export type Span = Infer<typeof span>
/** Gaps that are remembered; of more the oldest go, and what comes for them is refused. */
const missingMax = 1_024

export const channelIn = record({
  last: u32,
  /** Nil after numbers were passed over: then the next one's `prev` cannot be compared. */
  lastId: nullable(bytes(32)),
  /** Passed over at the deadline; their messages are still taken when they come. */
  missing: list(span, 0, missingMax),
})
export type ChannelIn = Infer<typeof channelIn>

export const newChannel: ChannelIn = { last: 0, lastId: zeroHash, missing: [] }

export type Place = { readonly channelSeq: number; readonly channelPrev: Uint8Array }

export type ChannelVerdict =
  | { readonly kind: "next" }
  /** It had been given up, and comes after all. */
  | { readonly kind: "late" }
  /** Earlier numbers are missing: first … last. */
  | { readonly kind: "hold"; readonly first: number; readonly last: number }
  /** Two messages claim one place. */
  | { readonly kind: "fork" }

/** For a message that was never taken in before. */
export function judgePlace(channel: ChannelIn, place: Place): ChannelVerdict {
  const { channelSeq, channelPrev } = place
  if (channelSeq > channel.last + 1)
    return { kind: "hold", first: channel.last + 1, last: channelSeq - 1 }
  if (channelSeq === channel.last + 1) {
    const fits = channel.lastId === null || equalBytes(channelPrev, channel.lastId)
    return { kind: fits ? "next" : "fork" }
  }
  const wasMissing = channel.missing.some(
    ({ first, last }) => first <= channelSeq && channelSeq <= last,
  )
  return { kind: wasMissing ? "late" : "fork" }
}

/** The channel after a message at `place` was settled: taken in or refused. */
export function settled(channel: ChannelIn, place: Place, id: Uint8Array): ChannelIn {
  const { channelSeq } = place
  if (channelSeq === channel.last + 1) return { ...channel, last: channelSeq, lastId: id }
  const missing = channel.missing.flatMap((one) => without(one, channelSeq))
  return { ...channel, missing: missing.slice(-missingMax) }
}

function withoutAll(spans: readonly Span[], numbers: readonly number[]): readonly Span[] {
  return numbers.reduce((left, seq) => left.flatMap((one) => without(one, seq)), spans)
}

function without(one: Span, seq: number): readonly Span[] {
  if (seq < one.first || one.last < seq) return [one]
  const parts = [
    { first: one.first, last: seq - 1 },
    { first: seq + 1, last: one.last },
  ]
  return parts.filter(({ first, last }) => first <= last)
}

/** The channel after everything before `seq` was given up, but for the numbers that are `buried`. */
export function passedOver(
  channel: ChannelIn,
  seq: number,
  buried: readonly number[] = [],
): ChannelIn {
  const gap = { first: channel.last + 1, last: seq - 1 }
  const missing = [...channel.missing, ...withoutAll([gap], buried)].slice(-missingMax)
  return { last: seq - 1, lastId: null, missing }
}

/** Whether it has as many gaps as are remembered: with one more the oldest goes. */
export function hasMostGaps({ missing }: ChannelIn): boolean {
  return missing.length >= missingMax
}

/** Whether what comes next is shown without the message before it. */
export function isAfterGap({ lastId, missing }: ChannelIn): boolean {
  return lastId === null && missing.length > 0
}

/**
 * The numbers that are neither settled nor here. `held`: messages that are here; `buried`: numbers ahead
 * whose tombstone is here.
 */
export function openSpans(
  channel: ChannelIn,
  held: readonly number[],
  buried: readonly number[],
): readonly Span[] {
  const spans = [...withoutAll(channel.missing, held)]
  let next = channel.last + 1
  for (const seq of [...held, ...buried].toSorted((a, b) => a - b)) {
    if (seq > next) spans.push({ first: next, last: seq - 1 })
    next = Math.max(next, seq + 1)
  }
  return spans
}
