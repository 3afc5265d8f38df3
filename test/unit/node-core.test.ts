// The node's smaller decisions, each by itself.

import { beforeEach, describe, expect, test } from "vitest"
import { sha256 } from "../../keys/crypto.ts"
import { dayOf } from "../../keys/prekey-period.ts"
import { MemoryRecordStore } from "../../node/adapters/memory-record-store.ts"
import {
  type ChannelIn,
  judgePlace,
  newChannel,
  nextPlace,
  passedOver,
  settled,
} from "../../node/core/channel.ts"
import { sealingKeyAt, signingKeyAt } from "../../node/core/identity.ts"
import { isHigher, overall, rungs } from "../../node/core/ladder.ts"
import { keepUp } from "../../node/core/node-core.ts"
import { Records } from "../../node/core/records.ts"
import { rolesOf } from "../../node/core/sessions.ts"
import { WaitingStatements } from "../../node/core/waiting-statements.ts"
import { fromUtf8, readU64, utf8 } from "../../protocol/bytes.ts"
import { zeroHash } from "../../protocol/chain.ts"
import { formatCheckpointText } from "../../protocol/checkpoint.ts"
import { text } from "../../protocol/codec.ts"
import { cosignatureTime } from "../../protocol/cosignature.ts"
import { limits } from "../../protocol/limits.ts"
import {
  cosignNote,
  formatNote,
  parseSignatureLines,
  signNote,
} from "../../protocol/signed-note.ts"
import { consistencyPath, leafHash, treeRoot } from "../../protocol/tree.ts"
import { encodeAddCheckpoint } from "../../protocol/witness-request.ts"
import { verify } from "../../keys/ed25519.ts"
import { chainStatement, linkBody, nodeBody } from "../kit/chains.ts"
import { countingRandom } from "../kit/counting-random.ts"
import { MemoryNode, StillClock, settle } from "../kit/memory-node.ts"
import { refusalOf } from "../kit/refusal.ts"
import { RelayDouble } from "../kit/relay-double.ts"
import { World, seededKey } from "../kit/world.ts"

const at = 1_800_000_000
const id = (number: number): Uint8Array => new Uint8Array(32).fill(number)
const place = (channelSeq: number, prev: number) => ({
  channelSeq,
  channelPrev: prev === 0 ? zeroHash : id(prev),
})

describe("a channel", () => {
  test("begins at 1 with 32 zero bytes, and each message names the one before", () => {
    expect(nextPlace(undefined)).toEqual(place(1, 0))
    expect(nextPlace({ seq: 1, id: id(1) })).toEqual(place(2, 1))
  })

  test("takes the next, holds what is ahead, and knows two for one place", () => {
    const one = settled(newChannel, place(1, 0), id(1))
    expect(judgePlace(newChannel, place(1, 0))).toEqual({ kind: "next" })
    expect(judgePlace(one, place(2, 1))).toEqual({ kind: "next" })
    expect(judgePlace(one, place(2, 9))).toEqual({ kind: "fork" })
    expect(judgePlace(one, place(1, 0))).toEqual({ kind: "fork" })
    expect(judgePlace(one, place(5, 4))).toEqual({ kind: "hold", first: 2, last: 4 })
  })

  test("takes late what was passed over, each number once", () => {
    const over: ChannelIn = passedOver(settled(newChannel, place(1, 0), id(1)), 4)
    expect(judgePlace(over, place(4, 3))).toEqual({ kind: "next" })
    const four = settled(over, place(4, 3), id(4))
    expect(judgePlace(four, place(3, 2))).toEqual({ kind: "late" })
    const three = settled(four, place(3, 2), id(3))
    expect(judgePlace(three, place(3, 2))).toEqual({ kind: "fork" })
    expect(judgePlace(three, place(2, 1))).toEqual({ kind: "late" })
    expect(judgePlace(three, place(5, 4))).toEqual({ kind: "next" })
  })
})

test("a channel remembers 1,024 gaps, also when a late message parts one of them", () => {
  let channel: ChannelIn = newChannel
  for (let seq = 4; seq <= 4 * 1_024; seq += 4)
    channel = settled(passedOver(channel, seq), place(seq, 0), id(1))
  expect(channel.missing).toHaveLength(1_024)
  expect(settled(channel, place(4_094, 0), id(2)).missing).toHaveLength(1_024)
})

describe("the ladder", () => {
  test("only rises, and what a person did outranks relays", () => {
    for (const [i, lower] of rungs.entries())
      for (const [j, higher] of rungs.entries()) expect(isHigher(higher, lower)).toBe(j > i)
    expect(isHigher("delivered", "expired")).toBe(true)
  })

  test("shows the least of all recipients, and a failure first", () => {
    expect(overall(["delivered", "queued"])).toBe("queued")
    expect(overall(["delivered", "forwarded"])).toBe("custody")
    expect(overall(["answered", "opened"])).toBe("opened")
    expect(overall(["answered", "rejected", "queued"])).toBe("rejected")
  })
})

function recordsOn(durable: Map<string, Uint8Array>, seed = 1): Records {
  return new Records({
    store: new MemoryRecordStore(durable),
    dataKey: new Uint8Array(32).fill(seed),
    random: countingRandom("records"),
    onFailure: () => undefined,
  })
}

describe("records at rest", () => {
  test("tell nothing, and open only in their own place under their own key", async () => {
    const durable = new Map<string, Uint8Array>()
    const table = recordsOn(durable).table("t", text(100))
    await recordsOn(durable).commit([table.put("a", "CANARY one"), table.put("b", "CANARY two")])
    for (const [key, value] of durable)
      expect(key + fromUtf8(value.map((byte) => byte & 0x7f))).not.toContain("CANARY")
    expect(await table.get("a")).toBe("CANARY one")
    const [a, b] = [durable.get("t/a"), durable.get("t/b")]
    if (a === undefined || b === undefined) throw new Error("two records")
    durable.set("t/a", b)
    expect(await refusalOf(table.get("a"))).toBe("tampered")
    durable.set(
      "t/a",
      a.map((byte, i) => (i === 30 ? byte ^ 1 : byte)),
    )
    expect(await refusalOf(table.get("a"))).toBe("tampered")
    durable.set("t/a", a)
    expect(await refusalOf(recordsOn(durable, 2).table("t", text(100)).get("a"))).toBe("tampered")
    expect(await refusalOf(recordsOn(durable).table("u", text(100)).get("a"))).toBeUndefined()
  })

  test("that fail once fail for ever, and say so to whoever ends the process", async () => {
    let told = ""
    const broken = new Records({
      store: new MemoryRecordStore(new Map(), { commit: 1, when: "before" }),
      dataKey: new Uint8Array(32),
      random: countingRandom("records"),
      onFailure: ({ code }) => (told = code),
    })
    const table = broken.table("t", text(9))
    const both = [broken.commit([table.put("a", "1")]), broken.commit([table.put("b", "2")])]
    expect(await Promise.all(both.map(refusalOf))).toEqual(["storage", "storage"])
    expect(await refusalOf(table.get("a"))).toBe("storage")
    expect(told).toBe("storage")
  })
})

describe("a node", () => {
  const world = new World({ at, members: ["FR", "HQ", "JP"] })
  let clock: StillClock
  let hub1: RelayDouble
  let fr: MemoryNode

  beforeEach(async () => {
    clock = new StillClock(at)
    hub1 = new RelayDouble("hub1", world, () => clock.seconds())
    fr = new MemoryNode(world, "FR", clock)
    await fr.start()
  })

  test("holds everything while its clock is off, and goes on when it is right", async () => {
    await fr.link(hub1)
    const other = new RelayDouble("hub2", world, () => clock.seconds() + 400 * 86_400)
    await fr.link(other)
    fr.core.clock.heard("hub1", clock.seconds() + 400 * 86_400)
    expect(fr.core.clock.isOff).toBe(true)
    await fr.send()
    await settle()
    await keepUp(fr.core)
    expect(hub1.mail).toEqual([])
    expect(fr.core.alarms.list().map(({ kind }) => kind)).toContain("clock-off")
    fr.core.clock.heard("hub1", clock.seconds())
    fr.core.clock.heard("hub2", clock.seconds())
    await keepUp(fr.core)
    await settle()
    fr.core.dispatcher.pump()
    await settle()
    expect(hub1.mail.length + other.mail.length).toBe(1)
    expect(fr.core.alarms.list()).toEqual([])
  })

  test("knows at once that its own clock jumped, and that it is right again, while its links stay", async () => {
    await fr.link(hub1)
    await fr.link(new RelayDouble("hub2", world, () => clock.seconds()))
    const right = clock.seconds.bind(clock)
    clock.seconds = () => right() + 400 * 86_400
    expect(fr.core.clock.isOff).toBe(true)
    expect(fr.core.clock.now()).toBe(right())
    clock.move(60)
    expect(fr.core.clock.now()).toBe(right())
    clock.seconds = right
    expect(fr.core.clock.isOff).toBe(false)
  })

  test("takes the time from the quorum's cosignatures, and two liars of three are needed to move it", async () => {
    const asked = new World({ at, members: ["FR", "HQ", "JP"] })
    asked.askForQuorum(2)
    const hub = new RelayDouble("hub1", asked, () => clock.seconds())
    const node = new MemoryNode(asked, "FR", clock)
    await node.start()
    await node.link(hub)
    const { origin, log } = asked.relay("hub1").trafficLog
    const show = async (size: number, times: Readonly<Record<string, number>>) => {
      const body = formatCheckpointText({ origin, size, root: id(size) })
      const lines = Object.entries(times).map(([name, time]) => {
        const { key, sign } = asked.member(name).witness
        return cosignNote(key, body, time, sign)
      })
      const signatures = [signNote(log.key, body, log.sign), ...lines]
      const checkpoint = formatNote({ text: body, signatures })
      return await hub.tell("FR", { name: "cosignatures", origin, checkpoint })
    }
    const year = 400 * 86_400
    expect(await show(1, { FR: at, HQ: at + year, JP: at - 10 })).toEqual({ name: "done" })
    expect(node.core.clock.offsetSeconds).toBe(0)
    // Whatever the relay says for itself.
    node.core.clock.heard("hub1", at + year)
    node.core.clock.heard("hub2", at + year)
    expect(node.core.clock.offsetSeconds).toBe(0)
    expect(node.core.clock.isConfirmed).toBe(true)
    await show(2, { FR: at, HQ: at + year, JP: at + year })
    expect(node.core.clock.offsetSeconds).toBe(year)
    await keepUp(node.core)
    expect(node.core.alarms.list().map(({ kind }) => kind)).toContain("clock-off")
    await show(3, { FR: at, HQ: at, JP: at })
    await keepUp(node.core)
    expect(node.core.alarms.list()).toEqual([])
  })

  test("publishes prekeys four weeks ahead, once, and hands out only what its chain names", async () => {
    await fr.link(hub1)
    const last = (): number =>
      Math.max(
        ...(fr.core.directory.station("FR")?.keys ?? []).flatMap(({ prekeys }) =>
          prekeys.map(({ firstDay }) => firstDay + limits.prekeyPeriodDays - 1),
        ),
      )
    expect(last() - dayOf(at)).toBeGreaterThanOrEqual(limits.prekeyAheadDays)
    const before = last()
    await keepUp(fr.core)
    expect(last()).toBe(before)
    clock.move(29 * 86_400)
    await keepUp(fr.core)
    expect(last()).toBe(before + limits.prekeyPeriodDays)
    expect(fr.core.alarms.list()).toEqual([])
  })

  test("erases a day's secret by network time only", async () => {
    const [period] = world.member("FR").periods
    const hash = fr.core.directory.prekeyFor("FR", dayOf(at))?.hash
    if (period === undefined || hash === undefined) throw new Error("no prekeys")
    const held = (): boolean => fr.core.prekeys.secret(hash.slice(0, 16)) !== undefined
    clock.move(17 * 86_400)
    await keepUp(fr.core)
    expect(held()).toBe(true)
    await fr.link(hub1)
    await keepUp(fr.core)
    expect(held()).toBe(false)
    await fr.start()
    expect(held()).toBe(false)
  })

  test("gives each log number once, also after a restart", async () => {
    await fr.link(hub1)
    await fr.send()
    await settle()
    const { keyId } = world.member("FR").node
    const origin = fr.core.statements.originOf("hub1")
    const before = fr.core.statements.highest(keyId, origin)
    expect(before).toBeGreaterThan(0)
    await fr.start()
    const next = await fr.core.statements.prepare("journal", new Uint8Array(32), origin, false)
    expect(next.statement.seq).toBe(before + 1)
  })

  test("erases no secret while a relay disagrees with its clock", async () => {
    const hash = fr.core.directory.prekeyFor("FR", dayOf(at))?.hash
    if (hash === undefined) throw new Error("no prekeys")
    const held = (): boolean => fr.core.prekeys.secret(hash.slice(0, 16)) !== undefined
    await fr.link(hub1)
    clock.move(17 * 86_400)
    fr.core.clock.heard("hub1", clock.seconds())
    fr.core.clock.heard("hub2", clock.seconds() - 17 * 86_400)
    expect(fr.core.clock.isOff).toBe(false)
    await keepUp(fr.core)
    expect(held()).toBe(true)
    fr.core.clock.heard("hub2", clock.seconds())
    await keepUp(fr.core)
    expect(held()).toBe(false)
  })

  test("stops sealing 14 days before its key ends; then its standby is the next incarnation", async () => {
    await fr.link(hub1)
    const { identity, directory } = fr.core
    const end = world.at + 80 * 86_400
    expect(sealingKeyAt(identity, directory, end - 15 * 86_400)).toBeDefined()
    expect(sealingKeyAt(identity, directory, end - 13 * 86_400)).toBeUndefined()
    expect(signingKeyAt(identity, directory, end - 13 * 86_400)).toBeDefined()
    clock.move(100 * 86_400)
    await keepUp(fr.core)
    expect(directory.currentIncarnation("FR")).toBe(2)
    expect(sealingKeyAt(identity, directory, clock.seconds())).toBeDefined()
    expect(fr.core.alarms.list().map(({ kind }) => kind)).toContain("standby-used")
  })

  test("keeps a bounded number of statements that do not fit yet, of each relay by itself", async () => {
    const waiting = new WaitingStatements()
    const early = { kind: "chain", statement: numbered(0) } as const
    waiting.add("hub1/directory", early)
    for (let i = 1; i <= 600; i++) {
      waiting.add("hub2", { kind: "chain", statement: numbered(i) })
      waiting.add("hub2", { kind: "chain", statement: numbered(i) })
    }
    expect(waiting.count).toBe(513)
    const offered: string[] = []
    waiting.retry((one) => {
      offered.push(fromUtf8(one.statement))
      return one.statement === early.statement
    })
    expect(offered[0]).toBe("0")
    expect(offered[1]).toBe("89")
    expect(waiting.count).toBe(512)
  })

  test("takes a statement that came before its predecessor, once that is here", async () => {
    const other = new World({ at, members: ["FR", "HQ", "JP"] })
    const node = new MemoryNode(other, "FR", new StillClock(at))
    const core = await node.start()
    const first = other.extendRoot("JP", "relays", { names: ["hub2"] })
    const second = other.extendRoot("JP", "relays", { names: ["hub1"] })
    core.follower.learn(second.kind, second.statement, "hub2")
    expect(core.follower.waitingCount).toBe(1)
    core.follower.learn(first.kind, first.statement, "hub1")
    expect(core.follower.waitingCount).toBe(0)
    expect(core.directory.homes("JP")).toEqual(["hub1"])
  })

  test("alarms on a statement in its own chain that it did not make", async () => {
    await fr.link(hub1)
    const own = fr.core.alarms.list().length
    const link = world.extendRoot("FR", "relays", { names: ["hub2"] })
    fr.core.follower.learn(link.kind, link.statement)
    await settle()
    expect(
      fr.core.alarms
        .list()
        .slice(own)
        .map(({ kind }) => kind),
    ).toEqual(["own-chain"])
  })

  test("reads its own statements again in the order in which it took them", async () => {
    const { root, rootChain } = world.member("FR")
    let end = { ...rootChain }
    const ids: Uint8Array[] = []
    for (const label of ["a", "b", "c", "d", "e", "f"]) {
      const key = seededKey("node", label)
      const naming = chainStatement("FR", end, "node", nodeBody("FR", key), [root])
      const own = { seq: -1, prev: naming.id }
      const linking = chainStatement("FR", own, "link", linkBody("FR", label), [key])
      for (const { statement, id: made } of [naming, linking]) {
        await fr.core.enrolment.publish(statement)
        ids.push(made)
      }
      end = { seq: end.seq + 1, prev: naming.id }
    }
    await fr.start()
    expect(ids.every((made) => fr.core.directory.has(made))).toBe(true)
    expect(fr.core.alarms.list()).toEqual([])
  })

  test("takes no alarm from what an ended key said before another log heard of its end", async () => {
    await fr.link(hub1)
    const alarms = fr.core.alarms.list().length
    const { nodeChain, node } = world.member("HQ")
    const late = chainStatement("HQ", nodeChain, "link", linkBody("HQ", "late"), [node])
    fr.core.follower.learn("chain", world.revocation("HQ", node.keyId).statement)
    fr.core.follower.learn("chain", late.statement)
    await settle()
    expect(fr.core.alarms.list()).toHaveLength(alarms)
    expect(fr.core.directory.has(fr.core.directory.idOf("chain", late.statement))).toBe(false)
  })

  test("signs its officers in by their key files, and waits after wrong secrets", async () => {
    const secret = world.member("FR").dataKey
    const { sessions } = fr.core
    const { token, session } = await sessions.open("duty", secret)
    expect(rolesOf(session.officer)).toEqual(["officer", "releaser"])
    expect(sessions.require(token).officer.officer).toBe("FR/duty")
    expect(await refusalOf(sessions.open("nobody", secret))).toBe("unknown-officer")
    for (let i = 0; i < 5; i++)
      expect(await refusalOf(sessions.open("duty", id(7)))).toBe("passphrase")
    expect(await refusalOf(sessions.open("duty", secret))).toBe("rate-limit")
    clock.move(31)
    await sessions.open("duty", secret)
    clock.move(16 * 60)
    expect(() => sessions.require(token)).toThrow("no valid session")
    clock.move(100 * 86_400)
    expect(await refusalOf(sessions.open("duty", secret))).toBe("key-expired")
    const { keyId } = session.officer
    fr.core.follower.learn("chain", world.revocation("FR", keyId).statement)
    expect(await refusalOf(sessions.open("duty", secret))).toBe("officer-revoked")
  })

  test("keeps a journal that shows what was changed, taken out or cut off", async () => {
    const { journal } = fr.core
    await fr.link(hub1)
    for (const action of ["read", "list", "export"])
      await journal.write({ officer: "FR/duty", action, subject: "x", purpose: "case 12" })
    await journal.anchor()
    expect(await journal.verify()).toEqual({ kind: "intact", entries: 3, anchors: 1 })
    const key = "journal/00000002"
    const kept = fr.records.get(key)
    if (kept === undefined) throw new Error("no record")
    fr.records.set(
      key,
      kept.map((byte, i) => (i === 50 ? byte ^ 1 : byte)),
    )
    expect(await journal.verify()).toMatchObject({ kind: "broken", seq: 2 })
    fr.records.delete(key)
    expect(await journal.verify()).toMatchObject({ kind: "broken", seq: 2 })
    fr.records.set(key, kept)
    fr.records.delete("journal/00000003")
    expect(await journal.verify()).toMatchObject({ kind: "broken", seq: 3 })
    await fr.start()
    expect(await fr.core.journal.verify()).toMatchObject({ kind: "broken", seq: 3 })
  })

  test("logs its journal's head only when it changed", async () => {
    const { journal } = fr.core
    await fr.link(hub1)
    const anchors = (): number =>
      hub1.asked.filter(({ message }) => message.name === "journal").length
    await journal.anchor()
    expect(anchors()).toBe(0)
    await journal.write({ officer: "FR/duty", action: "read", subject: "x", purpose: "" })
    await journal.anchor()
    await journal.anchor()
    expect(anchors()).toBe(1)
  })

  describe("as a witness", () => {
    const log = world.relay("hub1").trafficLog
    const leaves = Array.from({ length: 9 }, (_, i) => leafHash(sha256, id(i)))
    const note = (size: number, other = 0): Uint8Array => {
      const root = treeRoot(sha256, [...leaves.slice(0, size - other), ...leaves.slice(0, other)])
      const body = formatCheckpointText({ origin: log.origin, size, root })
      return formatNote({ text: body, signatures: [signNote(log.log.key, body, log.log.sign)] })
    }
    const request = (old: number, size: number, other = 0): string =>
      fromUtf8(
        encodeAddCheckpoint({
          old,
          path: consistencyPath(sha256, leaves.slice(0, size), old),
          checkpoint: note(size, other),
        }),
      )
    const ask = async (body: string) => {
      const answer = await hub1.tell("FR", { name: "checkpoint", origin: log.origin, body })
      return answer.name === "cosigned" ? answer : undefined
    }

    test("cosigns what continues, tells its size, and refuses the rest", async () => {
      await fr.link(hub1)
      const first = await ask(request(0, 3))
      expect(first?.status).toBe(200)
      const [line] = parseSignatureLines(first?.body ?? "")
      const key = world.member("FR").witness
      const body = fromUtf8(note(3)).split("\n\n")[0] ?? ""
      expect(
        cosignatureTime({
          verify,
          publicKey: key.publicKey,
          text: `${body}\n`,
          payload: line?.payload ?? id(0),
        }),
      ).toBe(at)
      expect(await ask(request(0, 5))).toMatchObject({ status: 409, body: "3\n" })
      expect(await ask(request(3, 5))).toMatchObject({ status: 200 })
      expect(
        await ask(fromUtf8(encodeAddCheckpoint({ old: 5, path: [], checkpoint: note(7) }))),
      ).toMatchObject({
        status: 422,
      })
      expect(await ask("old five\n")).toMatchObject({ status: 400 })
      expect((await ask(request(5, 7).replace("hub1", "hub2")))?.status).toBe(403)
    })

    test("says its own clock's time, and nothing while that is off", async () => {
      await fr.link(hub1)
      clock.move(120)
      // Network time is what witnesses say: one that repeated it would draw it away.
      fr.core.clock.heard("hub1", clock.seconds() + 200)
      fr.core.clock.heard("hub2", clock.seconds() + 200)
      expect(fr.core.clock.now()).toBe(at + 320)
      const [line] = parseSignatureLines((await ask(request(0, 3)))?.body ?? "")
      expect(readU64(line?.payload ?? id(0), 0)).toBe(at + 120)
      for (const relay of ["hub1", "hub2"]) fr.core.clock.heard(relay, clock.seconds() + 400)
      expect((await ask(request(3, 5)))?.status).toBe(403)
    })

    test("remembers across a restart, and a second history is an alarm with both notes", async () => {
      await fr.link(hub1)
      await ask(request(0, 5))
      await fr.start()
      await fr.link(hub1)
      expect(await ask(request(5, 5))).toMatchObject({ status: 200 })
      expect((await ask(request(5, 5, 2)))?.status).toBe(422)
      const [alarm] = fr.core.alarms.list()
      expect(alarm).toMatchObject({ kind: "log-fork", evidence: [note(5), note(5, 2)] })
      expect((await ask(request(3, 4)))?.status).toBe(409)
      expect(fr.core.alarms.list().map(({ kind }) => kind)).toContain("log-rollback")
    })
  })

  test("knows that a directory log gives other entries than its relay signs", async () => {
    await fr.link(hub1)
    const size = hub1.statements.length
    const { log, origin } = world.relay("hub1").directoryLog
    const body = formatCheckpointText({ origin, size, root: id(9) })
    const note = formatNote({ text: body, signatures: [signNote(log.key, body, log.sign)] })
    await fr.core.follower.confirmCheckpoint(fr.core.follower.open(note, origin), note)
    expect(fr.core.alarms.list()).toMatchObject([{ kind: "log-fork" }])
  })

  test("keeps its directory across a restart, placed as the log has it", async () => {
    await fr.link(hub1)
    const { origin } = world.relay("hub1").directoryLog
    const size = fr.core.follower.sizeOf(origin)
    expect(size).toBeGreaterThanOrEqual(world.statements.length)
    await fr.start()
    expect(fr.core.follower.sizeOf(origin)).toBe(size)
    const places = { origin, size }
    expect(fr.core.directory.isActiveMember("JP", places)).toBe(true)
  })
})

function numbered(i: number): Uint8Array {
  return utf8(`${i}`)
}
