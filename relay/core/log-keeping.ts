// The relay's logs over time: checkpoints at most a second after a commit, an idle log signed again every
// minute, the own directory bound into the traffic log, other relays' heads written down, the next year's
// shard begun. docs/PROTOCOL.md, "Checkpoints" and "Logs".

import { equalBytes } from "../../protocol/bytes.ts"
import { limits } from "../../protocol/limits.ts"
import type { Committer } from "./committer.ts"
import type { Draft } from "./draft.ts"
import type { Following } from "./following.ts"
import type { Keyring, OwnLog } from "./keyring.ts"
import { type Logs, yearAt } from "./logs.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { Clock, Journal } from "./ports.ts"
import type { PublishedLog } from "./published-log.ts"
import type { Publisher } from "./publisher.ts"

export type LogKeepingParts = {
  readonly logs: Logs
  readonly keyring: Keyring
  readonly committer: Committer
  readonly network: NetworkClock
  readonly following: Following
  readonly clock: Clock
  readonly journal: Journal
  readonly openPublisher: (own: OwnLog) => Promise<Publisher>
  /** A checkpoint was published. */
  readonly published: (publisher: Publisher) => void
}

/** A log as operators see it. Ages in seconds; `witnessedAge` undefined while nobody has cosigned. */
export type LogFigures = {
  readonly origin: string
  /** Entries that are committed, and those of them that a checkpoint covers. */
  readonly entries: number
  readonly published: number
  readonly checkpointAge: number
  readonly witnessedAge: number | undefined
  /** Witnesses that have cosigned it lately. */
  readonly witnesses: readonly string[]
}

type Kept = {
  publisher: Publisher
  signedAtMs: number
  hasNewLines: boolean
  /** When each witness cosigned last. */
  readonly cosignedAtMs: Map<string, number>
}

function kept(publisher: Publisher): Kept {
  return { publisher, signedAtMs: 0, hasNewLines: false, cosignedAtMs: new Map() }
}

export class LogKeeping {
  readonly #parts: LogKeepingParts
  readonly #directory: Kept
  #traffic: Kept
  /** The last checkpoint of the shard before, while the new one lacks its first entry. */
  #shardNote: Uint8Array | undefined
  /** Heads of other logs as last written down. */
  readonly #noted = new Map<string, Uint8Array>()

  private constructor(parts: LogKeepingParts, directory: Publisher, traffic: Publisher) {
    this.#parts = parts
    this.#directory = kept(directory)
    this.#traffic = kept(traffic)
  }

  /** Refused: `log-root`. */
  static async open(parts: LogKeepingParts): Promise<LogKeeping> {
    const { logs, openPublisher } = parts
    const directory = await openPublisher(logs.directory.own)
    const traffic = await openPublisher(logs.traffic.own)
    const keeping = new LogKeeping(parts, directory, traffic)
    await keeping.#bindShard()
    return keeping
  }

  get directory(): PublishedLog {
    return this.#directory.publisher.log
  }

  get traffic(): PublishedLog {
    return this.#traffic.publisher.log
  }

  publishers(): readonly Publisher[] {
    return [this.#directory.publisher, this.#traffic.publisher]
  }

  cosigned(publisher: Publisher, witness: string): void {
    for (const one of [this.#directory, this.#traffic]) {
      if (one.publisher !== publisher) continue
      one.hasNewLines = true
      one.cosignedAtMs.set(witness, this.#parts.clock.monotonicMs())
    }
  }

  figures(): readonly LogFigures[] {
    const { logs, clock } = this.#parts
    const nowMs = clock.monotonicMs()
    const age = (atMs: number): number => Math.round((nowMs - atMs) / 1_000)
    return [
      { one: this.#directory, entries: logs.directory.size },
      { one: this.#traffic, entries: logs.traffic.size },
    ].map(({ one: { publisher, signedAtMs, cosignedAtMs }, entries }) => {
      const ages = [...cosignedAtMs].map(([name, atMs]) => ({ name, age: age(atMs) }))
      const recent = ages.filter((one) => one.age <= limits.checkpointAgeSecondsMax)
      return {
        origin: publisher.origin,
        entries,
        published: publisher.log.head.size,
        checkpointAge: age(signedAtMs),
        witnessedAge: ages.length === 0 ? undefined : Math.min(...ages.map((one) => one.age)),
        witnesses: recent.map(({ name }) => name).toSorted(),
      }
    })
  }

  /** Publishes what is due; to be called a few times a second, one call at a time. */
  async tend(): Promise<void> {
    const { logs, network } = this.#parts
    if (network.isOff) return
    await this.beginShard()
    await this.#publish(this.#directory, logs.directory.size)
    if (this.#mayAppend) await this.#bindDirectory()
    await this.#publish(this.#traffic, logs.traffic.size)
    if (this.#mayAppend) await this.#rollShard()
  }

  /** What was promised is published all the same. */
  get #mayAppend(): boolean {
    const { logs, network } = this.#parts
    return network.isAgreed && logs.timeFor(network.now) !== undefined
  }

  async #publish(one: Kept, size: number): Promise<void> {
    const { clock, published } = this.#parts
    const { publisher } = one
    const isNew = size > publisher.log.head.size || publisher.log.checkpoint.length === 0
    const nowMs = clock.monotonicMs()
    const isIdle = nowMs - one.signedAtMs >= limits.idleCheckpointSeconds * 1_000
    if (!isNew && !isIdle) {
      if (one.hasNewLines) {
        one.hasNewLines = false
        await publisher.republish()
      }
      return
    }
    one.hasNewLines = false
    await publisher.advance(size)
    one.signedAtMs = nowMs
    published(publisher)
  }

  /** A larger directory size counts only after the traffic log holds the checkpoint of that size. */
  async #bindDirectory(): Promise<void> {
    const { logs, committer } = this.#parts
    const { publisher } = this.#directory
    const { size } = publisher.log.head
    if (size <= logs.traffic.directorySize) return
    const note = publisher.headNote()
    await committer.commit(async (draft) => {
      draft.appendTraffic({ kind: "head", time: draft.time, note })
      draft.bindDirectory(size)
      return () => undefined
    })
  }

  /** Other relays' heads, where they have changed. */
  async noteHeads(): Promise<void> {
    const fresh = this.#parts.following.heads().filter(({ origin, note }) => {
      const before = this.#noted.get(origin)
      return before === undefined || !equalBytes(before, note)
    })
    if (fresh.length === 0) return
    await this.#append((draft, time) => {
      for (const { note } of fresh) draft.appendTraffic({ kind: "head", time, note })
    })
    for (const { origin, note } of fresh) this.#noted.set(origin, note)
  }

  /** Our traffic head into the directory log, so that gossip about the one covers both. */
  async noteTraffic(): Promise<void> {
    const { publisher } = this.#traffic
    if (publisher.log.checkpoint.length === 0) return
    const note = publisher.headNote()
    await this.#append((draft, time) => {
      draft.appendDirectory({ kind: "head", time, note })
    })
  }

  async #append(write: (draft: Draft, time: number) => void, isNext = false): Promise<void> {
    if (!this.#mayAppend) return
    await this.#parts.committer.commit(
      async (draft) => {
        write(draft, draft.time)
        return () => undefined
      },
      { isNext },
    )
  }

  /** A new year's shard begins when the old one is published to its end. */
  async #rollShard(): Promise<void> {
    const { logs, keyring, network, committer, openPublisher, journal } = this.#parts
    const own = keyring.ownLog("traffic", yearAt(network.now))
    const old = this.#traffic.publisher
    if (own.origin === logs.traffic.own.origin) return
    const publisher = await openPublisher(own)
    const rolled = await committer.commit(async (draft) => {
      let entry: Promise<void> | undefined
      // Between two commits, so that no commit writes to both; and the shard's entry comes next.
      draft.onCommitted(() => {
        if (old.log.head.size !== logs.traffic.size) return
        logs.roll(own)
        this.#traffic = kept(publisher)
        journal.info("shard", { origin: own.origin })
        entry = this.#shardEntry(old.headNote())
      })
      return () => ({ entry })
    })
    await rolled.entry
  }

  /** After a restart between two shards: the old one may lack its last tiles, the new one its first entry. */
  async #bindShard(): Promise<void> {
    const { logs, keyring, openPublisher } = this.#parts
    const before = keyring.logBefore("traffic", logs.traffic.own.origin)
    if (before === undefined) return
    const publisher = await openPublisher(before)
    await publisher.catchUp()
    if (logs.traffic.size === 0 && publisher.log.head.size > 0)
      this.#shardNote = publisher.headNote()
  }

  /** Before anything else is appended to it: to be called at the moment from which on that may be. */
  async beginShard(): Promise<void> {
    const note = this.#shardNote
    if (note === undefined || !this.#mayAppend) return
    this.#shardNote = undefined
    await this.#shardEntry(note)
  }

  /** The last checkpoint of the shard before, as the first entry; and where keys are judged, anew. */
  async #shardEntry(note: Uint8Array): Promise<void> {
    const { publisher } = this.#directory
    await this.#append((draft, time) => {
      draft.appendTraffic({ kind: "shard", time, note })
      if (publisher.log.head.size === 0) return
      draft.appendTraffic({ kind: "head", time, note: publisher.headNote() })
      draft.bindDirectory(publisher.log.head.size)
    }, true)
  }
}
