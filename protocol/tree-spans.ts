// Which parts of a tree a proof consists of (RFC 6962 sections 2.1.1 and 2.1.2), so that it can be
// made from leaf hashes in memory or from stored tiles alike. docs/PROTOCOL.md, "Trees".

/** Leaves `from` … `to − 1`; its root is one hash of a proof. `from` is a multiple of the power of two that covers it. */
export type Span = { readonly from: number; readonly to: number }

/** The spans of an inclusion path, the leaf's sibling first. */
export function inclusionSpans(index: number, size: number): readonly Span[] {
  if (!Number.isSafeInteger(size) || !Number.isSafeInteger(index) || index < 0 || index >= size)
    throw new RangeError(`no leaf ${index} in a tree of ${size}`)
  const spans: Span[] = []
  let from = 0
  let to = size
  while (to - from > 1) {
    const middle = from + split(to - from)
    if (index < middle) {
      spans.push({ from: middle, to })
      to = middle
    } else {
      spans.push({ from, to: middle })
      from = middle
    }
  }
  return spans.toReversed()
}

/** The spans of a consistency path; none from size 0 and between equal sizes. */
export function consistencySpans(smallSize: number, largeSize: number): readonly Span[] {
  if (!Number.isSafeInteger(largeSize) || !Number.isSafeInteger(smallSize))
    throw new RangeError("tree size")
  if (smallSize < 0 || smallSize > largeSize)
    throw new RangeError(`a tree of ${largeSize} does not begin with one of ${smallSize}`)
  if (smallSize === 0) return []
  const spans: Span[] = []
  let from = 0
  let to = largeSize
  while (smallSize !== to) {
    const middle = from + split(to - from)
    if (smallSize <= middle) {
      spans.push({ from: middle, to })
      to = middle
    } else {
      spans.push({ from, to: middle })
      from = middle
    }
  }
  // Left of everything, the verifier has the last span already: it is the small tree itself.
  if (from > 0) spans.push({ from, to })
  return spans.toReversed()
}

/** The largest power of two below `count`. */
function split(count: number): number {
  let power = 1
  while (power * 2 < count) power *= 2
  return power
}
