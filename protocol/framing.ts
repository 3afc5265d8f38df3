// Files that are streams of frames: a length of four bytes, big-endian, and so many bytes.

import { concat } from "./bytes.ts"
import { ChappeError } from "./errors.ts"

const lengthBytes = 4

/** With its length before it. */
export function framed(encoded: Uint8Array, bytesMax: number): Uint8Array {
  if (encoded.length > bytesMax) throw new RangeError(`a frame of ${encoded.length} bytes`)
  const length = new Uint8Array(lengthBytes)
  new DataView(length.buffer).setUint32(0, encoded.length)
  return concat(length, encoded)
}

/** Cuts a stream of pieces of any size into frames; one frame and one piece are held. */
export class Frames {
  readonly #bytesMax: number
  #parts: Uint8Array[] = []
  #length = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  push(piece: Uint8Array): void {
    if (piece.length === 0) return
    this.#parts.push(piece)
    this.#length += piece.length
  }

  /** Bytes that are no whole frame yet. */
  get left(): number {
    return this.#length
  }

  /** The next frame, or undefined while it is not whole. Refused: `size`. */
  next(): Uint8Array | undefined {
    const prefix = this.#peek(lengthBytes)
    if (prefix === undefined) return undefined
    const length = new DataView(prefix.buffer, prefix.byteOffset, lengthBytes).getUint32(0)
    if (length > this.#bytesMax) throw new ChappeError("size", `a frame of ${length} bytes`)
    const whole = this.#peek(lengthBytes + length)
    if (whole === undefined) return undefined
    const found = whole.slice(lengthBytes)
    const [joined = whole] = this.#parts
    this.#parts = [joined.subarray(whole.length)]
    this.#length -= whole.length
    return found
  }

  #peek(length: number): Uint8Array | undefined {
    if (this.#length < length) return undefined
    if (this.#parts.length > 1) this.#parts = [concat(...this.#parts)]
    return this.#parts[0]?.subarray(0, length)
  }
}
