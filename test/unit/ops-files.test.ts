// The files for operators' own tools: alert rules speak of metrics that exist, log lines have their form.

import { readFile } from "node:fs/promises"
import { afterEach, expect, test } from "vitest"
import Schema from "typebox/schema"
import { RelayDoor } from "../../cli/relay-door.ts"
import { nodeMetrics } from "../../node/adapters/metrics.ts"
import type { Measured } from "../../node/core/status.ts"
import { Stage } from "../kit/running-relays.ts"

const stage = new Stage()
afterEach(async () => stage.end())

const root = new URL("../../", import.meta.url)

async function page(path: string): Promise<string> {
  return readFile(new URL(path, root), "utf8")
}

/** Every number that a node measures is 0. */
const idle = new Proxy({}, { get: () => 0 }) as Measured

test("ops/alerts.yml: every rule names metrics that relays and nodes have, and says what to do", async () => {
  await stage.world(["hub1"])
  await stage.start("hub1")
  const door = await RelayDoor.of(stage.place("hub1").dir)
  const metrics = [
    await door.text({ method: "GET", path: "/metrics" }),
    await nodeMetrics(() => idle).text(),
  ].join("\n")
  const existing = new Set(
    [...metrics.matchAll(/^# TYPE (?<name>\w+) /gmu)].map(([, name]) => name),
  )
  const rules = (await page("ops/alerts.yml")).split("- alert: ").slice(1)
  expect(rules.length).toBeGreaterThan(10)
  for (const rule of rules) {
    const [name] = rule.split("\n")
    const expression = /expr: (?<text>[\s\S]*?)\n {8}(?:for|labels):/u.exec(rule)?.groups?.["text"]
    const named = [...(expression ?? "").matchAll(/chappe_\w+/gu)].map(([metric]) => metric)
    expect([name, named.length > 0]).toEqual([name, true])
    expect([name, named.filter((metric) => !existing.has(metric))]).toEqual([name, []])
    for (const part of ["severity: ", "summary: ", "next: "]) expect(rule).toContain(part)
  }
})

test("ops/log-line.schema.json: takes lines of ids, codes and numbers, and nothing nested, long or unnamed", async () => {
  const schema = JSON.parse(await page("ops/log-line.schema.json")) as object
  const line = { level: 30, time: 1_800_000_000_000, relay: "hub1", event: "link-up", peer: "JP" }
  expect(Schema.Check(schema, line)).toBe(true)
  expect(Schema.Check(schema, { ...line, size: 3 })).toBe(true)
  for (const bad of [
    { ...line, level: 31 },
    { ...line, event: "Link up" },
    { ...line, detail: { nested: true } },
    { ...line, why: "x".repeat(2_000) },
    { ...line, id: "not hex" },
    { ...line, "a key": 1 },
    { level: 30, time: 1, event: "ready" },
  ])
    expect([bad, Schema.Check(schema, bad)]).toEqual([bad, false])
})
