// Numbers of a relay's log whose submit it refused for now, and whose message went another way meanwhile. A
// number that stays open is a hole in that log, which alarms its auditors: so the relay gets the same submit
// again when it said to come again, and drops the message where it is a copy. docs/PROTOCOL.md, "Log entries".

import { nodeLimits } from "../limits.ts"
import type { LogStatements } from "./log-statements.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { RelayLink } from "./ports.ts"

export class OwedNumbers {
  readonly #clock: NetworkClock
  readonly #statements: LogStatements
  readonly #isWaiting: (messageId: Uint8Array) => boolean
  readonly #submit: (link: RelayLink, messageId: Uint8Array) => Promise<void>
  /** By relay: when to come again. */
  readonly #fromMs = new Map<string, number>()
  /** Relays that have not answered all of it yet. */
  readonly #paying = new Set<string>()

  constructor(options: {
    readonly clock: NetworkClock
    readonly statements: LogStatements
    /** No relay has it: it is handed in anyway. */
    readonly isWaiting: (messageId: Uint8Array) => boolean
    /** What is refused for now again is owed again. */
    readonly submit: (link: RelayLink, messageId: Uint8Array) => Promise<void>
  }) {
    this.#clock = options.clock
    this.#statements = options.statements
    this.#isWaiting = options.isWaiting
    this.#submit = options.submit
  }

  owe(relay: string, seconds: number): void {
    this.#fromMs.set(relay, this.#clock.monotonicMs() + seconds * 1_000)
  }

  /** Hands in what is due at this relay, one after the other, until it refuses again. */
  async pay(link: RelayLink): Promise<void> {
    const { relay } = link
    const isDue = (this.#fromMs.get(relay) ?? Infinity) <= this.#clock.monotonicMs()
    if (!isDue || this.#paying.has(relay)) return
    this.#fromMs.delete(relay)
    this.#paying.add(relay)
    try {
      if (await this.#payAll(link)) this.owe(relay, nodeLimits.retryMs / 1_000)
    } finally {
      this.#paying.delete(relay)
    }
  }

  /** True when some are left that are handed in anyway, and may go another way yet. */
  async #payAll(link: RelayLink): Promise<boolean> {
    let isLeft = false
    const origin = this.#statements.originOf(link.relay)
    for (const { kind, subject } of await this.#statements.openItems(origin)) {
      if (kind !== "envelope") continue
      if (this.#isWaiting(subject)) isLeft = true
      else await this.#submit(link, subject)
      if (this.#fromMs.has(link.relay)) return false
    }
    return isLeft
  }
}
