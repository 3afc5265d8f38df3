// How much a peer makes us keep for it. Answers wait in memory until its link takes them: while too many bytes
// do, its further requests are not looked at, and as they count as unhandled its credit ends.
// docs/PROTOCOL.md, "Links".

import { relayLimits } from "../limits.ts"

/** For the answers of one sort on one link, so that those of another sort never wait for them. */
export class AnswerRoom {
  readonly #atOnceMax: number
  readonly #waiting: (() => void)[] = []
  #inHand = 0
  #bytes = 0

  /** `atOnceMax`: how many requests may be looked at side by side. */
  constructor(atOnceMax: number) {
    this.#atOnceMax = atOnceMax
  }

  /** Resolves, in the order of asking, when a request may be looked at. */
  async enter(): Promise<void> {
    if (this.#isOpen && this.#waiting.length === 0) {
      this.#inHand += 1
      return
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  /** The request was looked at; its answer waits for the link. */
  answered(bytes: number): void {
    this.#inHand -= 1
    this.#bytes += bytes
    this.#next()
  }

  /** The link has taken an answer. */
  taken(bytes: number): void {
    this.#bytes -= bytes
    this.#next()
  }

  get #isOpen(): boolean {
    return this.#inHand < this.#atOnceMax && this.#bytes < relayLimits.outboundBytesMax
  }

  #next(): void {
    while (this.#isOpen) {
      const enter = this.#waiting.shift()
      if (enter === undefined) return
      this.#inHand += 1
      enter()
    }
  }
}
