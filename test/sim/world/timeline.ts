// Virtual time: one queue of events. What happens at the same moment happens in the order in which it was
// planned, and everything that waits on promises comes to rest before the next event.

type Event = { readonly atMs: number; readonly order: number; readonly task: () => void }

export class Timeline {
  nowMs = 0
  events = 0
  #planned = 0
  /** A binary heap, the next event first. */
  readonly #heap: Event[] = []
  readonly #cancelled = new Set<Event>()

  /** Calls once, `ms` from now; the function returned calls it off. */
  after(ms: number, task: () => void): () => void {
    const event = { atMs: this.nowMs + Math.max(0, ms), order: this.#planned++, task }
    this.#push(event)
    return () => this.#cancelled.add(event)
  }

  async run(ms: number): Promise<void> {
    const end = this.nowMs + ms
    await settled()
    for (let next = this.#heap[0]; next !== undefined && next.atMs <= end; next = this.#heap[0]) {
      this.#pop()
      if (this.#cancelled.delete(next)) continue
      this.nowMs = next.atMs
      this.events += 1
      next.task()
      await settled()
    }
    this.nowMs = end
  }

  #push(event: Event): void {
    const heap = this.#heap
    let at = heap.push(event) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!this.#swapIfEarlier(at, parent)) return
      at = parent
    }
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    heap[0] = last
    for (let at = 0; ;) {
      const left = 2 * at + 1
      const child = this.#isEarlier(left + 1, left) ? left + 1 : left
      if (!this.#swapIfEarlier(child, at)) return
      at = child
    }
  }

  #isEarlier(a: number, b: number): boolean {
    const [one, other] = [this.#heap[a], this.#heap[b]]
    if (one === undefined || other === undefined) return false
    return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order)
  }

  #swapIfEarlier(a: number, b: number): boolean {
    const [one, other] = [this.#heap[a], this.#heap[b]]
    if (one === undefined || other === undefined || !this.#isEarlier(a, b)) return false
    this.#heap[a] = other
    this.#heap[b] = one
    return true
  }
}

/** Nothing in the simulation waits for anything but promises: they are all done before this resolves. */
async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
}
