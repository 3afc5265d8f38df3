// Fetching before it is needed, with a bound, in order.

/** Reads every item, at most `count` at once; results come in the items' order. */
export async function* readAhead<T, R>(
  items: Iterable<T>,
  count: number,
  read: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const waiting: Promise<R>[] = []
  for (const item of items) {
    const result = read(item)
    // A failure is met when its turn comes; until then it must not count as unhandled.
    result.catch(() => undefined)
    waiting.push(result)
    const first = waiting.length >= count ? waiting.shift() : undefined
    if (first !== undefined) yield await first
  }
  for (const result of waiting) yield await result
}
