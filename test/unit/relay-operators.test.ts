// What operators see of a relay and do with it, at its own door.

import { stat } from "node:fs/promises"
import { join } from "node:path"
import { afterEach, describe, expect, test } from "vitest"
import { RelayDoor } from "../../cli/relay-door.ts"
import { explain } from "../../cli/relay/explanation.ts"
import { toHex } from "../../protocol/bytes.ts"
import { ChappeError } from "../../protocol/errors.ts"
import {
  type LaneFacts,
  type MemberFacts,
  type ProbeFacts,
  type RelayFacts,
  memberFacts,
  probeFacts,
  relayFacts,
} from "../../relay/operator-facts.ts"
import { DiskForecast } from "../../relay/core/disk-forecast.ts"
import { refusalOf } from "../kit/refusal.ts"
import { Stage } from "../kit/running-relays.ts"
import { seedOf } from "../kit/world.ts"

const stage = new Stage()
afterEach(async () => stage.end())

async function doorOf(relay: string): Promise<RelayDoor> {
  return RelayDoor.of(stage.place(relay).dir)
}

async function statusOf(relay: string): Promise<RelayFacts> {
  return (await doorOf(relay)).ask({ method: "GET", path: "/status" }, relayFacts)
}

async function whyOf(relay: string, member: string): Promise<MemberFacts> {
  return (await doorOf(relay)).ask({ method: "GET", path: `/members/${member}` }, memberFacts)
}

async function probe(relay: string, member: string): Promise<ProbeFacts> {
  const path = `/members/${member}/probe`
  return (await doorOf(relay)).ask({ method: "POST", path }, probeFacts)
}

describe("the operator's door", () => {
  test("is a socket for the relay's user alone, and gone with the process", async () => {
    await stage.world(["hub1"])
    const relay = await stage.start("hub1")
    const run = join(stage.place("hub1").dir, "run")
    expect((await stat(join(run, "operator.sock"))).mode & 0o777).toBe(0o600)
    expect((await stat(run)).mode & 0o777).toBe(0o700)
    await relay.stop()
    expect(await refusalOf(statusOf("hub1"))).toBe("relay-down")
  })

  test("tells what waits for whom, in which lane and since when", async () => {
    const world = await stage.world(["hub1"])
    const relay = await stage.start("hub1")
    const fr = await stage.node(world, "FR", relay)
    await fr.submit("hub1", fr.seal("hub1", { to: ["JP"], lane: 3 }))
    await fr.submit("hub1", fr.seal("hub1", { to: ["JP"], lane: 0 }))
    const { own, members, logs } = await statusOf("hub1")
    expect(own).toMatchObject({ relay: "hub1", clock: { isOff: false }, disk: { isFull: false } })
    const jp = members.find(({ name }) => name === "JP")
    expect(jp).toMatchObject({ linked: false, seconds: null })
    expect(jp?.lanes.map(({ lane, items }) => `${items} ${lane}`)).toEqual(["1 flash", "1 routine"])
    expect(jp?.lanes[0]?.oldestSeconds).toBeLessThan(60)
    expect(jp?.lanes[0]?.bytes).toBeGreaterThan(0)
    expect(members.find(({ name }) => name === "FR")).toMatchObject({ linked: true })
    expect(logs.map(({ origin }) => origin.split("/")[1])).toEqual(["directory", "traffic"])
    expect(logs[0]?.entries).toBeGreaterThan(0)
  })

  test("counts what a restart finds on disk, lane by lane", async () => {
    const world = await stage.world(["hub1"])
    const before = await stage.start("hub1")
    const fr = await stage.node(world, "FR", before)
    await fr.submit("hub1", fr.seal("hub1", { to: ["JP"], lane: 2 }))
    await before.stop()
    await stage.start("hub1")
    const jp = (await statusOf("hub1")).members.find(({ name }) => name === "JP")
    expect(jp?.lanes).toMatchObject([{ lane: "immediate", items: 1 }])
  })

  test("says why: not linked, then linked and answering a code, then waiting for the receipt", async () => {
    const world = await stage.world(["hub1"])
    const relay = await stage.start("hub1")
    const fr = await stage.node(world, "FR", relay)
    await fr.submit("hub1", fr.seal("hub1", { to: ["JP"], lane: 3 }))
    const away = explain(await whyOf("hub1", "JP"))
    expect(away.says).toContain("1 flash message")
    expect(away.says).toContain("It has not been linked since this relay started")
    expect(away.next).toContain("call JP")

    const jp = await stage.node(world, "JP")
    let isBroken = true
    jp.answer = async (message) => {
      if (message.name === "deliver" && isBroken) throw new ChappeError("busy")
      return { name: "done" }
    }
    await jp.connect("hub1", relay.linksPort)
    await expect.poll(async () => explain(await whyOf("hub1", "JP")).says).toContain("`busy`")

    isBroken = false
    await expect
      .poll(async () => explain(await whyOf("hub1", "JP")).says, { timeout: 20_000 })
      .toContain("its signed receipt is waited for")
  })

  test("says which other relay has custody, and what was set aside and why", async () => {
    const world = await stage.world(["hub1", "hub2"])
    const [hub1, hub2] = [await stage.start("hub1"), await stage.start("hub2")]
    await stage.linked(hub1, hub2)
    const fr = await stage.node(world, "FR", hub1)
    const far = world.member("JP").homes[0] === "hub2" ? "JP" : "HQ"
    expect(world.member(far).homes[0]).toBe("hub2")
    await fr.submit("hub1", fr.seal("hub1", { to: [far] }))
    await expect
      .poll(async () => explain(await whyOf("hub1", far)).says)
      .toContain("in the custody of hub2")
    expect(explain(await whyOf("hub1", far)).next).toContain("hub2")

    const node = await stage.node(world, far)
    node.answer = async (message) => {
      if (message.name === "deliver") throw new ChappeError("not-for-me")
      return { name: "done" }
    }
    await node.connect("hub2", hub2.linksPort)
    await expect
      .poll(async () => explain(await whyOf("hub2", far)).says)
      .toContain("was set aside because")
    expect(await refusalOf(whyOf("hub1", "XX"))).toBe("unknown-member")
  })

  test("probes a node end to end, also through the relay where it is linked, and believes its key only", async () => {
    const world = await stage.world(["hub1", "hub2"])
    const [hub1, hub2] = [await stage.start("hub1"), await stage.start("hub2")]
    await stage.linked(hub1, hub2)
    expect(await refusalOf(probe("hub1", "JP"))).toBe("not-linked")
    expect(await refusalOf(probe("hub1", "XX"))).toBe("unknown-member")

    const jp = await stage.node(world, "JP", hub2)
    jp.answer = async (message) => (message.name === "probe" ? jp.echo(message) : { name: "done" })
    expect(await probe("hub1", "JP")).toMatchObject({ relay: "hub1", via: "hub2", member: "JP" })
    const direct = await probe("hub2", "JP")
    expect(direct).toMatchObject({ via: null, keyId: toHex(world.member("JP").node.keyId) })
    expect(direct.roundTripMs).toBeGreaterThan(0)

    // Another node's word, and an answer to another probe.
    const fr = await stage.node(world, "FR")
    jp.answer = async (message) => (message.name === "probe" ? fr.echo(message) : { name: "done" })
    expect(await refusalOf(probe("hub2", "JP"))).toBe("signature")
    jp.answer = async (message) =>
      message.name === "probe" ? jp.echo({ ...message, nonce: seedOf("old") }) : { name: "done" }
    expect(await refusalOf(probe("hub1", "JP"))).toBe("signature")
    jp.answer = async (message) =>
      message.name === "probe" ? jp.echo({ ...message, relay: "hub1" }) : { name: "done" }
    expect(await refusalOf(probe("hub2", "JP"))).toBe("signature")
  })

  test("has each member's lanes in its metrics, which the open page never names", async () => {
    const world = await stage.world(["hub1"])
    const relay = await stage.start("hub1")
    const fr = await stage.node(world, "FR", relay)
    await fr.submit("hub1", fr.seal("hub1", { to: ["JP"], lane: 3 }))
    const text = await (await doorOf("hub1")).text({ method: "GET", path: "/metrics" })
    expect(text).toContain('chappe_relay_peer_items{peer="JP",role="member",lane="flash"} 1')
    expect(text).toContain("chappe_relay_disk_free_bytes ")
    expect(text).toContain('chappe_relay_witness_lag_seconds{log="hub1/directory"}')
    expect(text).not.toContain("chappe_relay_disk_days_left 0")
  })
})

const own: MemberFacts["own"] = {
  relay: "hub1",
  version: "0",
  at: 1_800_000_000,
  upSeconds: 100,
  clock: { offsetSeconds: 0, isOff: false, isAgreed: true, logWaitsSeconds: null },
  disk: { freeBytes: 1, isFull: false, daysLeft: null },
  scrub: { rounds: 1, damaged: [], mended: [] },
}
const flash: LaneFacts = {
  lane: "flash",
  items: 2,
  bytes: 1_000,
  oldestSeconds: 250,
  handedOver: false,
  lastError: null,
}
const waiting: MemberFacts = {
  own,
  member: {
    name: "JP",
    role: "member",
    linked: true,
    seconds: 30,
    protocol: 1,
    skewSeconds: 0,
    refusedLink: null,
    setAside: null,
    lanes: [flash],
    inCustody: null,
  },
  status: "active",
  homes: ["hub1"],
  elsewhere: [],
  asideItems: 0,
}

describe("why", () => {
  test("a clock that is off comes before everything, the relay's own first", () => {
    const skewed = { ...waiting, member: { ...waiting.member, skewSeconds: -412 } }
    expect(explain(skewed)).toEqual({
      says: "2 flash messages, the oldest for 4 min 10 s, wait for JP at hub1. It is linked, for 30 s. JP's clock is 6 min 52 s behind ours: it holds everything until that is mended.",
      next: "tell JP's operator to set that machine's clock",
    })
    const clock = { offsetSeconds: 500, isOff: true, isAgreed: false, logWaitsSeconds: null }
    const off = { ...skewed, own: { ...own, clock } }
    expect(explain(off).next).toContain("set this machine's clock")
  })

  test("a full disk, a suspension, a refused link and a member without homes are said", () => {
    const full = { ...waiting, own: { ...own, disk: { ...own.disk, isFull: true } } }
    expect(explain(full).next).toContain("make room")
    expect(explain({ ...waiting, status: "suspended" }).says).toContain("has JP as suspended")
    expect(explain({ ...waiting, homes: [] }).says).toContain("no-relay")
    const refusedLink = { code: "hello", sentence: "it is not", next: "look", secondsAgo: 5 }
    const refused = { ...waiting.member, linked: false, seconds: 60, refusedLink }
    expect(explain({ ...waiting, member: refused })).toEqual({
      says: "2 flash messages, the oldest for 4 min 10 s, wait for JP at hub1. It has not been linked for 1 min. JP tried 5 s ago and the link was not made: it is not (`hello`).",
      next: "tell JP's operator: look",
    })
  })

  test("where nothing waits it says so, and what to ask", () => {
    const idle = { ...waiting, member: { ...waiting.member, lanes: [] } }
    expect(explain(idle).says).toBe("Nothing waits for JP at hub1. It is linked, for 30 s.")
    expect(explain(idle).next).toContain("chappe trace")
  })
})

describe("the disk's forecast", () => {
  test("follows the rate of the last day, and says nothing before an hour or while nothing fills", () => {
    const hourMs = 3_600_000
    const disk = new DiskForecast()
    disk.take(0, 10_000_000_000)
    disk.take(hourMs / 2, 9_000_000_000)
    expect(disk.daysLeft).toBeUndefined()
    disk.take(hourMs, 9_900_000_000)
    // 0.1 GB an hour of 9.9 GB less the reserve: 98.8 hours.
    expect(disk.daysLeft).toBeCloseTo(4.118, 2)
    disk.take(2 * hourMs, 11_000_000_000)
    expect(disk.daysLeft).toBeUndefined()
  })
})
