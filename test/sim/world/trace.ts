// Everything that happens, as lines: their hash is the run's digest, and the last of them tell what led to
// a violation.

import { type Hash, createHash } from "node:crypto"

export class Trace {
  readonly last: string[] = []
  readonly #kept: number
  readonly #hash: Hash = createHash("sha256")

  constructor(kept: number) {
    this.#kept = kept
  }

  add(line: string): void {
    this.#hash.update(`${line}\n`)
    this.last.push(line)
    if (this.last.length > this.#kept) this.last.shift()
  }

  digest(): string {
    return this.#hash.copy().digest("hex")
  }
}
