// One thing after another: what decides on stored state runs alone until its commit is done.

export class Serial {
  #tail: Promise<unknown> = Promise.resolve()

  run<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(task, task)
    this.#tail = result.then(
      () => undefined,
      () => undefined,
    )
    return result
  }
}

/** A Serial for each key, forgotten when nothing waits. */
export class Serials {
  readonly #running = new Map<string, { serial: Serial; waiting: number }>()

  async run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const lane = this.#running.get(key) ?? { serial: new Serial(), waiting: 0 }
    this.#running.set(key, lane)
    lane.waiting += 1
    try {
      return await lane.serial.run(task)
    } finally {
      lane.waiting -= 1
      if (lane.waiting === 0) this.#running.delete(key)
    }
  }
}
