// Attachment bodies in memory, for tests and simulations. A power cut takes what is not whole.

import { sha256 } from "../../keys/crypto.ts"
import { concat, emptyBytes, equalBytes, toHex } from "../../protocol/bytes.ts"
import { ChappeError } from "../../protocol/errors.ts"
import type { BodyFiles, BodyState, BodyUpload } from "../core/ports.ts"

/** What survives a power cut: whole bodies by hex hash. */
export type DurableBodies = Map<string, Uint8Array>

export class MemoryBodyFiles implements BodyFiles {
  /** Room on the disk, for a test to take. */
  free = 2 ** 40
  readonly #whole: DurableBodies
  readonly #partial = new Map<string, Uint8Array>()

  constructor(durable: DurableBodies = new Map()) {
    this.#whole = durable
  }

  async state(hash: Uint8Array): Promise<BodyState> {
    const whole = this.#whole.get(toHex(hash))
    if (whole !== undefined) return { kind: "whole", length: whole.length }
    const partial = this.#partial.get(toHex(hash))
    return partial === undefined ? { kind: "none" } : { kind: "partial", length: partial.length }
  }

  async create(): Promise<BodyUpload> {
    let bytes = emptyBytes
    return {
      write: async (part) => {
        bytes = concat(bytes, part)
      },
      finish: async () => {
        const hash = sha256(bytes)
        this.#whole.set(toHex(hash), bytes)
        return { hash, length: bytes.length }
      },
      abort: async () => {
        bytes = emptyBytes
      },
    }
  }

  async append(hash: Uint8Array, offset: number, part: Uint8Array): Promise<void> {
    const before = this.#partial.get(toHex(hash)) ?? emptyBytes
    if (before.length !== offset) throw new RangeError(`offset ${offset}`)
    this.#partial.set(toHex(hash), concat(before, part))
  }

  async finish(hash: Uint8Array, length: number): Promise<void> {
    const bytes = this.#partial.get(toHex(hash)) ?? emptyBytes
    this.#partial.delete(toHex(hash))
    if (bytes.length !== length || !equalBytes(sha256(bytes), hash))
      throw new ChappeError("body", "an attachment is not the one that its message names")
    this.#whole.set(toHex(hash), bytes)
  }

  async read(hash: Uint8Array, offset: number, length: number): Promise<Uint8Array> {
    return this.#require(hash).slice(offset, offset + length)
  }

  async verify(hash: Uint8Array): Promise<void> {
    if (!equalBytes(sha256(this.#require(hash)), hash)) throw new ChappeError("tampered")
  }

  async freeBytes(): Promise<number> {
    return this.free
  }

  async remove(hash: Uint8Array): Promise<void> {
    this.#whole.delete(toHex(hash))
    this.#partial.delete(toHex(hash))
  }

  #require(hash: Uint8Array): Uint8Array {
    const whole = this.#whole.get(toHex(hash))
    if (whole === undefined) throw new ChappeError("not-found", "the attachment is not here")
    return whole
  }
}
