// What a peer may still send us. Received bytes are acknowledged at once, unless the application is slow
// to handle messages: then the peer keeps the rest in its memory. docs/PROTOCOL.md, "Links".

import { ChappeError } from "./errors.ts"
import { chargeOf } from "./frames.ts"
import { limits } from "./limits.ts"

export class ReceiveCredit {
  readonly #unhandled = new Map<number, number>()
  #unhandledBytes = 0
  #unacknowledged = 0
  #handles = 0

  /** Refused with `frame`: the peer sent beyond its credit. */
  received(chunk: Uint8Array): void {
    this.#unacknowledged += chargeOf(chunk.length)
    if (this.#unacknowledged > limits.creditBytes)
      throw new ChappeError("frame", `${this.#unacknowledged} bytes are beyond the credit`)
  }

  /** The handle under which the message is reported handled. */
  deliver(message: Uint8Array): number {
    const handle = this.#handles++
    this.#unhandled.set(handle, chargeOf(message.length))
    this.#unhandledBytes += chargeOf(message.length)
    return handle
  }

  handled(handle: number): void {
    const charge = this.#unhandled.get(handle)
    if (charge === undefined) throw new RangeError(`message ${handle} is not waiting`)
    this.#unhandled.delete(handle)
    this.#unhandledBytes -= charge
  }

  /** What to acknowledge now; 0 for nothing. */
  takeAcknowledgement(): number {
    if (this.#unhandledBytes > limits.unhandledBytesMax) return 0
    const charge = this.#unacknowledged
    this.#unacknowledged = 0
    return charge
  }
}
