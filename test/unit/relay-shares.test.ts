// Each recipient's share has its own fate: what a relay says of one must be true, and stop no other.

import { afterEach, expect, test } from "vitest"
import { RelayDoor } from "../../cli/relay-door.ts"
import { fromHex, toHex } from "../../protocol/bytes.ts"
import { decodeEntry } from "../../protocol/entry.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { decodeReceipt, receiptSteps } from "../../protocol/receipt.ts"
import {
  type DurableAttachments,
  openMemoryAttachmentStore,
} from "../../relay/adapters/memory-attachment-store.ts"
import { type DurableBodies, openMemoryBodyStore } from "../../relay/adapters/memory-body-store.ts"
import {
  type DurableRecords,
  openMemoryRecordStore,
} from "../../relay/adapters/memory-record-store.ts"
import { isFinal } from "../../relay/core/admit-submit.ts"
import { Controls } from "../../relay/core/controls.ts"
import type { Peer } from "../../relay/core/links.ts"
import { queueKey } from "../../relay/core/mail.ts"
import { Refusal } from "../../relay/core/peer-link.ts"
import type { RecordStore } from "../../relay/core/ports.ts"
import { QueueGauge } from "../../relay/core/queue-gauge.ts"
import { ReceiptDesk, type ReceiptParts } from "../../relay/core/receipt-desk.ts"
import { type QueueItem, queueItem, queueNames } from "../../relay/core/records.ts"
import { openRecord, recordKey, sealRecord } from "../../relay/core/tables.ts"
import { relayLimits } from "../../relay/limits.ts"
import { relayFacts } from "../../relay/operator-facts.ts"
import type { RunningRelay } from "../../relay/start.ts"
import { refusalOf } from "../kit/refusal.ts"
import { Stage } from "../kit/running-relays.ts"
import { TestNode, silentJournal } from "../kit/test-node.ts"
import { World, seedOf } from "../kit/world.ts"

const hasRoom = (): boolean => true

type ControlParts = ConstructorParameters<typeof Controls>[0]

const stage = new Stage()
afterEach(async () => stage.end())

/** `step recipient reason` of what the node was told. */
function stepsAt(node: TestNode): readonly string[] {
  const names = new Map(Object.entries(receiptSteps).map(([name, step]) => [step as number, name]))
  return node.asked
    .flatMap(({ message }) => (message.name === "evidence" ? message.items : []))
    .filter(({ auth }) => auth !== null)
    .map(({ receipt }) => decodeReceipt(receipt))
    .map(({ step, recipientNode, reason }) => `${names.get(step)} ${recipientNode} ${reason ?? ""}`)
}

async function told(node: TestNode, step: string): Promise<void> {
  await node.until(() => (stepsAt(node).includes(step) ? true : undefined))
}

/** Disks of one relay that a test looks at and changes between two starts. */
class Disks {
  readonly records: DurableRecords = new Map()
  readonly bodies: DurableBodies = new Map()
  readonly attachments: DurableAttachments = new Map()

  ports() {
    return {
      store: openMemoryRecordStore(this.records),
      bodies: openMemoryBodyStore(this.bodies),
      attachments: openMemoryAttachmentStore(this.attachments),
      journal: silentJournal,
    }
  }

  put(queue: string, lane: number, item: QueueItem): string {
    const key = queueKey(queue, lane, 1_000_000)
    this.records.set(toHex(key), sealRecord(key, queueItem.encode(item)))
    return toHex(key)
  }

  /** As if more waited for the member than it may have. */
  fill(member: string): string {
    const bytes = relayLimits.memberBytesMax + 1
    const item = { name: "message", messageId: seedOf(member), nodes: [member], bytes } as const
    return this.put(queueNames.member(member), 0, item)
  }
}

test("a known message whose share cannot be queued again is refused for now, not said to be in custody", async () => {
  const world = await stage.world(["hub1"])
  const disks = new Disks()
  const relay = await stage.start("hub1", disks.ports())
  const fr = await stage.node(world, "FR", relay)
  const file = new Uint8Array(1_000).fill(7)
  const attachments = [await fr.upload("hub1", file)]
  const submission = fr.seal("hub1", { to: ["JP"], attachments })
  const first = await fr.submit("hub1", submission)
  disks.attachments.clear()
  const jp = await stage.node(world, "JP", relay)
  await told(fr, "undelivered JP damaged")

  expect(await refusalOf(fr.submit("hub1", submission))).toBe("attachments-missing")
  await fr.upload("hub1", file)
  expect((await fr.submit("hub1", submission)).promise).toBe(first.promise)
  expect(toHex((await jp.delivery()).header)).toBe(toHex(submission.sealed.header))
})

test("one recipient's full queue keeps nobody else's share back, and is filled again when there is room", async () => {
  const world = await stage.world(["hub1"])
  const disks = new Disks()
  await (await stage.start("hub1", disks.ports())).stop()
  const filled = disks.fill("JP")
  const full = await stage.start("hub1", disks.ports())
  const fr = await stage.node(world, "FR", full)
  const hq = await stage.node(world, "HQ", full)
  const submission = fr.seal("hub1", { to: ["HQ", "JP"] })
  await fr.submit("hub1", submission)
  await hq.delivery()
  await told(fr, "undelivered JP busy")
  const alone = fr.seal("hub1", { to: ["JP"] })
  expect(await refusalOf(fr.submit("hub1", alone))).toBe("busy")
  expect(await refusalOf(fr.submit("hub1", submission))).toBe("busy")
  await full.stop()

  disks.records.delete(filled)
  const roomy = await stage.start("hub1", disks.ports())
  const again = await stage.node(world, "FR", roomy)
  await again.submit("hub1", submission)
  const jp = await stage.node(world, "JP", roomy)
  expect(toHex((await jp.delivery()).header)).toBe(toHex(submission.sealed.header))
})

test("a share that was settled while its node refused it is not told as undelivered", async () => {
  const world = await stage.world(["hub1"])
  const relay = await stage.start("hub1")
  const fr = await stage.node(world, "FR", relay)
  const jp = await stage.node(world, "JP", relay)
  const receipt = async (messageId: Uint8Array): Promise<void> => {
    const receipts = jp.receipts("hub1", [{ messageId, to: "FR" }])
    expect((await jp.link("hub1").request(5, receipts)).name).toBe("accepted")
  }
  const submission = fr.seal("hub1", { to: ["JP"] })
  jp.answer = async (message) => {
    if (message.name !== "deliver") return { name: "done" }
    jp.answer = async () => ({ name: "done" })
    await receipt(submission.sealed.messageId)
    throw new ChappeError("not-for-me")
  }
  await fr.submit("hub1", submission)
  await told(fr, "delivered JP ")
  const next = fr.seal("hub1", { to: ["JP"] })
  await fr.submit("hub1", next)
  await jp.delivery()
  await receipt(next.sealed.messageId)
  await fr.until(() => (stepsAt(fr).length >= 2 ? true : undefined))
  expect(stepsAt(fr)).toEqual(["delivered JP ", "delivered JP "])
})

test("what is refused for good is signed and logged also when no queue leads to its sender", async () => {
  const world = await stage.world(["hub1"], { homeless: ["FR"] })
  const disks = new Disks()
  const relay = await stage.start("hub1", disks.ports())
  const fr = await stage.node(world, "FR", relay)
  const times = { created: world.at - 200, expires: world.at - 1 }
  expect(await refusalOf(fr.submit("hub1", fr.seal("hub1", { to: ["JP"], ...times })))).toBe(
    "expired",
  )
  const kinds = [...disks.records]
    .filter(([key]) => key.startsWith(toHex(recordKey("entry"))))
    .map(([key, value]) => decodeEntry(openRecord(fromHex(key), value)).kind)
  expect(kinds).toContain("relay-receipts")
})

test("a relay in trouble refuses nothing for good", async () => {
  const world = await stage.world(["hub1"])
  let isDamaged = false
  const whole = openMemoryRecordStore()
  const store: RecordStore = {
    ...whole,
    get: async (key) => {
      if (isDamaged) throw new ChappeError("damaged", "a table is not what was written")
      return whole.get(key)
    },
  }
  const relay = await stage.start("hub1", { store, journal: silentJournal })
  const fr = await stage.node(world, "FR", relay)
  isDamaged = true
  const refused = await fr
    .submit("hub1", fr.seal("hub1", { to: ["JP"] }))
    .catch((cause: unknown) => cause)
  expect(refused).toBeInstanceOf(Refusal)
  expect(refused).toMatchObject({ isFinal: false })
  expect(
    ["key-expired", "log-root", "storage", "internal"].some((code) => isFinal(code as never)),
  ).toBe(false)
})

test("what waits is counted for whom and by whom, until it is taken", () => {
  const gauge = new QueueGauge()
  const [here, there] = [queueNames.member("JP"), queueNames.forward("hub2")]
  const mail = { name: "message", messageId: seedOf("m"), nodes: ["JP", "KE"], bytes: 700 } as const
  const one = { to: "JP", messageId: null, receipt: new Uint8Array(500), auth: null }
  const evidence = { name: "evidence", from: "FR", items: [one, one], acceptance: null } as const
  const control = { name: "control", to: "JP", control: new Uint8Array(90) } as const
  for (const item of [mail, evidence, control]) gauge.add(there, 4, item)
  gauge.add(here, 4, control)
  gauge.add(queueNames.awaiting("hub2"), 1, mail)
  gauge.add(queueNames.aside, 1, mail)
  expect([gauge.mailFor("JP"), gauge.mailFor("KE"), gauge.wordsFor("JP")]).toEqual([700, 700, 180])
  expect(gauge.receiptsOf("FR")).toBeGreaterThan(1_000)
  expect(gauge.depth(here).bytes).toBe(90)
  for (const item of [mail, evidence, control]) gauge.remove(there, 4, item)
  expect([gauge.mailFor("JP"), gauge.wordsFor("JP"), gauge.receiptsOf("FR")]).toEqual([0, 90, 0])
})

test("a member has a bound for its receipts that wait, and for the controls that wait for it", async () => {
  const world = new World({ at: 1_800_000_000 })
  const directory = world.directory()
  const fr = new TestNode(world, "FR")
  const gauge = new QueueGauge()
  const network = { isAgreed: true, now: world.at }
  const committer = {
    commit: async (plan: (draft: unknown) => Promise<() => unknown>) =>
      (await plan({ facts: {} }))(),
  }
  const parts = { directory, gauge, hasRoom, network, committer } as unknown
  const links = { isLinked: () => true }
  const written: QueueItem[] = []
  const mail = {
    enqueue: async (_draft: unknown, _queue: string, _lane: number, item: QueueItem) =>
      void written.push(item),
  }
  const controls = new Controls({
    ...(parts as ControlParts),
    links,
    mail,
  } as unknown as ControlParts)
  const peer = { name: "FR", role: "node" } as Peer
  await controls.take(peer, fr.control("JP"))
  expect(written).toHaveLength(1)
  const heap = {
    name: "control",
    to: "JP",
    control: new Uint8Array(relayLimits.memberWordsBytesMax + 1),
  } as const
  gauge.add(queueNames.forward("hub2"), 4, heap)
  expect(await refusalOf(controls.take(peer, fr.control("JP")))).toBe("busy")
  await controls.take(peer, fr.control("HQ"))

  const log = { own: { origin: "hub1/directory" }, directorySize: 1 }
  const logs = { directory: log, traffic: log }
  const desk = new ReceiptDesk({ ...(parts as ReceiptParts), logs } as unknown as ReceiptParts)
  const sealed = { to: "JP", messageId: null, receipt: new Uint8Array(9), auth: null }
  const request = { ...fr.receipts("hub1", [{ messageId: seedOf("m"), to: "JP" }]), request: 1 }
  const receipts = { ...request, root: null, items: [sealed] }
  const waiting = { ...sealed, receipt: new Uint8Array(relayLimits.memberReceiptsBytesMax) }
  gauge.add(queueNames.member("JP"), 4, {
    name: "evidence",
    from: "FR",
    items: [waiting],
    acceptance: null,
  })
  expect(await refusalOf(desk.take("FR", receipts))).toBe("busy")
})

test("a full disk takes what lets something go, and nothing else", async () => {
  const world = await stage.world(["hub1"])
  const disks = new Disks()
  let free = 2 ** 40
  const ports = disks.ports()
  const bodies = { ...ports.bodies, freeBytes: async () => free }
  const relay = await stage.start("hub1", { ...ports, bodies })
  const fr = await stage.node(world, "FR", relay)
  const hq = await stage.node(world, "HQ", relay)
  const submission = fr.seal("hub1", { to: ["HQ"] })
  const { messageId } = submission.sealed
  await fr.submit("hub1", submission)
  await hq.delivery()
  free = 1
  const control = async (): Promise<string | undefined> =>
    refusalOf(fr.link("hub1").request(5, { name: "control", control: fr.control("JP") }))
  await expect.poll(control, { timeout: 15_000 }).toBe("busy")
  const times = { created: world.at - 200, expires: world.at - 1 }
  const expired = fr.seal("hub1", { to: ["JP"], ...times })
  expect(await refusalOf(fr.submit("hub1", expired))).toBe("busy")
  const useless = hq.receipts("hub1", [{ messageId: seedOf("no message"), to: "FR" }])
  expect(await refusalOf(hq.link("hub1").request(5, useless))).toBe("busy")
  const { origin, seq } = useless.statement
  hq.startAt(origin, seq - 1)
  const receipts = hq.receipts("hub1", [{ messageId, to: "FR" }])
  expect((await hq.link("hub1").request(5, receipts)).name).toBe("accepted")
})

async function inCustodyOf(relay: string, asked: string): Promise<number | undefined> {
  const door = await RelayDoor.of(stage.place(asked).dir)
  const { relays } = await door.ask({ method: "GET", path: "/status" }, relayFacts)
  return relays.find(({ name }) => name === relay)?.inCustody?.items
}

test("each relay that forwarded a part of a message hears that the part was delivered", async () => {
  const hubs = ["hub1", "hub2", "hub3"]
  const world = await stage.world(hubs, { members: ["BR", "DE", "FR", "HQ", "JP", "KE"] })
  const disks = new Map(hubs.map((hub) => [hub, new Disks()]))
  for (const [hub, own] of disks) await (await stage.start(hub, own.ports())).stop()
  // Of the two that are at home at hub3, hub1 takes only FR's share and hub2 only KE's.
  disks.get("hub1")?.fill("KE")
  disks.get("hub2")?.fill("FR")
  const relays: RunningRelay[] = []
  for (const [hub, own] of disks) relays.push(await stage.start(hub, own.ports()))
  await stage.linked(...relays)
  const [hub1, hub2, hub3] = relays
  if (hub1 === undefined || hub2 === undefined || hub3 === undefined) throw new Error("three")
  const br = await stage.node(world, "BR", hub1, hub2)
  const submission = br.seal("hub1", { to: ["FR", "KE"], lane: 3 })
  const { messageId } = submission.sealed
  await br.submit("hub1", submission)
  await told(br, "custody FR ")
  const { origin } = world.relay("hub2").trafficLog
  const statement = br.statement("envelope", origin, messageId)
  await br.link("hub2").request(4, { ...submission.request, statement })
  await told(br, "custody KE ")
  for (const name of ["FR", "KE"]) {
    const node = await stage.node(world, name, hub3)
    await node.delivery()
    const receipts = node.receipts("hub3", [{ messageId, to: "BR" }])
    expect((await node.link("hub3").request(5, receipts)).name).toBe("accepted")
  }
  for (const hub of ["hub1", "hub2"])
    await expect.poll(async () => inCustodyOf("hub3", hub), { timeout: 20_000 }).toBe(0)
}, 60_000)
