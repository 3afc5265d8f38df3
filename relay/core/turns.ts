// Admission of submits: so many are looked at at once, the rest waits its turn (fair-queue.ts), each member's
// share bounded, nobody longer than a moment. Who must come again later is told so, and when.
// docs/PROTOCOL.md, "Flow and fairness".

import type { Quotas } from "../../protocol/delivery-policy.ts"
import { type Lane, precedences } from "../../protocol/envelope.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { relayLimits } from "../limits.ts"
import { FairQueue } from "./fair-queue.ts"
import type { Clock } from "./ports.ts"

/** `busy`, and when to ask again. */
export class Later extends ChappeError {
  readonly retrySeconds: number

  constructor(message: string, retrySeconds: number) {
    super("busy", message)
    this.retrySeconds = retrySeconds
  }
}

/** Who hands over what. */
type Work = { readonly member: string; readonly lane: Lane; readonly bytes: number }

type Applicant = Work & {
  readonly sinceMs: number
  readonly admit: () => void
  readonly refuse: (why: Later) => void
}

type Share = { items: number; bytes: number }

const flashLane = precedences.length - 1

/** A flash does not wait for room among the rest. */
function inHandMax(lane: number): number {
  const { submitsInHandMax, flashesInHandMax } = relayLimits
  return lane === flashLane ? submitsInHandMax + flashesInHandMax : submitsInHandMax
}

/** A flash has room of its own: what a member has waiting below it never keeps it out. */
function shareOf({ member, lane }: Work): string {
  return `${member} ${lane === flashLane ? "flash" : "below"}`
}

export class Turns {
  readonly #clock: Clock
  readonly #quotas: () => Quotas | undefined
  readonly #queue = new FairQueue<Applicant>(precedences.length)
  readonly #shares = new Map<string, Share>()
  /** By member: how many wait to be told that there is no room. */
  readonly #refusals = new Map<string, number>()
  readonly #spent = new Map<string, Share & { untilMs: number }>()
  #inHand = 0
  #waiting = 0
  #isWatching = false
  /** Since `#countedAtMs`: what had its turn, and what was told to come again. */
  #taken = 0
  #sentAway = 0
  #countedAtMs = 0

  constructor(clock: Clock, quotas: () => Quotas | undefined) {
    this.#clock = clock
    this.#quotas = quotas
  }

  /** Runs `work` when the member's turn comes. Refused: `busy` (`Later`), and what `work` refuses. */
  async run<T>(asked: Work, work: () => Promise<T>): Promise<T> {
    this.#spend(asked)
    if (!this.#isFree(asked)) await this.#turn(asked)
    else this.#inHand += 1
    try {
      return await work()
    } finally {
      this.#inHand -= 1
      this.#taken += 1
      this.#next()
    }
  }

  #isFree({ lane }: Work): boolean {
    return this.#waiting === 0 && this.#inHand < inHandMax(lane)
  }

  async #turn(asked: Work): Promise<void> {
    const { member, lane, bytes } = asked
    const share = this.#shares.get(shareOf(asked)) ?? { items: 0, bytes: 0 }
    const isFull =
      share.items >= relayLimits.memberWaitingMax ||
      share.bytes + bytes > relayLimits.memberWaitingBytesMax
    if (isFull) {
      await this.#pause(member)
      throw new Later(`${member} has ${share.items} submits waiting`, this.#retrySeconds())
    }
    this.#shares.set(shareOf(asked), { items: share.items + 1, bytes: share.bytes + bytes })
    this.#waiting += 1
    return new Promise((admit, refuse) => {
      const sinceMs = this.#clock.monotonicMs()
      this.#queue.add({ member, lane }, bytes, { ...asked, sinceMs, admit, refuse })
      this.#next()
      if (this.#waiting > 0) this.#watch()
    })
  }

  /** The more are sent away for each that has its turn, the later they come again: refusing is work too. */
  #retrySeconds(): number {
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - this.#countedAtMs > 1_000 * relayLimits.busySecondsMax) {
      this.#countedAtMs = nowMs
      this.#taken = 0
      this.#sentAway = 0
    }
    this.#sentAway += 1
    const away = Math.round((4 * this.#sentAway) / Math.max(1, this.#taken))
    return Math.min(relayLimits.busySecondsMax, relayLimits.busySeconds + away)
  }

  /** The more refusals wait for a member, the later they come: who asks again at once gets no more of them. */
  async #pause(member: string): Promise<void> {
    const others = this.#refusals.get(member) ?? 0
    this.#refusals.set(member, others + 1)
    const { refusalMs, refusalMsEach, refusalMsMax } = relayLimits
    await new Promise<void>((resolve) => {
      this.#clock.after(Math.min(refusalMsMax, refusalMs + others * refusalMsEach), resolve)
    })
    const left = (this.#refusals.get(member) ?? 1) - 1
    if (left > 0) this.#refusals.set(member, left)
    else this.#refusals.delete(member)
  }

  #next(): void {
    while (this.#inHand < inHandMax(flashLane)) {
      const applicant = this.#queue.take(this.#inHand < inHandMax(0) ? 0 : flashLane)
      if (applicant === undefined) return
      this.#leave(applicant)
      this.#inHand += 1
      applicant.admit()
    }
  }

  #leave(applicant: Applicant): void {
    this.#waiting -= 1
    const name = shareOf(applicant)
    const share = this.#shares.get(name)
    if (share === undefined || share.items === 1) this.#shares.delete(name)
    else this.#shares.set(name, { items: share.items - 1, bytes: share.bytes - applicant.bytes })
  }

  /** Nobody waits in silence: who has waited too long is told to come again. */
  #watch(): void {
    if (this.#isWatching) return
    this.#isWatching = true
    this.#clock.after(relayLimits.turnCheckMs, () => {
      this.#isWatching = false
      const before = this.#clock.monotonicMs() - relayLimits.turnPatienceMs
      for (const applicant of this.#queue.remove(({ sinceMs }) => sinceMs <= before)) {
        this.#leave(applicant)
        applicant.refuse(new Later(`${applicant.member}'s turn did not come`, this.#retrySeconds()))
      }
      if (this.#waiting > 0) this.#watch()
    })
  }

  /** A minute's quota, from its first message on. */
  #spend({ member, bytes }: Work): void {
    const quotas = this.#quotas()
    if (quotas === undefined) return
    const nowMs = this.#clock.monotonicMs()
    let spent = this.#spent.get(member)
    if (spent === undefined || spent.untilMs <= nowMs) {
      spent = { items: 0, bytes: 0, untilMs: nowMs + 60_000 }
      this.#spent.set(member, spent)
    }
    const isOver =
      spent.items + 1 > quotas.messagesPerMinute || spent.bytes + bytes > quotas.bytesPerMinute
    if (isOver)
      throw new Later(
        `${member} has used up its quota`,
        Math.max(1, Math.ceil((spent.untilMs - nowMs) / 1_000)),
      )
    spent.items += 1
    spent.bytes += bytes
  }
}
