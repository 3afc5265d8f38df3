// Tasks that come round again. A peer's refusal is noted; a mistake of ours or a failed disk ends the
// process.

import { ChappeError } from "../../protocol/errors.ts"
import type { Clock, Log } from "../core/ports.ts"

export class Rounds {
  readonly #clock: Pick<Clock, "after">
  readonly #log: Log
  readonly #fail: (error: ChappeError) => void
  readonly #cancels = new Map<string, () => void>()
  readonly #running = new Set<Promise<void>>()
  #isStopped = false

  constructor(clock: Pick<Clock, "after">, log: Log, fail: (error: ChappeError) => void) {
    this.#clock = clock
    this.#log = log
    this.#fail = fail
  }

  async once(name: string, task: () => Promise<void>): Promise<void> {
    try {
      await task()
    } catch (cause) {
      const isRefusal = cause instanceof ChappeError
      if (isRefusal && cause.code !== "storage" && cause.code !== "disk-full")
        return this.#log.info("round-failed", { name, code: cause.code })
      this.#fail(isRefusal ? cause : new ChappeError("internal", `${name} failed`, { cause }))
    }
  }

  /** The first time after `ms`, then again so long after each end. */
  start(name: string, ms: number, task: () => Promise<void>): void {
    const again = (): void => {
      this.#cancels.set(name, this.#clock.after(ms, run))
    }
    const run = (): void => {
      const running = this.once(name, task).finally(() => {
        this.#running.delete(running)
        if (!this.#isStopped) again()
      })
      this.#running.add(running)
    }
    again()
  }

  /** Waits for what is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true
    for (const cancel of this.#cancels.values()) cancel()
    await Promise.all(this.#running)
  }
}
