// Whether the disk has room for more mail. Below the reserve nothing new is taken, from officers or relays, so
// that receipts, and a proper stop, still find room. It goes on by itself when there is room again.

import { ChappeError } from "../../protocol/errors.ts"
import { nodeLimits } from "../limits.ts"
import type { BodyFiles, Log } from "./ports.ts"

export class DiskRoom {
  readonly #files: Pick<BodyFiles, "freeBytes">
  readonly #log: Log
  #freeBytes = Number.MAX_SAFE_INTEGER
  #isFull = false

  constructor(files: Pick<BodyFiles, "freeBytes">, log: Log) {
    this.#files = files
    this.#log = log
  }

  /** Every few seconds, and before the first message. Refused: `storage`. */
  async look(): Promise<void> {
    this.#freeBytes = await this.#files.freeBytes()
    const isFull = !this.has(0)
    if (isFull === this.#isFull) return
    this.#isFull = isFull
    const says = { freeBytes: this.#freeBytes }
    if (isFull) this.#log.warn("disk-full", says)
    else this.#log.info("disk-room", says)
  }

  /** As last looked. */
  get freeBytes(): number {
    return this.#freeBytes
  }

  /** For so many bytes and the reserve. */
  has(bytes: number): boolean {
    return this.#freeBytes - bytes > nodeLimits.diskReserveBytes
  }

  /** Refused: `disk-full`; nothing was written, and the node goes on. */
  require(bytes: number): void {
    if (!this.has(bytes))
      throw new ChappeError("disk-full", `the node keeps its last ${this.#freeBytes} bytes`)
  }
}
