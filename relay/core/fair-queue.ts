// Whose turn it is among members that all want the relay's work at once: lanes first, highest first, and in
// each lane deficit round robin over members, by bytes. A lane that was passed over often enough goes once,
// so that nothing starves. docs/PROTOCOL.md, "Flow and fairness".

import { limits } from "../../protocol/limits.ts"
import { relayLimits } from "../limits.ts"

type Waiting<T> = { readonly cost: number; readonly item: T }
type Line<T> = { readonly waiting: Waiting<T>[]; deficit: number }

class Lane<T> {
  readonly lane: number
  passedOver = 0
  /** Members with something waiting, whose turn it is first. */
  readonly #lines = new Map<string, Line<T>>()

  constructor(lane: number) {
    this.lane = lane
  }

  get isWaiting(): boolean {
    return this.#lines.size > 0
  }

  add(member: string, waiting: Waiting<T>): void {
    const line = this.#lines.get(member) ?? { waiting: [], deficit: 0 }
    line.waiting.push(waiting)
    this.#lines.set(member, line)
  }

  take(): T {
    for (;;) {
      const [first] = this.#lines
      if (first === undefined) throw new RangeError(`nothing waits in lane ${this.lane}`)
      const [member, line] = first
      const [head] = line.waiting
      if (head !== undefined && head.cost <= line.deficit) {
        line.deficit -= head.cost
        line.waiting.shift()
        // Whoever has nothing waiting saves nothing up.
        if (line.waiting.length === 0) this.#lines.delete(member)
        return head.item
      }
      line.deficit += relayLimits.turnBytes
      this.#lines.delete(member)
      this.#lines.set(member, line)
    }
  }

  remove(isOver: (item: T) => boolean): readonly T[] {
    const removed: T[] = []
    for (const [member, line] of this.#lines) {
      const kept = line.waiting.filter(({ item }) => !isOver(item))
      removed.push(...line.waiting.filter(({ item }) => isOver(item)).map(({ item }) => item))
      line.waiting.splice(0, line.waiting.length, ...kept)
      if (kept.length === 0) this.#lines.delete(member)
    }
    return removed
  }
}

export class FairQueue<T> {
  readonly #highestFirst: readonly Lane<T>[]

  /** Lanes 0 … `lanes` − 1. */
  constructor(lanes: number) {
    this.#highestFirst = Array.from({ length: lanes }, (_, i) => new Lane<T>(lanes - 1 - i))
  }

  add(place: { readonly member: string; readonly lane: number }, bytes: number, item: T): void {
    const lane = this.#highestFirst.find((one) => one.lane === place.lane)
    if (lane === undefined) throw new RangeError(`${place.lane} is not a lane`)
    lane.add(place.member, { cost: bytes + relayLimits.turnItemBytes, item })
  }

  /** The next in turn among lanes from `least` on; undefined when nothing waits there. */
  take(least = 0): T | undefined {
    const waiting = this.#highestFirst.filter(({ lane, isWaiting }) => lane >= least && isWaiting)
    const lane = waiting.find(({ passedOver }) => passedOver >= limits.passedOverMax) ?? waiting[0]
    if (lane === undefined) return undefined
    lane.passedOver = 0
    for (const lower of waiting) if (lower.lane < lane.lane) lower.passedOver += 1
    return lane.take()
  }

  /** Takes out everything that `isOver`, in no order that matters. */
  remove(isOver: (item: T) => boolean): readonly T[] {
    return this.#highestFirst.flatMap((lane) => lane.remove(isOver))
  }
}
