// What was acknowledged survives the loss of everything else: the relay's stores in memory, whose disk
// fails at its n-th operation, before or after it took effect; then a new process on what is left.

import { afterEach, describe, expect, test } from "vitest"
import { toHex } from "../../protocol/bytes.ts"
import {
  type DurableAttachments,
  openMemoryAttachmentStore,
} from "../../relay/adapters/memory-attachment-store.ts"
import { type DurableBodies, openMemoryBodyStore } from "../../relay/adapters/memory-body-store.ts"
import { MemoryDisk } from "../../relay/adapters/memory-disk.ts"
import { type DurableFiles, openMemoryLogFiles } from "../../relay/adapters/memory-log-files.ts"
import {
  type DurableRecords,
  openMemoryRecordStore,
} from "../../relay/adapters/memory-record-store.ts"
import type { RelayPorts } from "../../relay/core/relay-core.ts"
import { refusalOf } from "../kit/refusal.ts"
import { Stage } from "../kit/running-relays.ts"
import { silentJournal } from "../kit/test-node.ts"

const stage = new Stage()
afterEach(async () => stage.end())

/** The disk of one machine, whatever processes come and go. */
class Machine {
  readonly #records: DurableRecords = new Map()
  readonly #bodies: DurableBodies = new Map()
  readonly #attachments: DurableAttachments = new Map()
  readonly #files = new Map<string, DurableFiles>()

  boot(disk: MemoryDisk): Partial<RelayPorts> {
    return {
      store: openMemoryRecordStore(this.#records, disk),
      bodies: openMemoryBodyStore(this.#bodies, disk),
      attachments: openMemoryAttachmentStore(this.#attachments, disk),
      logFiles: async (prefix) => {
        const files = this.#files.get(prefix) ?? new Map<string, Uint8Array>()
        this.#files.set(prefix, files)
        return openMemoryLogFiles(files, disk)
      },
      journal: silentJournal,
    }
  }
}

describe("a power cut", () => {
  const cuts = [1, 2, 3, 4, 5, 6, 7, 8].flatMap((operation) =>
    (["before", "after"] as const).map((when) => ({ operation, when })),
  )
  test.each(cuts)("at operation $operation, $when its effect", async (cut) => {
    const world = await stage.world(["hub1"])
    const machine = new Machine()
    const disk = new MemoryDisk()
    const first = await stage.start("hub1", machine.boot(disk))
    const fr = await stage.node(world, "FR", first)
    const sent = [0, 1, 2, 3].map(() => fr.seal("hub1", { to: ["JP"] }))
    disk.failAt(cut)
    const acknowledged = new Set<string>()
    for (const submission of sent) {
      const code = await refusalOf(fr.submit("hub1", submission))
      if (code === undefined) acknowledged.add(toHex(submission.sealed.messageId))
    }
    // The disk fails at the latest when the log is published: the process says so, and ends.
    expect((await first.failed).code).toBe("storage")
    await first.stop().catch(() => undefined)

    const second = await stage.start("hub1", machine.boot(new MemoryDisk()))
    const jp = await stage.node(world, "JP", second)
    // All who may know more of its logs are there: it goes on at once.
    await stage.node(world, "HQ", second)
    await fr.connect("hub1", second.linksPort)
    // The sender does not know about the rest, and sends everything again.
    for (const submission of sent) await fr.submit("hub1", submission)
    await jp.delivery(sent.length - 1)
    const received = jp.asked.flatMap(({ message }) =>
      message.name === "deliver" ? [toHex(message.header)] : [],
    )
    expect(new Set(received).size).toBe(sent.length)
    expect(received).toHaveLength(sent.length)
    const kept = sent.filter(({ sealed }) => acknowledged.has(toHex(sealed.messageId)))
    for (const { sealed } of kept) expect(received).toContain(toHex(sealed.header))
  })

  test("what was acknowledged before it is there without being sent again", async () => {
    const world = await stage.world(["hub1"])
    const machine = new Machine()
    const disk = new MemoryDisk()
    const first = await stage.start("hub1", machine.boot(disk))
    const fr = await stage.node(world, "FR", first)
    const submission = fr.seal("hub1", { to: ["JP"] })
    await fr.submit("hub1", submission)
    disk.failAt({ operation: 1, when: "before" })
    await first.stop().catch(() => undefined)

    const second = await stage.start("hub1", machine.boot(new MemoryDisk()))
    const jp = await stage.node(world, "JP", second)
    expect(toHex((await jp.delivery()).body)).toBe(toHex(submission.sealed.body))
  })
})

describe("the call trace", () => {
  test("body, then records, then the answer", async () => {
    const world = await stage.world(["hub1"])
    const disk = new MemoryDisk()
    const relay = await stage.start("hub1", new Machine().boot(disk))
    const fr = await stage.node(world, "FR", relay)
    disk.trace.length = 0
    await fr.submit("hub1", fr.seal("hub1", { to: ["JP"] }))
    disk.trace.push("answer")
    const order = disk.trace.filter((name) => name !== "tiles" && name !== "checkpoint")
    expect(order.slice(order.indexOf("bodies"), order.indexOf("bodies") + 2)).toEqual([
      "bodies",
      "commit",
    ])
    expect(order.indexOf("answer")).toBeGreaterThan(order.indexOf("bodies") + 1)
  })
})
