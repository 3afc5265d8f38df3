// What other members and relays can make a node keep and do has bounds.

import { beforeEach, describe, expect, test } from "vitest"
import { signBatch } from "../../keys/batch-signer.ts"
import { sha256 } from "../../keys/crypto.ts"
import { channelIn, channelKey } from "../../node/core/channel.ts"
import { Records } from "../../node/core/records.ts"
import { MemoryRecordStore } from "../../node/adapters/memory-record-store.ts"
import { nodeLimits } from "../../node/limits.ts"
import { encodeAuth } from "../../protocol/batch.ts"
import { toHex } from "../../protocol/bytes.ts"
import { encodeReceipt, receiptIdOf, receiptSteps } from "../../protocol/receipt.ts"
import { countingRandom } from "../kit/counting-random.ts"
import { MemoryNode, StillClock, settle } from "../kit/memory-node.ts"
import { type EvidenceRequest, RelayDouble } from "../kit/relay-double.ts"
import { World } from "../kit/world.ts"

const at = 1_800_000_000
const world = new World({ at, members: ["BR", "FR", "HQ", "JP"] })
let clock: StillClock
let hub1: RelayDouble
let fr: MemoryNode

beforeEach(async () => {
  clock = new StillClock(at)
  hub1 = new RelayDouble("hub1", world, () => clock.seconds())
  fr = new MemoryNode(world, "FR", clock)
  await fr.start()
  await fr.link(hub1)
})

/** The relay's own word that it has lost a message, as often as told. */
function damagedAt(messageId: Uint8Array, recipientNode: string, times = 1): EvidenceRequest {
  const [key] = world.relay("hub1").keys
  if (key === undefined) throw new Error("hub1 has no key")
  const receipt = encodeReceipt({
    version: 1,
    messageId,
    recipientNode,
    step: receiptSteps.undelivered,
    reason: "damaged",
    at: clock.seconds(),
    keyId: key.keyId,
    by: "hub1",
    ref: null,
  })
  const item = { id: receiptIdOf(sha256, receipt), blind: new Uint8Array(16).fill(7) }
  const [auth] = signBatch("hub1", key, [item]).auths
  if (auth === undefined) throw new RangeError("a batch of one has one auth")
  const one = { to: "FR", messageId, receipt, auth: encodeAuth(auth) }
  const items = Array.from({ length: times }, () => one)
  return { name: "evidence", from: "hub1", items, acceptance: null }
}

const submits = (): number => hub1.asked.filter(({ message }) => message.name === "submit").length

describe("a relay that says it lost a message", () => {
  test("is given it again once for each such receipt, and not more often than now and then", async () => {
    await fr.send({ to: ["BR", "JP"] })
    await settle()
    const [messageId] = (await fr.core.outbox.byNumber(1))?.envelopes ?? []
    if (messageId === undefined) throw new Error("nothing was sealed")
    expect(submits()).toBe(1)
    await hub1.tell("FR", damagedAt(messageId, "JP", 64))
    await settle()
    expect(submits()).toBe(2)
    await hub1.tell("FR", damagedAt(messageId, "BR"))
    clock.move(11)
    await hub1.tell("FR", damagedAt(messageId, "JP"))
    await settle()
    expect(submits()).toBe(2)
  })

  test("leaves nothing here about what was not sent, or not to there", async () => {
    await fr.send()
    await settle()
    const [messageId] = (await fr.core.outbox.byNumber(1))?.envelopes ?? []
    if (messageId === undefined) throw new Error("nothing was sealed")
    const before = fr.records.size
    const other = sha256(messageId)
    for (const message of [damagedAt(other, "JP"), damagedAt(messageId, "BR")])
      expect(await hub1.tell("FR", message)).toEqual({ name: "done" })
    await settle()
    expect(fr.records.size).toBe(before)
    expect(submits()).toBe(1)
    expect(fr.lines.filter((line) => line.includes("evidence-refused"))).toHaveLength(2)
  })
})

/** A missed deadline with its outcome, at a time that never comes. */
const report = (n: number) =>
  ({
    name: "missed",
    id: new Uint8Array(16).fill(n >> 8, 0, 1).fill(n & 255, 1, 2),
    messageId: null,
    recipient: "JP",
    lane: 3,
    created: at,
    deadline: at + 60,
    expires: at + 600,
    relays: [],
    outcome: { step: "delivered", at: 0xffff_ffff },
  }) as const

describe("the desk's list", () => {
  test("keeps a bounded number of one member's that have ended, and none for ever", async () => {
    const hq = new MemoryNode(world, "HQ", clock)
    await hq.start()
    const { escalations } = hq.core
    const most = nodeLimits.escalationsClosedMax
    await escalations.take("JP", report(0))
    for (let n = 0; n < most; n++) await escalations.take("FR", report(n))
    expect(await escalations.list(true)).toHaveLength(most + 1)
    clock.move(1)
    await escalations.take("FR", report(most))
    const left = await escalations.list(true)
    expect(left).toHaveLength(most / 2 + 2)
    expect(left.filter(({ from }) => from === "JP")).toHaveLength(1)
    expect(left.some((one) => one.at === at + 1)).toBe(true)
    await escalations.forgetOld(at + 91 * 86_400)
    expect(await escalations.list(true)).toEqual([])
  }, 120_000)
})

describe("alarms", () => {
  test("of one kind about one name are bounded, over a restart too; others are still heard", async () => {
    const { alarms } = fr.core
    const most = nodeLimits.alarmsAboutOneMax
    for (let n = 0; n < most + 10; n++) await alarms.raise("channel-fork", `JP/1/0 ${n}`)
    expect(alarms.list()).toHaveLength(most)
    await fr.start()
    await fr.core.alarms.raise("channel-fork", "JP/1/3 7")
    await fr.core.alarms.raise("channel-fork", "BR/1/0 7")
    await fr.core.alarms.raise("checkpoint-mismatch", "JP 7")
    expect(fr.core.alarms.list()).toHaveLength(most + 2)
    await fr.core.alarms.clear("channel-fork", "JP/1/0 1")
    await fr.core.alarms.raise("channel-fork", "JP/1/3 7")
    expect(fr.core.alarms.list()).toHaveLength(most + 2)
  })

  test("of one kind are bounded, whatever the names", async () => {
    const { alarms } = fr.core
    for (let n = 0; n < nodeLimits.alarmsOfKindMax + 10; n++)
      await alarms.raise("statement-refused", `X${n} chain-gap`)
    expect(alarms.list()).toHaveLength(nodeLimits.alarmsOfKindMax)
  })

  test("of a clone end its key for good", async () => {
    const { keyId } = world.member("FR").node
    await fr.core.alarms.raise("clone", `hub1 ${toHex(keyId)}`)
    expect(fr.core.alarms.isCloned(keyId)).toBe(true)
    await fr.start()
    expect(fr.core.alarms.isCloned(keyId)).toBe(true)
    expect(fr.core.alarms.isCloned(new Uint8Array(16))).toBe(false)
  })
})

test("a channel with as many gaps as are remembered raises an alarm before one is forgotten", async () => {
  const jp = new MemoryNode(world, "JP", clock)
  const { dataKey } = world.member("JP")
  const store = new MemoryRecordStore(jp.records)
  const random = countingRandom("gaps")
  const records = new Records({ store, dataKey, random, onFailure: () => undefined })
  const others = Array.from({ length: 1_022 }, (_, i) => ({ first: 2 * i + 5, last: 2 * i + 5 }))
  const channel = channelKey("FR", world.member("FR").incarnation, 0)
  const missing = [{ first: 1, last: 3 }, ...others]
  const table = records.table("channel-in", channelIn)
  await records.commit([table.put(channel, { last: 3_000, lastId: null, missing })])
  await jp.start()
  await jp.link(hub1)
  for (const subject of ["one", "two"]) await fr.send({ subject })
  await settle()
  const [, two] = hub1.mail.splice(0)
  if (two === undefined) throw new Error("nothing was sent")
  expect(jp.core.alarms.list()).toEqual([])
  await hub1.tell("JP", two.message)
  expect(await jp.subjects()).toEqual(["two"])
  expect(jp.core.alarms.list()).toMatchObject([{ kind: "gaps-full", subject: channel }])
})
