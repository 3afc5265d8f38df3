// What waits for a relay that stays away goes around it: the urgent first, and past what cannot go.

import { expect, test } from "vitest"
import { openMemoryRecordStore } from "../../relay/adapters/memory-record-store.ts"
import type { Draft } from "../../relay/core/draft.ts"
import { queueKey } from "../../relay/core/mail.ts"
import type { RecordStore } from "../../relay/core/ports.ts"
import { QueueGauge } from "../../relay/core/queue-gauge.ts"
import { queueItem, queueNames } from "../../relay/core/records.ts"
import { Retargeting } from "../../relay/core/retargeting.ts"
import { sealRecord } from "../../relay/core/tables.ts"
import { seedOf } from "../kit/world.ts"

type Parts = ConstructorParameters<typeof Retargeting>[0]

const dead = queueNames.forward("hub2")

/** Messages that wait for hub2: `lane`, and for whom. */
async function waiting(
  messages: readonly { readonly lane: number; readonly node: string }[],
): Promise<{ readonly store: RecordStore; readonly gauge: QueueGauge }> {
  const store = openMemoryRecordStore()
  const gauge = new QueueGauge()
  const ops = messages.map(({ lane, node }, i) => {
    const item = { name: "message", messageId: seedOf(`${i}`), nodes: [node], bytes: 1 } as const
    gauge.add(dead, lane, item)
    const key = queueKey(dead, lane, i + 1)
    return { type: "put", key, value: sealRecord(key, queueItem.encode(item)) } as const
  })
  await store.commit(ops)
  return { store, gauge }
}

function retargeting(
  { store, gauge }: { readonly store: RecordStore; readonly gauge: QueueGauge },
  moved: (node: string) => void,
): Retargeting {
  const draft = { has: async (key: Uint8Array) => (await store.get(key)) !== undefined }
  const parts = {
    store,
    gauge,
    committer: {
      commit: async (plan: (draft: Draft) => Promise<() => void>) => {
        ;(await plan(draft as Draft))()
      },
    },
    mail: { move: async (_draft: Draft, _id: Uint8Array, node: string) => moved(node) },
    links: { downMs: () => 60_000 },
    routes: {
      self: "hub1",
      queueAround: (_relay: string, node: string) =>
        node === "ONLY-THERE" ? undefined : queueNames.forward("hub3"),
    },
  }
  return new Retargeting(parts as unknown as Parts)
}

test("a flash goes around a dead relay before all that is routine", async () => {
  const routine = Array.from({ length: 200 }, () => ({ lane: 0, node: "JP" }))
  const moved: string[] = []
  const around = retargeting(await waiting([...routine, { lane: 3, node: "HQ" }]), (node) => {
    moved.push(node)
  })
  await around.sweep()
  expect(moved[0]).toBe("HQ")
})

test("what has no other way keeps nothing behind it back", async () => {
  const stuck = Array.from({ length: 3_000 }, () => ({ lane: 2, node: "ONLY-THERE" }))
  const moved: string[] = []
  const around = retargeting(await waiting([...stuck, { lane: 2, node: "HQ" }]), (node) => {
    moved.push(node)
  })
  for (let turn = 0; turn < 4; turn++) await around.sweep()
  expect(moved).toContain("HQ")
})
