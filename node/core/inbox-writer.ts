// Commits what the inbox decided: everything that is ready at that moment goes into one synced commit,
// with its receipts signed as one batch for each relay. Nothing is answered before it.

import { limits } from "../../protocol/limits.ts"
import type { Change } from "./ports.ts"
import type { NewReceipt, ReceiptBook, SignedReceipts } from "./receipt-book.ts"
import type { Records } from "./records.ts"

/** `changes` learns the root of the batch that holds the receipt. */
export type Settlement = {
  readonly relay: string
  readonly receipt: NewReceipt
  readonly changes: (root: Uint8Array) => readonly Change[]
}

type Waiting = {
  readonly settlement: Settlement
  readonly done: () => void
  readonly failed: (error: unknown) => void
}

export class InboxWriter {
  readonly #records: Records
  readonly #receipts: ReceiptBook
  #waiting: Waiting[] = []
  #running = false

  constructor(records: Records, receipts: ReceiptBook) {
    this.#records = records
    this.#receipts = receipts
  }

  /** Resolves once message and receipt are on disk. Refused: `key-expired`, `storage`, `disk-full`. */
  settle(settlement: Settlement): Promise<void> {
    return new Promise((done, failed) => {
      this.#waiting.push({ settlement, done, failed })
      if (!this.#running) void this.#run()
    })
  }

  async #run(): Promise<void> {
    this.#running = true
    while (this.#waiting.length > 0) {
      const group = this.#waiting.splice(0, limits.batchMax)
      try {
        const signed = this.#sign(group)
        await this.#records.commit(signed.flatMap(({ changes }) => changes))
        for (const { committed } of signed) committed()
        for (const { done } of group) done()
      } catch (cause) {
        for (const { failed } of group) failed(cause)
      }
    }
    this.#running = false
  }

  #sign(group: readonly Waiting[]): readonly SignedReceipts[] {
    const byRelay = new Map<string, Settlement[]>()
    for (const { settlement } of group) {
      const same = byRelay.get(settlement.relay) ?? []
      byRelay.set(settlement.relay, [...same, settlement])
    }
    return [...byRelay].map(([relay, settlements]) => {
      const signed = this.#receipts.sign(
        settlements.map(({ receipt }) => receipt),
        relay,
      )
      const own = settlements.flatMap(({ changes }) => changes(signed.root))
      return { ...signed, changes: [...signed.changes, ...own] }
    })
  }
}
