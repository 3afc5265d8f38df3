// Counters for operators in Prometheus' text form. No label names a message, and none holds content.

import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from "prom-client"
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
  /** The text form, with the depth of each queue. */
  readonly text: () => Promise<string>
}

export function createPrometheusMetrics(facts: {
  readonly depths: () => ReadonlyMap<string, Readonly<Depth>>
  readonly links: () => number
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
      return registry.metrics()
    },
  }
}
