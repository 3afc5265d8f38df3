// Seeded mutation: hostile inputs that a single integer brings back.

import { concat } from "../../protocol/bytes.ts"

/** Deterministic numbers from a seed (mulberry32); the same seed gives the same run on any machine. */
export type Prng = {
  /** 0 … 2³²−1. */
  readonly u32: () => number
  /** 0 … limit − 1. */
  readonly below: (limit: number) => number
  readonly bytes: (length: number) => Uint8Array
  readonly pick: <T>(items: readonly T[]) => T
}

export function prng(seed: number): Prng {
  let state = seed | 0
  const u32 = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
  const below = (limit: number): number => Math.floor((u32() / 2 ** 32) * limit)
  const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, () => below(256))
  const pick = <T>(items: readonly T[]): T => {
    const item = items[below(items.length)]
    if (item === undefined) throw new RangeError("nothing to pick from")
    return item
  }
  return { u32, below, bytes, pick }
}

const telling = [0x00, 0x01, 0x0a, 0x20, 0x2b, 0x2d, 0x30, 0x3d, 0x7f, 0x80, 0xc0, 0xdc, 0xff]

/** One to four changes to a copy of `input`; now and then bytes that have nothing to do with it. */
export function mutate(random: Prng, input: Uint8Array): Uint8Array {
  if (random.below(100) === 0) return random.bytes(random.below(64))
  let bytes: Uint8Array = Uint8Array.from(input)
  for (let changes = 1 + random.below(4); changes > 0; changes--) bytes = mutateOnce(random, bytes)
  return bytes
}

function mutateOnce(random: Prng, bytes: Uint8Array): Uint8Array {
  const at = random.below(bytes.length + 1)
  const length = 1 + random.below(random.below(4) === 0 ? 64 : 4)
  const byte = bytes[at] ?? 0
  const before = bytes.subarray(0, at)
  const after = bytes.subarray(at)
  switch (random.below(7)) {
    case 0:
      return replaced(bytes, at, byte ^ (1 << random.below(8)))
    case 1:
      return replaced(bytes, at, random.pick(telling))
    case 2:
      return replaced(bytes, at, byte + random.pick([-1, 1]))
    case 3: // cut out
      return concat(before, after.subarray(length))
    case 4: // put in
      return concat(
        before,
        random.below(2) === 0 ? random.bytes(length) : run(random, length),
        after,
      )
    case 5: // say twice
      return concat(before, after.subarray(0, length), after)
    default: // cut off
      return before
  }
}

function replaced(bytes: Uint8Array, at: number, byte: number): Uint8Array {
  const copy = bytes.slice()
  if (at < copy.length) copy[at] = byte & 0xff
  return copy
}

function run(random: Prng, length: number): Uint8Array {
  return new Uint8Array(length).fill(random.pick(telling))
}
