// Padding, so that a length tells a size bucket only: the bytes, 80, zeros, up to Padmé with a floor of 256.
// docs/PROTOCOL.md, "Padding". At most 12 % growth. Exact both ways: padding can hide no bytes.

import { ChappeError } from "../protocol/errors.ts"
import { limits } from "../protocol/limits.ts"
import { keyLimits } from "./limits.ts"

const mark = 0x80

/** Rounds up so that only about log log L bits of a length show. */
function padme(length: number): number {
  const exponent = 31 - Math.clz32(length)
  const shownBits = 32 - Math.clz32(exponent)
  const step = 2 ** (exponent - shownBits)
  return Math.ceil(length / step) * step
}

/** The padded length of so many bytes, below 2³²−1. */
export function paddedLength(plainLength: number): number {
  if (!Number.isInteger(plainLength) || plainLength < 0 || plainLength >= 2 ** 32 - 1)
    throw new RangeError(`length ${plainLength}`)
  return Math.max(limits.paddedMin, padme(plainLength + 1))
}

/** Pads the inside of a body. Refused: `size` beyond 1 MiB. */
export function pad(plaintext: Uint8Array): Uint8Array {
  const length = paddedLength(plaintext.length)
  if (length > limits.paddedMax)
    throw new ChappeError("size", `content of ${plaintext.length} bytes is too long`)
  const padded = new Uint8Array(length)
  padded.set(plaintext)
  padded[plaintext.length] = mark
  return padded
}

/** What was padded, a view. Refused: `padding`. */
export function unpad(padded: Uint8Array): Uint8Array {
  let end = padded.length - 1
  while (end >= 0 && padded[end] === 0) end--
  if (end < 0 || padded[end] !== mark) throw new ChappeError("padding", "no mark ends the content")
  if (paddedLength(end) !== padded.length)
    throw new ChappeError("padding", `${padded.length} bytes are not the padded length of ${end}`)
  return padded.subarray(0, end)
}

/** What follows an attachment of so many bytes, in pieces. */
export function* paddingAfter(plainLength: number): Generator<Uint8Array, void, void> {
  let left = paddedLength(plainLength) - plainLength
  let first = true
  while (left > 0) {
    const piece = new Uint8Array(Math.min(left, keyLimits.paddingPieceBytes))
    if (first) piece[0] = mark
    first = false
    left -= piece.length
    yield piece
  }
}

/** Takes the exact padding off a stream whose plain length is known. Refused: `padding`. */
export class Unpadder {
  readonly #plainLength: number
  readonly #paddedLength: number
  #offset = 0

  constructor(plainLength: number) {
    this.#plainLength = plainLength
    this.#paddedLength = paddedLength(plainLength)
  }

  /** The part of `padded` that is content, a view, perhaps empty. */
  push(padded: Uint8Array): Uint8Array {
    const content = Math.min(padded.length, Math.max(0, this.#plainLength - this.#offset))
    for (let i = content; i < padded.length; i++)
      if (padded[i] !== (this.#offset + i === this.#plainLength ? mark : 0))
        throw new ChappeError("padding", "the padding is not the mark and zeros")
    this.#offset += padded.length
    return padded.subarray(0, content)
  }

  finish(): void {
    if (this.#offset !== this.#paddedLength)
      throw new ChappeError(
        "padding",
        `${this.#offset} bytes are not the padded length of ${this.#plainLength}`,
      )
  }
}
