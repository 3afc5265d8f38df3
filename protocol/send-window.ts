// How much of what was sent may be unacknowledged. docs/PROTOCOL.md, "Links".
//
// Below flash: max(16 KiB, rate × 250 ms), else kernel buffers hold megabytes and a flash waits behind
// them. The rate is measured from acknowledgements as BBR does. Where one and a half round trips take
// longer than 250 ms they stand in its place: a window below rate × round trip would lower the rate,
// which would lower the window, down to the least.

import { ChappeError } from "./errors.ts"
import { type LinkLane, isUrgent } from "./frames.ts"
import { limits } from "./limits.ts"

type SentChunk = {
  readonly charge: number
  readonly urgent: boolean
  /** Delivered before this chunk was sent, and since when it stood at that. */
  readonly deliveredBefore: number
  readonly deliveredAtMs: number
  /** The window had no room left: only such chunks can show that the rate has fallen. */
  readonly filled: boolean
}

export class SendWindow {
  readonly #sent: SentChunk[] = []
  #unacknowledged = 0
  #belowFlash = 0
  #delivered = 0
  #deliveredAtMs = 0
  #bytesPerMs: number[] = []
  #leastRoundTripMs = Infinity

  get unacknowledgedBytes(): number {
    return this.#unacknowledged
  }

  /** For lanes below flash. */
  get windowBytes(): number {
    const rate = Math.max(0, ...this.#bytesPerMs)
    const roundTripMs = Number.isFinite(this.#leastRoundTripMs) ? this.#leastRoundTripMs : 0
    const spanMs = Math.max(limits.windowMs, limits.windowRoundTrips * roundTripMs)
    return Math.min(limits.windowBytesMax, Math.max(limits.windowBytesMin, rate * spanMs))
  }

  get chunkBytes(): number {
    return Math.min(limits.chunkBytes, Math.floor(this.windowBytes / limits.chunksPerWindow))
  }

  allows(lane: LinkLane, charge: number): boolean {
    if (this.#unacknowledged + charge > limits.creditBytes) return false
    return isUrgent(lane) || this.#belowFlash + charge <= this.windowBytes
  }

  sent(lane: LinkLane, charge: number, nowMs: number): void {
    // After a pause nothing was being delivered: the clock of the rate starts again.
    if (this.#sent.length === 0) this.#deliveredAtMs = nowMs
    const urgent = isUrgent(lane)
    this.#unacknowledged += charge
    if (!urgent) this.#belowFlash += charge
    this.#sent.push({
      charge,
      urgent,
      deliveredBefore: this.#delivered,
      deliveredAtMs: this.#deliveredAtMs,
      filled: !urgent && this.#belowFlash + this.chunkBytes > this.windowBytes,
    })
  }

  /** Refused with `frame`: an acknowledgement of nothing, of part of a chunk, or of more than was sent. */
  acknowledged(charge: number, nowMs: number): void {
    let left = charge
    let last: SentChunk | undefined
    while (left > 0) {
      last = this.#sent.shift()
      if (last === undefined) break
      left -= last.charge
      this.#unacknowledged -= last.charge
      if (!last.urgent) this.#belowFlash -= last.charge
    }
    if (last === undefined || left < 0)
      throw new ChappeError(
        "frame",
        `${charge} bytes acknowledged are not those of whole chunks sent`,
      )
    this.#delivered += charge
    this.#deliveredAtMs = nowMs
    this.#measure(last, nowMs)
  }

  roundTrip(roundTripMs: number): void {
    this.#leastRoundTripMs = Math.min(this.#leastRoundTripMs, roundTripMs)
  }

  #measure(chunk: SentChunk, nowMs: number): void {
    const bytesPerMs =
      (this.#delivered - chunk.deliveredBefore) / Math.max(1, nowMs - chunk.deliveredAtMs)
    if (!chunk.filled && bytesPerMs < Math.max(0, ...this.#bytesPerMs)) return
    this.#bytesPerMs = [...this.#bytesPerMs, bytesPerMs].slice(-limits.rateSamples)
  }
}
