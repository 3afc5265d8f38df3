// Numbers for operators, in Prometheus' text form. No label names a person, a subject or a message.

import { Gauge, Registry, collectDefaultMetrics } from "prom-client"
import type { Measured } from "../core/status.ts"

const help: Readonly<Record<keyof Measured, string>> = {
  links: "relays with a link",
  outboxActive: "envelopes without all receipts",
  outboxUnsealed: "messages that wait for keys",
  receiptsOpen: "receipt batches that no relay has logged",
  inboxHeld: "messages held for a gap in their channel",
  inboxGaps: "runs of numbers that are missing in a channel",
  escalationsOpen: "deadlines missed by members, at the desk",
  proofsWanted: "log entries without an inclusion proof",
  clockOffsetSeconds: "network time minus own clock",
  alarms: "alarms that stand",
  diskFreeBytes: "room on the disk",
  diskFull: "1 while nothing new is taken for want of room",
}

const names = [
  "links",
  "outboxActive",
  "outboxUnsealed",
  "receiptsOpen",
  "inboxHeld",
  "inboxGaps",
  "escalationsOpen",
  "proofsWanted",
  "clockOffsetSeconds",
  "alarms",
  "diskFreeBytes",
  "diskFull",
] as const satisfies readonly (keyof Measured)[]

export type Metrics = { readonly contentType: string; readonly text: () => Promise<string> }

export function nodeMetrics(measure: () => Measured): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  for (const name of names) {
    const gauge: Gauge = new Gauge({
      name: `chappe_node_${name.replace(/[A-Z]/gu, (letter) => `_${letter.toLowerCase()}`)}`,
      help: help[name],
      registers: [registry],
      collect: () => gauge.set(measure()[name]),
    })
  }
  return { contentType: registry.contentType, text: () => registry.metrics() }
}
