// What operators see of a relay: how much waits for whom and since when, what last went wrong, who is linked,
// how the logs and the disk do. docs/operator.md, "Watching a relay". Names stations and codes, never content.

import { decodeControl, decodeSignedControl } from "../../protocol/control.ts"
import { decodeReceipt } from "../../protocol/receipt.ts"
import { decodeTombstone } from "../../protocol/tombstone.ts"
import type { Directory } from "../../protocol/directory.ts"
import { decodeEntry } from "../../protocol/entry.ts"
import { precedences } from "../../protocol/envelope.ts"
import { ChappeError, type ErrorCode, errorRow, isErrorCode } from "../../protocol/errors.ts"
import { memberStatuses } from "../../protocol/roster.ts"
import { relayLimits } from "../limits.ts"
import type { Delivery } from "./delivery.ts"
import type { Draining } from "./draining.ts"
import type { DiskForecast } from "./disk-forecast.ts"
import type { Links, PeerRole } from "./links.ts"
import type { LogFigures } from "./log-keeping.ts"
import { laneKey, messageKey } from "./mail.ts"
import type {
  ElsewhereFacts,
  LaneFacts,
  LaneWord,
  LogFacts,
  DrainFacts,
  MemberFacts,
  OwnFacts,
  PeerFacts,
  RelayFacts,
  TroubleFacts,
} from "../operator-facts.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { PeerWatch, Trouble } from "./peer-watch.ts"
import type { Clock, RecordStore, StoredRecord } from "./ports.ts"
import { type QueueGauge, parseQueueKey } from "./queue-gauge.ts"
import { type QueueItem, messageRecord, queueItem, queueLanes, queueNames } from "./records.ts"
import type { ScrubFindings } from "./scrub.ts"
import { afterPrefix, framed, openRecord, recordKey } from "./tables.ts"

export type OverviewParts = {
  readonly name: string
  readonly version: string
  readonly directory: Directory
  readonly store: RecordStore
  readonly gauge: QueueGauge
  readonly links: Links
  readonly watch: PeerWatch
  readonly network: NetworkClock
  readonly clock: Clock
  readonly disk: DiskForecast
  readonly draining: Draining
  readonly freeBytes: () => number
  /** Whether the disk has room for new mail. */
  readonly hasRoom: () => boolean
  readonly scrubbed: () => ScrubFindings
  readonly logs: () => readonly LogFigures[]
  /** Seconds until the logs, whose last entries are ahead, take entries again. */
  readonly logWaits: () => number | undefined
  readonly deliveryOf: (queue: string) => Delivery | undefined
}

function placeOf({ key }: StoredRecord): number {
  return parseQueueKey(key).position
}

function logFacts(log: LogFigures): LogFacts {
  return {
    origin: log.origin,
    entries: log.entries,
    published: log.published,
    checkpointSeconds: log.checkpointAge,
    witnessSeconds: log.witnessedAge ?? null,
    witnesses: [...log.witnesses],
  }
}

function laneWord(lane: number): LaneWord {
  return precedences[lane] ?? "evidence"
}

export class Overview {
  readonly #parts: OverviewParts
  readonly #beganMs: number

  constructor(parts: OverviewParts) {
    this.#parts = parts
    this.#beganMs = parts.clock.monotonicMs()
  }

  own(): OwnFacts {
    const { name, version, network, disk, freeBytes, hasRoom, scrubbed, logWaits } = this.#parts
    const { rounds, damaged, mended } = scrubbed()
    return {
      relay: name,
      version,
      at: network.now,
      upSeconds: this.#ago(this.#beganMs),
      clock: {
        offsetSeconds: network.offset,
        isOff: network.isOff,
        isAgreed: network.isAgreed,
        logWaitsSeconds: logWaits() ?? null,
      },
      disk: { freeBytes: freeBytes(), isFull: !hasRoom(), daysLeft: disk.daysLeft ?? null },
      scrub: { rounds, damaged: [...damaged], mended: [...mended] },
    }
  }

  async facts(): Promise<RelayFacts> {
    const { logs, gauge, draining } = this.#parts
    const members: PeerFacts[] = []
    for (const member of this.#members()) members.push(await this.#peer(member, "node"))
    const relays: PeerFacts[] = []
    for (const relay of this.#relays()) relays.push(await this.#peer(relay, "relay"))
    return {
      own: this.own(),
      draining: draining.since === undefined ? null : await this.drain(),
      logs: logs().map(logFacts),
      members,
      relays,
      aside: { ...gauge.depth(queueNames.aside) },
    }
  }

  async drain(): Promise<DrainFacts> {
    const { draining } = this.#parts
    const left = await draining.remainder()
    return {
      since: draining.since ?? null,
      ...left,
      onlyHomeOf: [...left.onlyHomeOf],
      isEmpty: left.items === 0,
    }
  }

  /** All that is known here of one member's mail. Refused: `unknown-member`. */
  async member(name: string): Promise<MemberFacts> {
    const { directory, gauge } = this.#parts
    const listed = directory.member(name)
    if (listed === undefined)
      throw new ChappeError("unknown-member", `the roster does not name ${name}`)
    const elsewhere: ElsewhereFacts[] = []
    for (const queue of gauge.all().keys()) {
      const relay = queue.slice(2)
      const state = queue === queueNames.forward(relay) ? "waiting" : "custody"
      if (state === "custody" && queue !== queueNames.awaiting(relay)) continue
      const { items, oldest } = await this.#itemsFor(name, queue)
      if (items === 0) continue
      const oldestSeconds = oldest === undefined ? null : await this.#age(oldest)
      elsewhere.push({ relay: await this.#peer(relay, "relay"), state, items, oldestSeconds })
    }
    const statuses = [memberStatuses.active, memberStatuses.suspended, memberStatuses.removed]
    return {
      own: this.own(),
      member: await this.#peer(name, "node"),
      status:
        (["active", "suspended", "removed"] as const)[statuses.indexOf(listed.status)] ?? "removed",
      homes: [...directory.homes(name)],
      elsewhere,
      asideItems: (await this.#itemsFor(name, queueNames.aside)).items,
    }
  }

  /** How many messages of a queue are for this member, of the first so many; and the oldest. */
  async #itemsFor(
    member: string,
    queue: string,
  ): Promise<{ readonly items: number; readonly oldest: StoredRecord | undefined }> {
    const prefix = recordKey("queue", framed(queue))
    const limit = relayLimits.searchItemsMax
    const records = await this.#parts.store.range({ gte: prefix, lt: afterPrefix(prefix), limit })
    const found = records.filter(({ key, value }) => {
      const item = queueItem.decode(openRecord(key, value))
      return item.name === "message" && item.nodes.includes(member)
    })
    const [oldest] = found.toSorted((a, b) => placeOf(a) - placeOf(b))
    return { items: found.length, oldest }
  }

  /** Members that are at home here, linked, or waited for. */
  #members(): readonly string[] {
    const { directory, gauge, links, name } = this.#parts
    return directory
      .roster()
      .members.map(({ node }) => node)
      .filter(
        (member) =>
          links.isLinked(member) ||
          directory.homes(member).includes(name) ||
          gauge.depth(queueNames.member(member)).items > 0,
      )
  }

  /** The other relays, and removed ones for which something waits still. */
  #relays(): readonly string[] {
    const { directory, gauge, name } = this.#parts
    const active = directory.activeRelays()
    return directory
      .roster()
      .relays.map((relay) => relay.name)
      .filter(
        (relay) =>
          relay !== name &&
          (active.includes(relay) ||
            gauge.depth(queueNames.forward(relay)).items > 0 ||
            gauge.depth(queueNames.awaiting(relay)).items > 0),
      )
  }

  async #peer(name: string, role: PeerRole): Promise<PeerFacts> {
    const { links, watch, gauge } = this.#parts
    const queue = role === "node" ? queueNames.member(name) : queueNames.forward(name)
    const { linkedSinceMs, downSinceMs, version, skewSeconds, refused, setAside } = watch.of(name)
    const lanes: LaneFacts[] = []
    for (const lane of queueLanes) {
      const facts = await this.#lane(queue, lane)
      if (facts.items > 0 || facts.lastError !== null) lanes.push(facts)
    }
    const sinceMs = linkedSinceMs ?? downSinceMs
    return {
      name,
      role: role === "node" ? "member" : "relay",
      linked: links.isLinked(name),
      seconds: sinceMs === undefined ? null : this.#ago(sinceMs),
      protocol: version ?? null,
      skewSeconds: skewSeconds ?? null,
      refusedLink: this.#trouble(refused),
      setAside: this.#trouble(setAside),
      lanes,
      inCustody: role === "node" ? null : { ...gauge.depth(queueNames.awaiting(name)) },
    }
  }

  async #lane(queue: string, lane: number): Promise<LaneFacts> {
    const { gauge, watch, deliveryOf } = this.#parts
    const { items, bytes } = gauge.laneDepth(queue, lane)
    const oldest = items === 0 ? undefined : await this.#oldest(queue, lane)
    const handed = deliveryOf(queue)?.handedOver(lane) ?? 0
    return {
      lane: laneWord(lane),
      items,
      bytes,
      oldestSeconds: oldest === undefined ? null : await this.#age(oldest),
      handedOver: oldest !== undefined && placeOf(oldest) <= handed,
      lastError: this.#trouble(watch.trouble(queue, lane)),
    }
  }

  async #oldest(queue: string, lane: number): Promise<StoredRecord | undefined> {
    const prefix = laneKey(queue, lane)
    const found = await this.#parts.store.range({
      gte: prefix,
      lt: afterPrefix(prefix),
      limit: 1,
    })
    return found[0]
  }

  /** Seconds since a relay accepted it; null where that is not said. */
  async #age(record: StoredRecord): Promise<number | null> {
    const since = await this.#since(record)
    return since === undefined ? null : Math.max(0, this.#parts.network.now - since)
  }

  /** When a relay accepted it; a control's or tombstone's own time. */
  async #since({ key, value }: StoredRecord): Promise<number | undefined> {
    const item: QueueItem = queueItem.decode(openRecord(key, value))
    switch (item.name) {
      case "control":
        return decodeControl(decodeSignedControl(item.control).control).at
      case "tombstone":
        return decodeReceipt(decodeTombstone(item.tombstone).receipt).at
      case "evidence":
        return item.acceptance === null ? undefined : decodeEntry(item.acceptance.entry).time
      case "message": {
        const at = messageKey(item.messageId)
        const record = await this.#parts.store.get(at)
        if (record === undefined) return undefined
        return decodeEntry(messageRecord.decode(openRecord(at, record)).acceptance.entry).time
      }
    }
  }

  #trouble(trouble: Trouble | undefined): TroubleFacts | null {
    if (trouble === undefined) return null
    const { code, atMs } = trouble
    const row = errorRow(known(code))
    return { code, sentence: row.sentence, next: row.next, secondsAgo: this.#ago(atMs) }
  }

  #ago(atMs: number): number {
    return Math.max(0, Math.round((this.#parts.clock.monotonicMs() - atMs) / 1_000))
  }
}

function known(code: string): ErrorCode {
  return isErrorCode(code) ? code : "internal"
}
