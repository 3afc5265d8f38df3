// Hostile bytes for a decoder: only errors of the closed table come out, and no value has two spellings.

import { equalBytes, toHex } from "../../protocol/bytes.ts"
import { type Value, decode, encode, value } from "../../protocol/codec.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { limits } from "../../protocol/limits.ts"
import { scan } from "../../protocol/scanner.ts"
import type { Decoder } from "./decoders.ts"
import { type Prng, mutate, prng } from "./mutate.ts"

export type Tally = { readonly taken: number; readonly refused: number }

/** Throws with the input's hex where a decoder breaks a rule. The same `seed` gives the same inputs. */
export function pelt(
  decoder: Decoder,
  seeds: readonly Uint8Array[],
  inputs: number,
  seed: number,
): Tally {
  const random = prng(seed)
  let taken = 0
  let refused = 0
  for (let i = 0; i < inputs; i++) {
    const chosen = random.pick(seeds)
    const input = random.below(4) === 0 ? mutateTree(random, chosen) : mutate(random, chosen)
    const given = input.slice()
    try {
      const again = decoder.again?.(input)
      if (again === undefined) decoder.decode(input)
      else if (!equalBytes(again, given)) throw new Error("two spellings of one value")
      taken += 1
    } catch (error) {
      if (!(error instanceof ChappeError)) throw failure(decoder, given, error)
      refused += 1
    }
    if (!equalBytes(input, given)) throw failure(decoder, given, new Error("the input was changed"))
  }
  return { taken, refused }
}

/** Well-formed bytes with another value somewhere inside: past the scanner, into the layout's own checks. */
function mutateTree(random: Prng, bytes: Uint8Array): Uint8Array {
  try {
    const tree = decode(value, bytes, bytes.length)
    return encode(value, replaceSomewhere(random, tree))
  } catch (error) {
    if (error instanceof ChappeError) return mutate(random, bytes)
    throw error
  }
}

function replaceSomewhere(random: Prng, item: Value): Value {
  if (random.below(3) > 0) {
    const list: readonly Value[] = Array.isArray(item) ? item : []
    const at = random.below(Math.max(1, list.length))
    if (list.length > 0)
      return list.map((inner, i) => (i === at ? replaceSomewhere(random, inner) : inner))
    if (item instanceof Map && item.size > 0) {
      const key = random.pick([...item.keys()])
      return new Map(
        [...item].map(([name, inner]) => [
          name,
          name === key ? replaceSomewhere(random, inner) : inner,
        ]),
      )
    }
  }
  return otherValue(random, item)
}

function otherValue(random: Prng, item: Value): Value {
  const near: Value[] = [
    null,
    true,
    0,
    1,
    -1,
    2,
    65_536,
    0xffff_ffff,
    "",
    "FR",
    "x/y",
    [],
    new Map(),
  ]
  if (typeof item === "number") near.push(item + 1, Math.max(0, item - 1))
  if (typeof item === "string") near.push(`${item}a`, item.slice(1), item.toUpperCase())
  if (item instanceof Uint8Array)
    near.push(item.slice(1), new Uint8Array(item.length), random.bytes(item.length + 1))
  if (Array.isArray(item)) {
    const list: readonly Value[] = item
    near.push([...list, null], list.slice(1), list.toReversed(), [...list, ...list])
  }
  return random.pick(near)
}

function failure(decoder: Decoder, input: Uint8Array, cause: unknown): Error {
  return new Error(`${decoder.name}: ${toHex(input)}`, { cause })
}

/** How many bytes the scanner reads of an input, accepted or not. */
export function scannerReads(input: Uint8Array): number {
  let reads = 0
  const counted = (bytes: Uint8Array): Uint8Array =>
    new Proxy(bytes, {
      get(target, name) {
        if (name === "length") return target.length
        if (name === "subarray")
          return (from: number, to: number) => counted(target.subarray(from, to))
        if (typeof name === "string" && /^\d+$/u.test(name)) {
          reads += 1
          return target[Number(name)]
        }
        return Reflect.get(target, name, target) as unknown
      },
    })
  try {
    scan(counted(input))
  } catch (error) {
    if (!(error instanceof ChappeError)) throw error
  }
  return reads
}

/** The scanner's promise: no byte more than so often, whatever the input claims about lengths. */
export const readsPerByteMax = 4

const whole = (head: readonly number[], length: number, byte: number): Uint8Array => {
  const bytes = new Uint8Array(length).fill(byte)
  bytes.set(head)
  return bytes
}

/** Inputs that claim much and bring little, or are as much as the limits allow. */
export function bombs(): readonly Uint8Array[] {
  return [
    whole([], limits.documentBytesMax, 0x91),
    whole([], limits.documentBytesMax, 0x81),
    whole([0xdd, 0xff, 0xff, 0xff, 0xff], limits.documentBytesMax, 0xc0),
    whole([0xdf, 0xff, 0xff, 0xff, 0xff], limits.documentBytesMax, 0xa0),
    whole([0xdd, 0, 0x0f, 0x42, 0x00], limits.documentBytesMax, 0x90),
    whole([0xde, 0x80, 0], limits.documentBytesMax, 0xa0),
    whole([0xdb, 0, 0x0f, 0x42, 0x3b], limits.documentBytesMax, 0x61),
    whole([0xdb, 0, 0x0f, 0x42, 0x3b], limits.documentBytesMax, 0xe2),
    whole([0xc6, 0, 0x0f, 0x42, 0x3b], limits.documentBytesMax, 0xff),
    whole([0xdc, 0xff, 0xff], limits.documentBytesMax, 0xd9),
  ]
}
