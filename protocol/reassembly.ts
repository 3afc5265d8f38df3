// Logical messages out of chunks. Memory is taken for bytes that have come, never for bytes announced.
// docs/PROTOCOL.md, "Links".

import { ChappeError } from "./errors.ts"
import type { LinkLane, MoreFrame, OpenFrame } from "./frames.ts"

class Incoming {
  readonly lane: LinkLane
  readonly #total: number
  #buffer = new Uint8Array(0)
  #received = 0

  constructor(lane: LinkLane, total: number) {
    this.lane = lane
    this.#total = total
  }

  /** The message once it is whole; it has the exact length, as the buffer never grows beyond `total`. */
  add(chunk: Uint8Array): Uint8Array | undefined {
    const received = this.#received + chunk.length
    if (received > this.#total)
      throw new ChappeError("frame", `more than the ${this.#total} bytes announced`)
    if (received > this.#buffer.length) this.#grow(received)
    this.#buffer.set(chunk, this.#received)
    this.#received = received
    return received === this.#total ? this.#buffer : undefined
  }

  /** Doubling: as many tiny chunks as it likes cost a peer more than us. */
  #grow(least: number): void {
    const grown = new Uint8Array(Math.min(this.#total, Math.max(least, 2 * this.#buffer.length)))
    grown.set(this.#buffer)
    this.#buffer = grown
  }
}

export type Whole = { readonly lane: LinkLane; readonly bytes: Uint8Array }

export class Reassembly {
  readonly #streams = new Map<number, Incoming>()
  #nextStream = 0

  /**
   * The message, once its last chunk has come. Refused with `frame`: a stream out of turn or unknown,
   * a second stream in one lane, more bytes than announced.
   */
  add(frame: OpenFrame | MoreFrame): Whole | undefined {
    const incoming = frame.kind === 1 ? this.#open(frame) : this.#streams.get(frame.stream)
    if (incoming === undefined) throw new ChappeError("frame", `stream ${frame.stream} is not open`)
    const message = incoming.add(frame.chunk)
    if (message === undefined) return undefined
    this.#streams.delete(frame.stream)
    return { lane: incoming.lane, bytes: message }
  }

  /** Streams are numbered one by one, so none is opened twice. */
  #open(frame: OpenFrame): Incoming {
    if (frame.stream !== this.#nextStream)
      throw new ChappeError("frame", `stream ${frame.stream} instead of ${this.#nextStream}`)
    for (const other of this.#streams.values())
      if (other.lane === frame.lane)
        throw new ChappeError("frame", `a second stream in lane ${frame.lane}`)
    this.#nextStream = (this.#nextStream + 1) >>> 0
    const incoming = new Incoming(frame.lane, frame.total)
    this.#streams.set(frame.stream, incoming)
    return incoming
  }
}
