// The one writer. It takes what has arrived, lets each intent decide and write into one draft, writes the
// bodies with one synced write and everything else with one synced batch, and only then answers.
// ARCHITECTURE.md: nothing is acknowledged before its commit.
//
// Any failure from the first write on is final: the store is not touched again, and the process ends.

import { ChappeError } from "../../protocol/errors.ts"
import { relayLimits } from "../limits.ts"
import { sealLedger } from "./commit-ledger.ts"
import { type CommitFacts, Draft, type Sealed } from "./draft.ts"
import type { Keyring } from "./keyring.ts"
import type { Logs } from "./logs.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { BodyStore, Clock, Metrics, Random, RecordStore } from "./ports.ts"
import { type RecordCodec, highestRecord } from "./records.ts"
import { highestKey } from "./sequence.ts"
import { openRecord } from "./tables.ts"
import { type Together, countTogether } from "./together.ts"

/** Decides on what is stored and drafted, writes into the draft, and says what to answer afterwards. */
export type Plan<T> = (draft: Draft) => Promise<() => T>

type Intent = Together & {
  readonly reads: readonly Uint8Array[]
  readonly run: (draft: Draft) => Promise<void>
  readonly settle: () => void
  readonly reject: (why: unknown) => void
}

export type CommitterParts = {
  readonly name: string
  readonly store: RecordStore
  readonly bodies: BodyStore
  readonly logs: Logs
  readonly keyring: Keyring
  readonly network: NetworkClock
  readonly clock: Clock
  readonly random: Random
  readonly metrics: Metrics
  /** Called once, with the first failure. */
  readonly failed: (why: unknown) => void
}

export class Committer {
  readonly #parts: CommitterParts
  #waiting: Intent[] = []
  #running: Promise<void> | undefined
  #failure: ChappeError | undefined

  constructor(parts: CommitterParts) {
    this.#parts = parts
  }

  /**
   * Resolves once the plan's writes are durable. `isNext`: before everything that waits already. `reads`:
   * keys that the plan will ask for, so that a commit reads all of its intents' at once. `holds`, `settles`:
   * as in together.ts.
   * Refused: what the plan refuses, `busy`, `storage`.
   */
  async commit<T>(
    plan: Plan<T>,
    options: Partial<Together> & {
      readonly isNext?: boolean
      readonly reads?: readonly Uint8Array[]
    } = {},
  ): Promise<T> {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#waiting.length >= relayLimits.waitingIntentsMax)
      throw new ChappeError("busy", "too many writes are waiting")
    return new Promise<T>((resolve, reject) => {
      let answer: (() => T) | undefined
      const intent: Intent = {
        bodyBytes: options.bodyBytes ?? 0,
        holds: options.holds,
        settles: options.settles,
        reads: options.reads ?? [],
        run: async (draft) => {
          answer = await plan(draft)
        },
        settle: () => {
          if (answer !== undefined) resolve(answer())
        },
        reject,
      }
      if (options.isNext === true) this.#waiting.unshift(intent)
      else this.#waiting.push(intent)
      this.#running ??= this.#work()
    })
  }

  /** What is stored now, outside any commit. Refused: `tampered`. */
  async read<T>(codec: RecordCodec<T>, key: Uint8Array): Promise<T | undefined> {
    const value = await this.#parts.store.get(key)
    return value === undefined ? undefined : codec.decode(openRecord(key, value))
  }

  /** Resolves when nothing is being written or waits. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running
  }

  async #work(): Promise<void> {
    // Let what arrived in this turn of the event loop come together.
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const intents = this.#waiting.splice(0, countTogether(this.#waiting))
      if (this.#failure === undefined) await this.#commitOnce(intents)
      else for (const intent of intents) intent.reject(this.#failure)
    }
    this.#running = undefined
  }

  async #commitOnce(intents: readonly Intent[]): Promise<void> {
    const { store, logs, network, clock, metrics } = this.#parts
    const began = clock.monotonicMs()
    const { now } = network
    const facts: CommitFacts = {
      now,
      time: network.isAgreed ? logs.timeFor(now) : undefined,
      untimed: logs.isHeld ? "not-ready" : "clock",
      trafficOrigin: logs.traffic.own.origin,
      directoryOrigin: logs.directory.own.origin,
      directoryFirst: logs.directory.size,
      directorySize: logs.traffic.directorySize,
    }
    const draft = new Draft(store, facts)
    const planned: Intent[] = []
    try {
      await draft.readAhead(intents.flatMap(({ reads }) => reads))
      for (const intent of intents) if (await runOne(intent, draft)) planned.push(intent)
      if (!draft.isEmpty) {
        await this.#write(draft)
        metrics.observe("chappe_relay_commit_seconds", (clock.monotonicMs() - began) / 1_000)
        metrics.observe("chappe_relay_commit_intents", planned.length)
        metrics.count("chappe_relay_commits_total")
      }
    } catch (cause) {
      this.#fail(cause, intents)
      return
    }
    draft.committed()
    for (const intent of planned) intent.settle()
  }

  async #write(draft: Draft): Promise<void> {
    const { store, bodies, logs } = this.#parts
    const isLogging = draft.traffic.length + draft.directory.length + draft.batches.length > 0
    const states = isLogging ? await this.#seal(draft) : undefined
    if (!isLogging) draft.seal(nothingLogged)
    if (draft.bodies.length > 0) {
      const locations = await bodies.appendAll(draft.bodies.map(({ bytes }) => bytes))
      draft.bodies.forEach(({ located }, i) => {
        const location = locations[i]
        if (location === undefined) throw new RangeError("a location for each body")
        located(location)
      })
    }
    await store.commit(draft.ops())
    if (states !== undefined) logs.adopt(states)
    for (const location of draft.released) await bodies.release(location)
  }

  async #seal(draft: Draft): Promise<ReturnType<Logs["append"]>> {
    const { name, keyring, random, logs } = this.#parts
    const { time } = draft
    const key = keyring.relayKey(draft.facts.now)
    const seqKey = highestKey(draft.facts.trafficOrigin, key.keyId)
    const held = await draft.get(highestRecord, seqKey)
    let seq = held?.seq ?? 0
    const sealed = sealLedger(draft, {
      name,
      key,
      random,
      log: logs.traffic.own,
      first: logs.traffic.size,
      time,
      directorySize: draft.facts.directorySize,
      nextSeq: () => (seq += 1),
    })
    if (seq > (held?.seq ?? 0)) draft.put(highestRecord, seqKey, { seq, floor: seq })
    draft.seal(sealed)
    return logs.append(draft, time)
  }

  #fail(cause: unknown, intents: readonly Intent[]): void {
    // Whatever it was, it is ours: nobody is to take it for a word about what he sent.
    const failure =
      cause instanceof ChappeError && isStorageFailure(cause)
        ? cause
        : new ChappeError("internal", "a commit failed", { cause })
    this.#failure = failure
    for (const intent of intents) intent.reject(failure)
    this.#parts.failed(cause)
  }
}

function isStorageFailure({ code }: ChappeError): boolean {
  return code === "storage" || code === "disk-full" || code === "internal"
}

function notLogged(): never {
  throw new RangeError("the commit logs nothing")
}

const nothingLogged: Sealed = { acceptance: notLogged, steps: notLogged }

/** Whether the plan went through. A refusal leaves the draft as it was; anything else is a failure. */
async function runOne(intent: Intent, draft: Draft): Promise<boolean> {
  const before = draft.changes
  try {
    await intent.run(draft)
    return true
  } catch (cause) {
    if (!(cause instanceof ChappeError) || isStorageFailure(cause)) throw cause
    if (draft.changes !== before) throw new RangeError("a refused intent has written", { cause })
    intent.reject(cause)
    return false
  }
}
