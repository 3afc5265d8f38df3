// The memory adapters' disk: it can lose everything that was not synced, and fail its n-th operation before
// or after it took effect. Tests use it where a real disk cannot be made to fail.

import { ChappeError } from "../../protocol/errors.ts"

export type PlannedFailure = {
  /** 1 for the next operation. */
  readonly operation: number
  readonly when: "before" | "after"
}

export class MemoryDisk {
  /** Every operation that a caller waited for, in order: the call trace. */
  readonly trace: string[] = []
  #planned: PlannedFailure | undefined
  #operations = 0
  #failure: ChappeError | undefined

  failAt(planned: PlannedFailure): void {
    this.#operations = 0
    this.#planned = planned
  }

  /** Runs one operation. After a failure everything is refused. */
  async run<T>(name: string, effect: () => T): Promise<T> {
    if (this.#failure !== undefined) throw this.#failure
    // A disk answers later, never at once.
    await Promise.resolve()
    this.#operations += 1
    const isFailing = this.#planned?.operation === this.#operations
    if (isFailing && this.#planned?.when === "before") throw this.#fail(name)
    const result = effect()
    this.trace.push(name)
    if (isFailing) throw this.#fail(name)
    return result
  }

  #fail(name: string): ChappeError {
    this.#failure = new ChappeError("storage", `${name} failed`)
    return this.#failure
  }

  /** After a restart: the disk works again. */
  restart(): void {
    this.#failure = undefined
    this.#planned = undefined
  }
}
