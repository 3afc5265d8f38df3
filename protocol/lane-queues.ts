// What waits to be sent on a link, and whose turn it is. docs/PROTOCOL.md, "Links".
//
// Before each chunk the highest waiting lane is chosen, so a flash overtakes everything within one chunk.
// A lane that was passed over often enough gets one chunk, so that nothing starves.

import {
  type LinkLane,
  type MoreFrame,
  type OpenFrame,
  chargeOf,
  isUrgent,
  linkLanes,
} from "./frames.ts"
import { limits } from "./limits.ts"

class LaneQueue {
  readonly lane: LinkLane
  passedOver = 0
  queuedBytes = 0
  readonly #messages: Uint8Array[] = []
  #offset = 0
  #stream = 0

  constructor(lane: LinkLane) {
    this.lane = lane
  }

  get isWaiting(): boolean {
    return this.#messages.length > 0
  }

  add(message: Uint8Array): void {
    this.#messages.push(message)
    this.queuedBytes += chargeOf(message.length)
  }

  clear(): void {
    this.#messages.length = 0
    this.#offset = 0
    this.queuedBytes = 0
  }

  nextCharge(chunkBytes: number): number {
    return chargeOf(Math.min(chunkBytes, this.#head.length - this.#offset))
  }

  /** `newStream` numbers the stream when a message begins. */
  takeChunk(chunkBytes: number, newStream: () => number): OpenFrame | MoreFrame {
    const message = this.#head
    const begin = this.#offset
    const chunk = message.subarray(begin, begin + chunkBytes)
    this.#offset += chunk.length
    if (this.#offset === message.length) {
      this.#messages.shift()
      this.#offset = 0
      this.queuedBytes -= chargeOf(message.length)
    }
    if (begin > 0) return { kind: 2, stream: this.#stream, chunk }
    this.#stream = newStream()
    return { kind: 1, stream: this.#stream, lane: this.lane, total: message.length, chunk }
  }

  get #head(): Uint8Array {
    const message = this.#messages[0]
    if (message === undefined) throw new RangeError(`nothing waits in lane ${this.lane}`)
    return message
  }
}

export interface Window {
  /** The longest chunk at the moment. */
  readonly chunkBytes: number
  allows(lane: LinkLane, charge: number): boolean
}

export type NextChunk = {
  readonly lane: LinkLane
  readonly charge: number
  readonly frame: OpenFrame | MoreFrame
}

export class LaneQueues {
  readonly #highestFirst = Object.values(linkLanes)
    .toSorted((a, b) => b - a)
    .map((lane) => new LaneQueue(lane))
  #streams = 0

  get queuedBytes(): number {
    return this.#highestFirst.reduce((sum, queue) => sum + queue.queuedBytes, 0)
  }

  /** False: the lane is full and nothing was queued. A lane never fills because of another. */
  add(lane: LinkLane, message: Uint8Array): boolean {
    const queue = this.#highestFirst.find((one) => one.lane === lane)
    if (queue === undefined) throw new RangeError(`${lane} is not a lane`)
    if (queue.queuedBytes + chargeOf(message.length) > limits.laneQueueBytesMax) return false
    queue.add(message)
    return true
  }

  clear(): void {
    for (const queue of this.#highestFirst) queue.clear()
  }

  /** The next chunk that the window allows, or undefined. Takes it off the queue. */
  take(window: Window): NextChunk | undefined {
    const { chunkBytes } = window
    const queue = this.#whoseTurn().find((one) =>
      window.allows(one.lane, one.nextCharge(chunkBytes)),
    )
    if (queue === undefined) return undefined
    const charge = queue.nextCharge(chunkBytes)
    const frame = queue.takeChunk(chunkBytes, () => this.#newStream())
    queue.passedOver = 0
    for (const lower of this.#highestFirst)
      if (lower.lane < queue.lane && lower.isWaiting) lower.passedOver += 1
    return { lane: queue.lane, charge, frame }
  }

  /** Whoever does not fit the window keeps its turn: only an urgent lane may go meanwhile. */
  #whoseTurn(): readonly LaneQueue[] {
    const waiting = this.#highestFirst.filter((queue) => queue.isWaiting)
    const starved = waiting.find((queue) => queue.passedOver >= limits.passedOverMax)
    if (starved === undefined) return waiting.slice(0, 1)
    return [starved, ...waiting.slice(0, 1).filter((queue) => isUrgent(queue.lane))]
  }

  #newStream(): number {
    const stream = this.#streams
    this.#streams = (stream + 1) >>> 0
    return stream
  }
}
