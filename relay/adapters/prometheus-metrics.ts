// Counters for operators in Prometheus' text form. No label names a message, and none holds content.

import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from "prom-client"
import type { LogFigures } from "../core/log-keeping.ts"
import type { OwnFacts, PeerFacts, RelayFacts } from "../operator-facts.ts"
import type { CounterName, HistogramName, Metrics } from "../core/ports.ts"
import type { Depth } from "../core/queue-gauge.ts"

const counters: Record<CounterName, { readonly help: string; readonly labels: readonly string[] }> =
  {
    chappe_relay_submits_total: { help: "Envelopes taken into custody", labels: [] },
    chappe_relay_refusals_total: { help: "Envelopes refused, by code", labels: ["code"] },
    chappe_relay_forwards_total: { help: "Messages handed to another relay", labels: ["to"] },
    chappe_relay_deliveries_total: { help: "Messages taken by a node", labels: [] },
    chappe_relay_receipts_total: { help: "Receipt batches logged", labels: [] },
    chappe_relay_expired_total: { help: "Shares that expired undelivered", labels: [] },
    chappe_relay_undelivered_total: { help: "Shares set aside, by code", labels: ["code"] },
    chappe_relay_commits_total: { help: "Synced commits", labels: [] },
    chappe_relay_checkpoints_total: { help: "Checkpoints published, by log", labels: ["log"] },
    chappe_relay_cosignatures_total: { help: "Witness cosignatures taken", labels: [] },
    chappe_relay_links_total: { help: "Links with a verified HELLO, by role", labels: ["role"] },
    chappe_relay_strangers_total: { help: "Connections dropped before HTTP", labels: [] },
    chappe_relay_statements_total: {
      help: "Directory statements logged, by sort",
      labels: ["sort"],
    },
    chappe_relay_damaged_total: {
      help: "Messages that the disk did not give back as stored; their senders hand them over again",
      labels: [],
    },
    chappe_relay_clone_alarms_total: { help: "Nodes that came back behind themselves", labels: [] },
  }

const histograms: Record<HistogramName, { readonly help: string; readonly buckets: number[] }> = {
  chappe_relay_commit_seconds: {
    help: "Time of a synced commit",
    buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1],
  },
  chappe_relay_commit_intents: { help: "Writes in one commit", buckets: [1, 4, 16, 64, 256] },
}

export type PrometheusMetrics = Metrics & {
  /** The text form that anybody may read: it names no member. */
  readonly text: () => Promise<string>
  /** What the operator's door adds: each member's and relay's lanes and link. */
  readonly operatorText: (facts: RelayFacts) => Promise<string>
}

export function createPrometheusMetrics(facts: {
  readonly depths: () => ReadonlyMap<string, Readonly<Depth>>
  readonly links: () => number
  readonly own: () => OwnFacts
  readonly logs: () => readonly LogFigures[]
}): PrometheusMetrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  const counterOf = new Map(
    Object.entries(counters).map(([name, { help, labels }]) => [
      name,
      new Counter({ name, help, labelNames: [...labels], registers }),
    ]),
  )
  const histogramOf = new Map(
    Object.entries(histograms).map(([name, { help, buckets }]) => [
      name,
      new Histogram({ name, help, buckets, registers }),
    ]),
  )
  const depth = new Gauge({
    name: "chappe_relay_queue_items",
    // By sort only: anybody may read this page, and who has mail waiting is nobody's business.
    help: "Items waiting, by sort (m: for members here, f: towards relays, w: in a relay's custody, x: set aside)",
    labelNames: ["sort"],
    registers,
  })
  const links = new Gauge({ name: "chappe_relay_links", help: "Peers linked now", registers })
  const own = new OwnGauges(registers)
  const peers = new PeerGauges()
  return {
    count(name, labels = {}) {
      counterOf.get(name)?.inc(labels)
    },
    observe(name, value) {
      histogramOf.get(name)?.observe(value)
    },
    async text() {
      depth.reset()
      for (const [queue, { items }] of facts.depths()) depth.inc({ sort: queue.slice(0, 1) }, items)
      links.set(facts.links())
      own.set(facts.own(), facts.logs())
      return registry.metrics()
    },
    async operatorText(relay) {
      return `${await this.text()}${await peers.text(relay)}`
    },
  }
}

type GaugeOf = (name: string, help: string, labelNames?: readonly string[]) => Gauge

function gaugesIn(registers: Registry[]): GaugeOf {
  return (name, help, labelNames = []) =>
    new Gauge({ name: `chappe_relay_${name}`, help, labelNames: [...labelNames], registers })
}

/** Of the relay itself: its clock, disk and logs. */
class OwnGauges {
  readonly #offset
  readonly #free
  readonly #full
  readonly #days
  readonly #entries
  readonly #checkpoint
  readonly #witness
  readonly #witnesses

  constructor(registers: Registry[]) {
    const gauge = gaugesIn(registers)
    this.#offset = gauge("clock_offset_seconds", "Network time minus own clock")
    this.#free = gauge("disk_free_bytes", "Room on the disk")
    this.#full = gauge("disk_full", "1 while new mail is refused for want of room")
    this.#days = gauge("disk_days_left", "Days until it is full, absent while it does not fill")
    this.#entries = gauge("log_entries", "Entries of a log", ["log"])
    this.#checkpoint = gauge("checkpoint_age_seconds", "Since a log's last checkpoint", ["log"])
    this.#witness = gauge("witness_lag_seconds", "Since a witness last cosigned a log", ["log"])
    this.#witnesses = gauge("witnesses", "Who cosigned a log in the last ten minutes", ["log"])
  }

  set({ clock, disk, upSeconds }: OwnFacts, logs: readonly LogFigures[]): void {
    this.#offset.set(clock.offsetSeconds)
    this.#free.set(disk.freeBytes)
    this.#full.set(disk.isFull ? 1 : 0)
    this.#days.reset()
    if (disk.daysLeft === null) this.#days.remove()
    else this.#days.set(disk.daysLeft)
    for (const log of logs) {
      const labels = { log: log.origin }
      this.#entries.set(labels, log.entries)
      this.#checkpoint.set(labels, log.checkpointAge)
      this.#witness.set(labels, log.witnessedAge ?? upSeconds)
      this.#witnesses.set(labels, log.witnesses.length)
    }
  }
}

/** Of each peer. In a registry of their own: the open page never has them. */
class PeerGauges {
  readonly #registry = new Registry()
  readonly #items
  readonly #bytes
  readonly #oldest
  readonly #error
  readonly #linked
  readonly #skew
  readonly #custody

  constructor() {
    const gauge = gaugesIn([this.#registry])
    const lane = ["peer", "role", "lane"]
    this.#items = gauge("peer_items", "Items that wait for a peer", lane)
    this.#bytes = gauge("peer_bytes", "Bytes of bodies that wait for a peer", lane)
    this.#oldest = gauge("peer_oldest_seconds", "Since the oldest of them was accepted", lane)
    this.#error = gauge("peer_error", "1 with the code of what last went wrong", [...lane, "code"])
    this.#linked = gauge("peer_linked", "1 while the peer is linked", ["peer", "role"])
    this.#skew = gauge("peer_skew_seconds", "A peer's clock minus ours", ["peer", "role"])
    this.#custody = gauge("peer_custody_items", "In another relay's custody", ["peer", "role"])
  }

  async text({ members, relays }: RelayFacts): Promise<string> {
    this.#registry.resetMetrics()
    for (const peer of [...members, ...relays]) this.#set(peer)
    return `${await this.#registry.metrics()}\n`
  }

  #set({ name, role, linked, skewSeconds, lanes, inCustody }: PeerFacts): void {
    const peer = { peer: name, role }
    this.#linked.set(peer, linked ? 1 : 0)
    if (skewSeconds !== null) this.#skew.set(peer, skewSeconds)
    if (inCustody !== null) this.#custody.set(peer, inCustody.items)
    for (const { lane, items, bytes, oldestSeconds, lastError } of lanes) {
      const labels = { ...peer, lane }
      this.#items.set(labels, items)
      this.#bytes.set(labels, bytes)
      if (oldestSeconds !== null) this.#oldest.set(labels, oldestSeconds)
      if (lastError !== null) this.#error.set({ ...labels, code: lastError.code }, 1)
    }
  }
}
