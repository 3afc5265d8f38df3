// A courier's file: what one node has for another whose link is down, as link messages, and the directory
// to judge it by. Nothing in it is secret, and nothing is believed for standing in it.
// docs/PROTOCOL.md, "Courier files".   magic(17) ‖ frames;  frame = length(4, big-endian) ‖ mp[kind, …]

import { concat, emptyBytes, equalBytes, utf8 } from "./bytes.ts"
import { type Tagged, bytes, decode, encode, list, literal, record, tagged, uint } from "./codec.ts"
import type { Sha256 } from "./crypto-ports.ts"
import { time } from "./envelope.ts"
import { ChappeError } from "./errors.ts"
import { Frames, framed } from "./framing.ts"
import { limits } from "./limits.ts"
import { logOrigin, memberName } from "./names.ts"

const magic = utf8("chappe-courier/1\n")

const frames = {
  head: record({
    kind: literal(1),
    version: literal(1),
    from: memberName,
    to: memberName,
    at: time,
  }),
  /** Raw entries of a relay's directory log from an index on; `note`: its checkpoint, empty before the last. */
  directory: record({
    kind: literal(2),
    origin: logOrigin,
    first: uint(0xffff_ffff),
    entries: list(bytes(1, limits.entryBytesMax), 0, limits.bundleEntries),
    note: bytes(0, limits.noteBytesMax),
  }),
  /** A link message: deliver, evidence, bodyOffer or bodyPut. */
  message: record({ kind: literal(3), message: bytes(1, limits.messageBytesMax) }),
  /** How many frames came before, and what their hashes chain to. */
  end: record({ kind: literal(4), frames: uint(0xffff_ffff), chain: bytes(32) }),
} as const
const frame = tagged(frames)

export type CourierFrame = Tagged<typeof frames>
export type CourierHead = Extract<CourierFrame, { readonly name: "head" }>

/** Each frame's hash over the one before, so that the end vouches for all of them. */
class Chain {
  readonly #sha256: Sha256
  hash: Uint8Array
  count = 0

  constructor(sha256: Sha256) {
    this.#sha256 = sha256
    this.hash = sha256(magic)
  }

  add(encoded: Uint8Array): void {
    this.hash = this.#sha256(concat(this.hash, encoded))
    this.count += 1
  }
}

export class CourierWriter {
  readonly #chain: Chain

  constructor(sha256: Sha256) {
    this.#chain = new Chain(sha256)
  }

  begin(head: Omit<CourierHead, "name" | "version">): Uint8Array {
    return concat(magic, this.add({ ...head, name: "head", version: 1 }))
  }

  add(item: CourierFrame): Uint8Array {
    const encoded = encode(frame, item)
    this.#chain.add(encoded)
    return framed(encoded, limits.courierFrameBytesMax)
  }

  end(): Uint8Array {
    const { count, hash } = this.#chain
    return this.add({ name: "end", frames: count, chain: hash })
  }
}

/**
 * The frames, the head first, without the end; the file's own hash is returned. What was given out before
 * it ends must hold by itself. Refused: `courier` for what is none, is cut or was changed.
 */
export async function* readCourier(
  source: AsyncIterable<Uint8Array>,
  sha256: Sha256,
): AsyncGenerator<CourierFrame, Uint8Array, void> {
  const found = new Frames(limits.courierFrameBytesMax)
  const chain = new Chain(sha256)
  let start = emptyBytes
  let hasBegun = false
  let end: Uint8Array | undefined
  for await (const piece of source) {
    if (hasBegun) found.push(piece)
    else {
      start = concat(start, piece)
      if (start.length < magic.length) continue
      if (!equalBytes(start.subarray(0, magic.length), magic)) throw broken("it is of another kind")
      hasBegun = true
      found.push(start.subarray(magic.length))
    }
    for (let encoded = next(found); encoded !== undefined; encoded = next(found)) {
      const item = parsed(encoded)
      if (end !== undefined || (chain.count === 0) !== (item.name === "head"))
        throw broken("a part is out of place")
      if (item.name !== "end") yield item
      else if (item.frames === chain.count && equalBytes(item.chain, chain.hash)) end = chain.hash
      else throw broken("a part was changed or left out")
      chain.add(encoded)
    }
  }
  if (end === undefined || found.left > 0) throw broken("it is cut short")
  return end
}

function broken(why: string, cause?: unknown): ChappeError {
  return new ChappeError("courier", `the courier's file does not hold: ${why}`, { cause })
}

function next(found: Frames): Uint8Array | undefined {
  try {
    return found.next()
  } catch (cause) {
    if (!(cause instanceof ChappeError)) throw cause
    throw broken(cause.message, cause)
  }
}

function parsed(encoded: Uint8Array): CourierFrame {
  try {
    return decode(frame, encoded, limits.courierFrameBytesMax)
  } catch (cause) {
    if (!(cause instanceof ChappeError)) throw cause
    throw broken(cause.message, cause)
  }
}
