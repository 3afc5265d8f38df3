// Statements that want an earlier one first, which another log may bring. A source that sends what never
// fits pushes out its own only.

import { sha256 } from "../../keys/crypto.ts"
import { toHex } from "../../protocol/bytes.ts"
import type { StatementKind } from "../../protocol/directory.ts"
import { nodeLimits } from "../limits.ts"

type Waiting = { readonly kind: StatementKind; readonly statement: Uint8Array }

export class WaitingStatements {
  /** By source, then by hash, oldest first. */
  readonly #sources = new Map<string, Map<string, Waiting>>()

  get count(): number {
    return [...this.#sources.values()].reduce((sum, one) => sum + one.size, 0)
  }

  add(source: string, waiting: Waiting): void {
    const held = this.#sources.get(source) ?? new Map<string, Waiting>()
    this.#sources.set(source, held)
    held.set(toHex(sha256(waiting.statement)), waiting)
    const [oldest] = held.keys()
    if (held.size > nodeLimits.statementsWaitingMax && oldest !== undefined) held.delete(oldest)
  }

  /** Offers each again, until none of them fits any more. */
  retry(fits: (waiting: Waiting) => boolean): void {
    for (let progress = true; progress;) {
      const before = this.count
      for (const [source, held] of this.#sources) {
        for (const [name, waiting] of held) if (fits(waiting)) held.delete(name)
        if (held.size === 0) this.#sources.delete(source)
      }
      progress = this.count < before
    }
  }
}
