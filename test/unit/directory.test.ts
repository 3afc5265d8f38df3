import { describe, expect, it } from "vitest"
import { crypto } from "../../keys/crypto.ts"
import { dayOf } from "../../keys/prekey-period.ts"
import { possessionOf, signRoster } from "../../keys/statements.ts"
import { toHex } from "../../protocol/bytes.ts"
import { zeroHash } from "../../protocol/chain.ts"
import { Directory } from "../../protocol/directory.ts"
import { limits } from "../../protocol/limits.ts"
import { decodeMultiSigned } from "../../protocol/multi-signed.ts"
import {
  addTo,
  at,
  chainStatement,
  days,
  linkBody,
  nodeBody,
  officerBody,
  placedDirectory,
} from "../kit/chains.ts"
import { codeOf } from "../kit/refusal.ts"
import { World, seededKey } from "../kit/world.ts"

const hub1 = "hub1/directory"
const hub2 = "hub2/directory"
const newWorld = (): World => new World({ at, members: ["FR", "HQ"] })
const chain = (statement: Uint8Array) => ({ kind: "chain", statement }) as const

describe("taking statements in", () => {
  it("takes each once and gives them back in an order that can be taken in again", () => {
    const world = newWorld()
    const directory = world.directory()
    for (const { kind, statement } of world.statements)
      expect(directory.apply(kind, statement).kind).toBe("known")
    const again = new Directory(crypto, world.anchor)
    for (const { kind, statement } of directory.statements()) again.apply(kind, statement)
    expect(again.statements()).toEqual(directory.statements())
  })

  it("refuses chains of strangers, policies that no roster names, and anything before a roster", () => {
    const world = newWorld()
    const stranger = world.newcomer("XX", ["hub1"]).statements[0]
    const directory = world.directory()
    expect(codeOf(() => directory.apply("chain", stranger?.statement ?? zeroHash))).toBe(
      "unknown-member",
    )
    expect(codeOf(() => directory.apply("policy", Uint8Array.of(1)))).toBe("statement")
    const empty = new Directory(crypto, world.anchor)
    expect(empty.hasRoster).toBe(false)
    expect(codeOf(() => empty.roster())).toBe("roster")
    const member = world.statements.find(({ kind }) => kind === "chain")
    expect(codeOf(() => empty.apply("chain", member?.statement ?? zeroHash))).toBe("unknown-member")
  })

  it("keeps both sides of a fork, signed, once each", () => {
    const world = newWorld()
    const directory = world.directory()
    const { root, rootChain } = world.member("FR")
    const place = { seq: rootChain.seq - 1, prev: zeroHash }
    const rival = chainStatement("FR", place, "relays", { names: ["hub2"] }, [root])
    for (let i = 0; i < 3; i++)
      expect(codeOf(() => directory.apply("chain", rival.statement))).toBe("chain-fork")
    expect(directory.forks()).toHaveLength(1)
    const [fork] = directory.forks()
    expect(fork?.kind).toBe("root-chain")
    expect(fork?.second).toEqual(rival.statement)
    expect(decodeMultiSigned(fork?.second ?? zeroHash).signatures).toHaveLength(1)
    expect(directory.has(new Uint8Array(32))).toBe(false)
  })
})

describe("a key at a place", () => {
  const world = newWorld()
  const { node } = world.member("FR")
  const named = world.statements.findIndex(
    ({ statement }) =>
      toHex(statement).includes(toHex(node.publicKey)) &&
      toHex(statement).includes(toHex(Uint8Array.of(0xa4, 0x6e, 0x6f, 0x64, 0x65))),
  )
  const length = world.statements.length

  it("counts behind its naming and before its revocation, in each log by itself", () => {
    const directory = placedDirectory(world)
    // The second log got the naming earlier and the revocation later.
    const ids = directory.statements().map(({ id }) => id)
    ids.forEach((id, i) => directory.place(hub2, i === named ? 1 : i + 2, id))
    const revocation = addTo(directory, world.revocation("FR", node.keyId), { [hub1]: length })
    const valid = (origin: string, size: number): boolean =>
      directory.stationKeyAt("FR", node.keyId, { origin, size }, at).kind === "valid"
    expect(valid(hub1, named)).toBe(false)
    expect(valid(hub1, named + 1)).toBe(true)
    expect(valid(hub1, length)).toBe(true)
    expect(valid(hub1, length + 1)).toBe(false)
    expect(valid(hub2, length + 100)).toBe(true)
    directory.place(hub2, length + 50, revocation)
    expect(valid(hub2, length + 50)).toBe(true)
    expect(valid(hub2, length + 51)).toBe(false)
    expect(valid("hub9/directory", 1_000)).toBe(false)
    expect(directory.stationKeyAt("FR", node.keyId, "now", at).kind).toBe("invalid")
    expect(directory.isRevokedAnywhere("FR", node.keyId)).toBe(true)
    expect(directory.isRevokedAnywhere("HQ", node.keyId)).toBe(false)
  })

  it("is `sender-key`, not another code, where the log does not even have a roster", () => {
    const directory = placedDirectory(world)
    const place = { origin: hub1, size: 0 }
    expect(codeOf(() => directory.requireStationKey("FR", node.keyId, place, at))).toBe(
      "sender-key",
    )
    const officer = world.member("FR").officers[0]
    const check = () =>
      directory.requireOfficer("FR", officer?.id ?? "", officer?.key.keyId ?? zeroHash, place, at)
    expect(codeOf(check)).toBe("officer-key")
  })

  it("counts within its life only, and only for who named it and for its use", () => {
    const directory = placedDirectory(world)
    const valid = (name: string, keyId: Uint8Array, time: number): boolean =>
      directory.stationKeyAt(name, keyId, "now", time).kind === "valid"
    expect(directory.ownerOf(node.keyId)).toBe("FR")
    expect(directory.ownerOf(world.member("FR").link.keyId)).toBe(undefined)
    expect(valid("FR", node.keyId, at - days(1))).toBe(true)
    expect(valid("FR", node.keyId, at - days(1) - 1)).toBe(false)
    expect(valid("FR", node.keyId, at + days(80))).toBe(true)
    expect(valid("FR", node.keyId, at + days(80) + 1)).toBe(false)
    expect(valid("HQ", node.keyId, at)).toBe(false)
    expect(valid("XX", node.keyId, at)).toBe(false)
    for (const other of [world.member("FR").link, world.member("FR").officers[0]?.key])
      expect(valid("FR", other?.keyId ?? zeroHash, at)).toBe(false)
  })

  it("does not depend on what another member revokes", () => {
    const directory = placedDirectory(newWorld())
    addTo(directory, world.revocation("HQ", node.keyId))
    expect(directory.stationKeyAt("FR", node.keyId, "now", at).kind).toBe("valid")
    const { nodeChain } = world.member("FR")
    const more = chainStatement("FR", nodeChain, "link", linkBody("FR", "new"), [node])
    expect(codeOf(() => directory.apply("chain", more.statement))).toBe(undefined)
  })
})

describe("incarnations", () => {
  it("end at the first statement of the standby key's own chain", () => {
    const world = newWorld()
    const { node, standby, rootChain, nodeChain } = world.member("FR")
    const directory = placedDirectory(world)
    const length = world.statements.length
    expect(directory.currentIncarnation("FR")).toBe(1)
    expect(directory.stationKeyAt("FR", standby.keyId, "now", at).kind).toBe("invalid")
    const naming = world.statements.find(({ statement }) =>
      toHex(statement).includes(toHex(standby.publicKey)),
    )
    const prev = directory.idOf("chain", naming?.statement ?? zeroHash)
    expect(rootChain.seq).toBeGreaterThan(1)
    const first = chainStatement("FR", { seq: -1, prev }, "link", linkBody("FR", "restored"), [
      standby,
    ])
    addTo(directory, chain(first.statement), { [hub1]: length })
    expect(directory.currentIncarnation("FR")).toBe(2)
    const kindAt = (keyId: Uint8Array, size: number | "now"): string =>
      directory.stationKeyAt("FR", keyId, size === "now" ? size : { origin: hub1, size }, at).kind
    expect(kindAt(standby.keyId, length)).toBe("invalid")
    expect(kindAt(standby.keyId, length + 1)).toBe("valid")
    expect(kindAt(node.keyId, length)).toBe("valid")
    expect(kindAt(node.keyId, length + 1)).toBe("invalid")
    expect(kindAt(node.keyId, "now")).toBe("invalid")
    // What the ended incarnation says afterwards does not count, and its link keys are strangers.
    const late = chainStatement("FR", nodeChain, "link", linkBody("FR", "clone"), [node])
    expect(codeOf(() => directory.apply("chain", late.statement))).toBe("key-ended")
    expect(directory.linkOwner(world.member("FR").link.publicKey, at)).toBe(undefined)
    expect(directory.linkOwner(seededKey("link", "restored").publicKey, at)?.name).toBe("FR")
    // Its prekeys go on: the seeds are in the backup.
    expect(directory.prekeyFor("FR", dayOf(at))?.exact).toBe(true)
  })

  it("give an activated standby key a node key's life", () => {
    const world = newWorld()
    const { standby } = world.member("FR")
    const directory = placedDirectory(world)
    const naming = world.statements.find(({ statement }) =>
      toHex(statement).includes(toHex(standby.publicKey)),
    )
    const prev = directory.idOf("chain", naming?.statement ?? zeroHash)
    const first = chainStatement("FR", { seq: -1, prev }, "link", linkBody("FR", "restored"), [
      standby,
    ])
    addTo(directory, chain(first.statement))
    const kindAt = (time: number): string =>
      directory.stationKeyAt("FR", standby.keyId, "now", time).kind
    expect(kindAt(at + limits.nodeKeySecondsMax)).toBe("valid")
    expect(kindAt(at + limits.nodeKeySecondsMax + 1)).toBe("invalid")
  })
})

describe("officers at a place", () => {
  it("are those named and not revoked there", () => {
    const world = newWorld()
    const directory = placedDirectory(world)
    const length = world.statements.length
    const duty = world.member("FR").officers[0]
    if (duty === undefined) throw new Error("no officer")
    addTo(directory, world.revocation("FR", duty.key.keyId), { [hub1]: length })
    const codeAt = (size: number, member = "FR", officer = duty.id, time = at) =>
      codeOf(() =>
        directory.requireOfficer(member, officer, duty.key.keyId, { origin: hub1, size }, time),
      )
    expect(codeAt(length)).toBe(undefined)
    expect(codeAt(length + 1)).toBe("officer-key")
    expect(codeAt(length, "HQ")).toBe("officer-key")
    expect(codeAt(length, "FR", "FR/other")).toBe("officer-key")
    expect(codeAt(length, "FR", duty.id, at + days(81))).toBe("officer-key")
    expect(directory.officers("FR", at).map(({ officer }) => officer)).not.toContain(duty.id)
  })

  it("are renewed by naming the same key again, and the newest naming there counts", () => {
    const world = newWorld()
    const duty = world.member("FR").officers[0]
    if (duty === undefined) throw new Error("no officer")
    const directory = placedDirectory(world)
    const length = world.statements.length
    const body = officerBody(duty.id, duty.key, { notAfter: at + days(85), capabilities: [] })
    addTo(directory, world.extendRoot("FR", "officer", body), { [hub1]: length })
    const officerAt = (size: number, time: number) =>
      directory.requireOfficer("FR", duty.id, duty.key.keyId, { origin: hub1, size }, time)
    expect(officerAt(length + 1, at + days(84)).capabilities).toEqual([])
    expect(officerAt(length, at).capabilities).not.toEqual([])
  })
})

describe("link keys", () => {
  const world = newWorld()
  const { link, node } = world.member("FR")

  it("have an owner until they expire or are revoked, or their node key is", () => {
    const directory = world.directory()
    expect(directory.linkOwner(link.publicKey, at)?.name).toBe("FR")
    expect(directory.linkOwner(link.publicKey, at + days(81))).toBe(undefined)
    expect(directory.linkOwner(node.publicKey, at)).toBe(undefined)
    expect(directory.linkOwner(world.relay("hub1").link.publicKey, at)?.role).toBe("relay")
    directory.apply("chain", world.revocation("FR", link.keyId).statement)
    expect(directory.linkOwner(link.publicKey, at)).toBe(undefined)
    expect(directory.linkKeys("FR", at)).toEqual([])
    const second = world.directory()
    second.apply("chain", world.revocation("FR", node.keyId).statement)
    expect(second.linkOwner(link.publicKey, at)).toBe(undefined)
    expect(second.linkKeys("FR", at)).toEqual([])
  })

  it("may be named again by the next node key", () => {
    const own = newWorld()
    const directory = own.directory()
    const next = seededKey("node", "FR next")
    const naming = own.extendRoot("FR", "node", nodeBody("FR", next))
    const { id } = directory.apply("chain", naming.statement)
    const body = {
      key: link.publicKey,
      notAfter: at + days(85),
      possession: possessionOf("FR", link),
    }
    const again = chainStatement("FR", { seq: -1, prev: id }, "link", body, [next])
    directory.apply("chain", again.statement)
    expect(directory.linkOwner(link.publicKey, at + days(84))?.name).toBe("FR")
    directory.apply("chain", own.revocation("FR", node.keyId).statement)
    expect(directory.linkOwner(link.publicKey, at)?.name).toBe("FR")
  })

  it("of a removed member are strangers; of a suspended one they still count", () => {
    const own = newWorld()
    const directory = own.directory()
    const withStatus = (status: 1 | 2) =>
      own.roster.members.map((member) => (member.node === "FR" ? { ...member, status } : member))
    directory.apply("roster", own.nextRoster({ members: withStatus(1) }).statement)
    expect(directory.linkOwner(link.publicKey, at)?.name).toBe("FR")
    expect(directory.isActiveMember("FR")).toBe(false)
    expect(directory.activeMembers().map((member) => member.node)).toEqual(["HQ"])
    expect(codeOf(() => directory.requireActive(["HQ", "FR"]))).toBe("unknown-recipient")
    directory.apply("roster", own.nextRoster({ members: withStatus(2) }).statement)
    expect(directory.linkOwner(link.publicKey, at)).toBe(undefined)
  })
})

describe("prekeys", () => {
  const today = dayOf(at)

  it("are found by day, else the last published before it", () => {
    const directory = newWorld().directory()
    const exact = directory.prekeyFor("FR", today)
    expect(exact).toMatchObject({ exact: true, day: today })
    expect(directory.isPublishedPrekey("FR", exact?.hash ?? zeroHash)).toBe(true)
    expect(directory.isPublishedPrekey("HQ", exact?.hash ?? zeroHash)).toBe(false)
    expect(directory.prekeyFor("FR", today + 200)).toMatchObject({ exact: false, day: today + 54 })
    expect(directory.prekeyFor("FR", today - 2)).toBe(undefined)
    expect(directory.prekeyFor("XX", today)).toBe(undefined)
  })

  it("of the newest statement win", () => {
    const world = newWorld()
    const directory = world.directory()
    const before = directory.prekeyFor("FR", today)
    const hashes = Array.from({ length: 28 }, (_, i) => new Uint8Array(32).fill(i))
    const body = { firstDay: today - 3, suites: [1], hashes }
    directory.apply("chain", world.extendNode("FR", "prekeys", body).statement)
    expect(directory.prekeyFor("FR", today)?.hash).toEqual(hashes[3])
    expect(directory.prekeyFor("FR", today)?.hash).not.toEqual(before?.hash)
  })

  it("revoked by their node are not sealed to any more", () => {
    const world = newWorld()
    const directory = world.directory()
    const { node } = world.member("FR")
    const hash = directory.prekeyFor("FR", today)?.hash ?? zeroHash
    const body = { keyId: hash.slice(0, 16), reason: "lost" }
    const revocation = chainStatement("FR", null, "revoke", body, [node])
    expect(codeOf(() => directory.apply("chain", revocation.statement))).toBe(undefined)
    const left = directory.prekeyFor("FR", today)
    expect(left?.hash).not.toEqual(hash)
    expect(left?.exact).toBe(false)
  })

  it("of a forked node chain are not sealed to", () => {
    const world = newWorld()
    const directory = world.directory()
    const { node } = world.member("FR")
    const rival = chainStatement("FR", { seq: -1, prev: zeroHash }, "link", linkBody("FR", "x"), [
      node,
    ])
    expect(codeOf(() => directory.apply("chain", rival.statement))).toBe("chain-fork")
    expect(directory.prekeyFor("FR", today)).toBe(undefined)
    expect(directory.stationKeyAt("FR", node.keyId, "now", at).kind).toBe("invalid")
    expect(directory.linkOwner(world.member("FR").link.publicKey, at)).toBe(undefined)
  })
})

describe("the rest", () => {
  it("knows homes, urls, logs, auditors and policies", () => {
    const links = ["wss://127.0.0.1:1"]
    const https = ["https://127.0.0.1:2"]
    const world = new World({ at, members: ["FR", "HQ"], urls: { hub1: { links, https } } })
    const directory = world.directory()
    expect(directory.homes("FR")).toEqual(["hub1", "hub2"])
    expect(directory.urls("hub1")).toEqual({ links, https })
    expect(directory.urls("hub2")).toBe(undefined)
    expect(directory.log("hub1/directory")?.relay).toBe("hub1")
    expect(directory.log("hub1/other")).toBe(undefined)
    expect(directory.currentLog("hub1", "traffic")?.origin).toMatch(/^hub1\/traffic\//u)
    expect(directory.auditorKey("auditor")).toEqual(world.auditor.publicKey)
    expect(directory.auditorKey("other")).toBe(undefined)
    expect(directory.policyFile("witnessPolicy")).toEqual(world.policies.witness)
    expect(directory.desks()).toEqual(["HQ"])
    expect(directory.requireActive(["HQ", "FR", "HQ"])).toEqual(["FR", "HQ"])
    const relays = world.roster.relays.map((relay) => ({
      ...relay,
      status: relay.name === "hub1" ? (1 as const) : (0 as const),
    }))
    directory.apply("roster", world.nextRoster({ relays }).statement)
    expect(directory.homes("FR")).toEqual(["hub2"])
    expect(directory.activeRelays()).toEqual(["hub2"])
  })

  it("answers for a re-genesis with the new chains now and the old ones at earlier places", () => {
    const world = newWorld()
    const directory = placedDirectory(world)
    const length = world.statements.length
    const old = world.member("FR").node
    const root = seededKey("member", "FR again")
    const node = seededKey("node", "FR again")
    const body = { threshold: 1, keys: [root.publicKey] }
    const genesis = chainStatement("FR", { seq: -1, prev: zeroHash }, "genesis", body, [root])
    expect(codeOf(() => directory.apply("chain", genesis.statement))).toBe("unknown-member")
    const members = world.roster.members.map((member) =>
      member.node === "FR" ? { ...member, genesisId: genesis.id } : member,
    )
    addTo(directory, world.nextRoster({ members }), { [hub1]: length })
    addTo(directory, chain(genesis.statement), { [hub1]: length + 1 })
    const naming = chainStatement(
      "FR",
      { seq: 0, prev: genesis.id },
      "node",
      nodeBody("FR", node, { incarnation: 2 }),
      [root],
    )
    addTo(directory, chain(naming.statement), { [hub1]: length + 2 })
    const kindAt = (keyId: Uint8Array, size: number): string =>
      directory.stationKeyAt("FR", keyId, { origin: hub1, size }, at).kind
    expect(kindAt(old.keyId, length)).toBe("valid")
    expect(kindAt(old.keyId, length + 3)).toBe("invalid")
    expect(kindAt(node.keyId, length + 2)).toBe("invalid")
    expect(kindAt(node.keyId, length + 3)).toBe("valid")
    expect(directory.linkOwner(world.member("FR").link.publicKey, at)).toBe(undefined)
  })

  it("answers for a roster at a place", () => {
    const world = newWorld()
    const directory = placedDirectory(world)
    const length = world.statements.length
    const members = world.roster.members.map((member) => ({ ...member, flags: [] }))
    addTo(directory, world.nextRoster({ members }), { [hub1]: length })
    expect(directory.desks()).toEqual([])
    expect(directory.desks({ origin: hub1, size: length })).toEqual(["HQ"])
    expect(codeOf(() => directory.roster({ origin: hub1, size: 0 }))).toBe("roster")
    expect(directory.rosterStatement()?.roster.number).toBe(2)
    expect(signRoster(world.roster, world.custodians).id).toEqual(directory.rosterStatement()?.id)
  })
})
