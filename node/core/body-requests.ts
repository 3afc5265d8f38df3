// Attachment bodies that no relay gives: their sender is asked to hand them in again, through one relay
// after another and less and less often. docs/PROTOCOL.md, "Controls".

import { toHex } from "../../protocol/bytes.ts"
import { nodeLimits } from "../limits.ts"
import type { NetworkClock } from "./network-clock.ts"

export type WantedBody = {
  readonly sender: string
  readonly messageId: Uint8Array
  readonly hash: Uint8Array
}

export class BodyRequests {
  readonly #clock: NetworkClock
  readonly #askFor: (wanted: WantedBody, attempt: number) => void
  readonly #asked = new Map<string, { readonly attempts: number; readonly nextMs: number }>()

  constructor(clock: NetworkClock, askFor: (wanted: WantedBody, attempt: number) => void) {
    this.#clock = clock
    this.#askFor = askFor
  }

  /** No relay gives it now. Passed over while it was asked for just before. */
  want(wanted: WantedBody): void {
    const name = `${toHex(wanted.messageId)}/${toHex(wanted.hash)}`
    const { attempts, nextMs } = this.#asked.get(name) ?? { attempts: 0, nextMs: 0 }
    const nowMs = this.#clock.monotonicMs()
    if (attempts > 0 && nowMs < nextMs) return
    const wait = Math.min(nodeLimits.gapRepeatMs * 2 ** attempts, nodeLimits.gapRepeatMsMax)
    this.#asked.delete(name)
    this.#asked.set(name, { attempts: attempts + 1, nextMs: nowMs + wait })
    const [oldest] = this.#asked.keys()
    if (this.#asked.size > nodeLimits.bodiesWantedMax && oldest !== undefined)
      this.#asked.delete(oldest)
    this.#askFor(wanted, attempts)
  }
}
