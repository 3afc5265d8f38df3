import { describe, expect, it } from "vitest"
import { crypto, sha256 } from "../../keys/crypto.ts"
import { type SignedStatement, addSignatures, possessionOf } from "../../keys/statements.ts"
import { fromHex, toHex } from "../../protocol/bytes.ts"
import {
  type ChainBody,
  type ChainOp,
  chainBody,
  decodeChainStatement,
  encodeChainStatement,
  zeroHash,
} from "../../protocol/chain.ts"
import { Directory } from "../../protocol/directory.ts"
import { decodeMultiSigned, encodeMultiSigned } from "../../protocol/multi-signed.ts"
import { promiseKeyName } from "../../protocol/promise.ts"
import { formatVerifierKey, verifierKey } from "../../protocol/verifier-key.ts"
import {
  type ChainEnd,
  at,
  chainStatement,
  days,
  linkBody,
  nodeBody,
  noHead,
  officerBody,
} from "../kit/chains.ts"
import { witnessSigner } from "../kit/note-signer.ts"
import { codeOf } from "../kit/refusal.ts"
import { type SeededKey, World, seededKey } from "../kit/world.ts"

// Of order 4: canonical and on the curve.
const smallOrder = fromHex("0000000000000000000000000000000000000000000000000000000000000000")

function scene() {
  const world = new World({ at, members: ["FR", "HQ"] })
  const directory = world.directory()
  const fr = world.member("FR")
  const apply = (item: SignedStatement): string | undefined =>
    codeOf(() => directory.apply("chain", item.statement))
  const root = <Op extends ChainOp>(
    op: Op,
    body: ChainBody<Op>,
    keys: readonly SeededKey[] = [fr.root],
    end: ChainEnd = fr.rootChain,
  ): string | undefined => apply(chainStatement("FR", end, op, body, keys))
  const node = <Op extends ChainOp>(
    op: Op,
    body: ChainBody<Op>,
    keys: readonly SeededKey[] = [fr.node],
    end: ChainEnd = fr.nodeChain,
    time: number = at,
  ): string | undefined => apply(chainStatement("FR", end, op, body, keys, time))
  return { world, directory, fr, hub: world.relay("hub1"), apply, root, node }
}

const homes = { names: ["hub2"] }
const key = seededKey("node", "new")
const officer = seededKey("officer", "new")
const standby = (changes: Partial<ChainBody<"standby">>): ChainBody<"standby"> =>
  nodeBody("FR", key, changes)
const logKey = (name: string, type = 1): string =>
  formatVerifierKey(verifierKey(sha256, name, type, seededKey("witness", name).publicKey))
const revoke = (name: string, keyId: Uint8Array, keys: readonly SeededKey[], time = at) =>
  chainStatement(name, null, "revoke", { keyId, reason: "compromised" }, keys, time)

describe("the place of a statement", () => {
  it("follows the one before without a gap", () => {
    const { fr, root, node } = scene()
    const { seq, prev } = fr.rootChain
    expect(root("relays", homes, [fr.root], { seq: seq + 1, prev })).toBe("chain-gap")
    expect(root("relays", homes, [fr.root], { seq, prev: zeroHash })).toBe("chain-gap")
    expect(root("relays", homes, [fr.root], { seq: seq - 1, prev })).toBe("chain-fork")
    const end = fr.nodeChain
    const ahead = { seq: end.seq + 1, prev: end.prev }
    expect(node("link", linkBody("FR", "n"), [fr.node], ahead)).toBe("chain-gap")
    expect(node("link", linkBody("FR", "n"))).toBe(undefined)
  })

  it("is nil in a revocation and only there", () => {
    const { fr, root, apply } = scene()
    const body = { keyId: fr.link.keyId, reason: "lost" }
    expect(root("revoke", body)).toBe("statement")
    expect(apply(chainStatement("FR", null, "relays", homes, [fr.root]))).toBe("statement")
    expect(apply(chainStatement("FR", null, "revoke", body, [fr.root]))).toBe(undefined)
  })

  it("starts a root chain with the genesis that the roster names", () => {
    const { fr, apply } = scene()
    const body = { threshold: 1, keys: [fr.root.publicKey] }
    const second = chainStatement("FR", { seq: -1, prev: zeroHash }, "genesis", body, [fr.root], 5)
    expect(apply(second)).toBe("unknown-member")
  })
})

describe("forks", () => {
  it("of the root chain freeze the member's keys now, not where they were used before", () => {
    const { world, directory, fr, root } = scene()
    directory.statements().forEach(({ id }, i) => directory.place("hub1/directory", i, id))
    const end = { seq: fr.rootChain.seq - 1, prev: zeroHash }
    expect(root("relays", homes, [fr.node], end)).toBe("statement")
    expect(directory.stationKeyAt("FR", fr.node.keyId, "now", at).kind).toBe("valid")
    expect(root("relays", homes, [fr.root], end)).toBe("chain-fork")
    expect(directory.stationKeyAt("FR", fr.node.keyId, "now", at).kind).toBe("invalid")
    const place = { origin: "hub1/directory", size: world.statements.length }
    expect(directory.stationKeyAt("FR", fr.node.keyId, place, at).kind).toBe("valid")
    const hq = world.member("HQ").node.keyId
    expect(directory.stationKeyAt("HQ", hq, "now", at).kind).toBe("valid")
  })

  it("of a node chain end that key only", () => {
    const { directory, fr, root, node } = scene()
    expect(root("node", nodeBody("FR", key))).toBe(undefined)
    const end = { seq: -1, prev: fr.nodeChain.prev }
    expect(node("link", linkBody("FR", "x"), [fr.node], end)).toBe("chain-fork")
    expect(directory.forks().map(({ kind }) => kind)).toEqual(["node-chain"])
    expect(directory.stationKeyAt("FR", fr.node.keyId, "now", at).kind).toBe("invalid")
    expect(directory.stationKeyAt("FR", key.keyId, "now", at).kind).toBe("valid")
    expect(node("link", linkBody("FR", "y"))).toBe("key-ended")
  })
})

describe("signers", () => {
  it("of a root chain are enough root keys", () => {
    const { root, fr, world } = scene()
    expect(root("relays", homes, [])).toBe("statement")
    expect(root("relays", homes, [fr.node])).toBe("statement")
    expect(root("relays", homes, [world.member("HQ").root])).toBe("statement")
  })

  it("of new root keys are the old and the new ones", () => {
    const { directory, fr, root } = scene()
    const [a, b] = [seededKey("member", "a"), seededKey("member", "b")]
    const body = { threshold: 2, keys: [a.publicKey, b.publicKey] }
    expect(root("root", body, [fr.root, a])).toBe("statement")
    expect(root("root", body, [a, b])).toBe("statement")
    for (const [threshold, keys] of [
      [0, [a.publicKey]],
      [2, [a.publicKey]],
      [2, [a.publicKey, a.publicKey]],
    ] as const)
      expect(root("root", { threshold, keys }, [fr.root, a, b])).toBe("statement")
    const small = { threshold: 1, keys: [a.publicKey, smallOrder] }
    expect(root("root", small, [fr.root, a])).toBe("key-form")
    const rotation = chainStatement("FR", fr.rootChain, "root", body, [fr.root, a, b])
    directory.apply("chain", rotation.statement)
    const end = { seq: fr.rootChain.seq + 1, prev: rotation.id }
    expect(root("relays", homes, [fr.root], end)).toBe("statement")
    expect(root("relays", homes, [a], end)).toBe("statement")
    expect(root("relays", homes, [a, b], end)).toBe(undefined)
  })

  it("of a node chain is that node key, valid now", () => {
    const { directory, fr, hub, world, root, node } = scene()
    const body = linkBody("FR", "new")
    expect(node("link", body, [fr.root])).toBe("statement")
    expect(node("link", body, [hub.link])).toBe("statement")
    expect(node("link", body, [world.member("HQ").node])).toBe("statement")
    expect(node("link", body, [fr.node], fr.nodeChain, at + days(81))).toBe("statement")
    expect(node("link", body, [fr.node], fr.nodeChain, at - days(2))).toBe("statement")
    expect(root("node", nodeBody("FR", key))).toBe(undefined)
    expect(node("link", body, [key])).toBe("chain-gap")
    directory.apply("chain", world.revocation("FR", fr.node.keyId).statement)
    expect(node("link", body)).toBe("key-ended")
  })

  it("who lie are refused even where others are enough", () => {
    const { fr, apply } = scene()
    const good = chainStatement("FR", fr.rootChain, "relays", homes, [fr.root])
    const { body, signatures } = decodeMultiSigned(good.statement)
    const bad = signatures.map((line) => ({ ...line, signature: new Uint8Array(64) }))
    const statement = encodeMultiSigned({ body, signatures: bad })
    expect(apply({ statement, id: good.id })).toBe("signature")
    const stranger = addSignatures("member", good.statement, [seededKey("member", "stranger")])
    expect(apply(stranger)).toBe(undefined)
  })
})

describe("what a root chain may name", () => {
  it("node keys: admitted, possessed, once, of bounded life and rising incarnation", () => {
    const { fr, root, apply, hub } = scene()
    const body = (changes: Partial<ChainBody<"node">>) => nodeBody("FR", key, changes)
    const possession = possessionOf("HQ", key)
    expect(root("node", body({ possession }))).toBe("possession")
    const asOfficer = possessionOf("FR", { ...key, use: "officer" })
    expect(root("node", body({ possession: asOfficer }))).toBe("possession")
    expect(root("node", body({ key: smallOrder }))).toBe("key-form")
    expect(root("node", body({ notAfter: at + days(90) }))).toBe("statement")
    expect(root("node", body({ notAfter: at - days(1) }))).toBe("statement")
    expect(root("node", body({ incarnation: 0 }))).toBe("statement")
    expect(root("node", nodeBody("FR", fr.node))).toBe("statement")
    const relayBody = { ...body({}), possession: possessionOf("hub1", key) }
    expect(apply(chainStatement("hub1", hub.rootChain, "node", relayBody, [hub.root]))).toBe(
      "statement",
    )
    expect(root("node", body({}))).toBe(undefined)
  })

  it("standby keys: of the next incarnation, up to a year", () => {
    const { root } = scene()
    expect(root("standby", standby({}))).toBe("statement")
    expect(root("standby", standby({ incarnation: 3 }))).toBe("statement")
    expect(root("standby", standby({ incarnation: 2, notAfter: at + days(365) }))).toBe("statement")
    expect(root("standby", standby({ incarnation: 2, notAfter: at + days(300) }))).toBe(undefined)
  })

  it("witnesses: possessed, of type 04, under the member's name", () => {
    const { root } = scene()
    const seed = seededKey("witness", "w")
    const vkey = (name: string, type: number): string =>
      formatVerifierKey(verifierKey(sha256, name, type, seed.publicKey))
    const possession = possessionOf("FR", seed)
    expect(root("witness", { vkey: vkey("FR", 4), possession: possessionOf("HQ", seed) })).toBe(
      "possession",
    )
    expect(root("witness", { vkey: vkey("FR", 1), possession })).toBe("statement")
    expect(root("witness", { vkey: vkey("HQ", 4), possession })).toBe("statement")
    expect(root("witness", { vkey: "FR+00000000+AAAA", possession })).toBe("key-form")
    expect(root("witness", { vkey: vkey("FR", 4), possession })).toBe(undefined)
  })

  it("logs: by relays, under their own name, with keys of type 01", () => {
    const { hub, apply, root } = scene()
    const origin = "hub1/traffic/2031"
    const body = {
      origin,
      logVkey: logKey(origin),
      promiseVkey: logKey(promiseKeyName(origin)),
    }
    const log = (changes: Partial<typeof body>) =>
      apply(chainStatement("hub1", hub.rootChain, "log", { ...body, ...changes }, [hub.root]))
    expect(root("log", body)).toBe("statement")
    expect(log({ origin: "hub2/traffic/2031" })).toBe("statement")
    expect(log({ logVkey: logKey("hub1/traffic/2032") })).toBe("statement")
    expect(log({ logVkey: logKey(origin, 4) })).toBe("statement")
    expect(log({ promiseVkey: logKey(origin) })).toBe("statement")
    expect(log({ promiseVkey: "nonsense" })).toBe("key-form")
    expect(log({})).toBe(undefined)
  })

  it("nothing that belongs in a node chain, and the other way round", () => {
    const { fr, hub, root, node, apply } = scene()
    expect(node("relays", homes)).toBe("statement")
    expect(root("link", linkBody("FR", "n"))).toBe("statement")
    const urls = { links: ["wss://a"], https: ["https://a"] }
    expect(node("urls", urls)).toBe("statement")
    const hashes = Array.from({ length: 28 }, () => zeroHash)
    const prekeys = { firstDay: 1, suites: [1], hashes }
    const relayKey = hub.keys[0] ?? fr.node
    expect(apply(chainStatement("hub1", hub.nodeChain, "prekeys", prekeys, [relayKey]))).toBe(
      "statement",
    )
    expect(apply(chainStatement("hub1", hub.nodeChain, "urls", urls, [relayKey]))).toBe(undefined)
    expect(apply(chainStatement("hub1", hub.rootChain, "relays", homes, [hub.root]))).toBe(
      "statement",
    )
    const life = { notBefore: at, notAfter: at + days(9) }
    const possession = possessionOf("FR", seededKey("relay", "r"))
    const relay = { key: seededKey("relay", "r").publicKey, ...life, possession }
    expect(root("relay", relay)).toBe("statement")
    expect(root("recovery", { key: new Uint8Array(1_216).fill(1) })).toBe(undefined)
  })

  it("link keys: possessed, admitted, of bounded life", () => {
    const { node } = scene()
    const body = linkBody("FR", "n")
    expect(node("link", { ...body, possession: linkBody("HQ", "n").possession })).toBe("possession")
    expect(node("link", { ...body, key: smallOrder })).toBe("key-form")
    expect(node("link", { ...body, notAfter: at + days(91) })).toBe("statement")
    expect(node("link", { ...body, notAfter: at })).toBe("statement")
  })
})

describe("officers", () => {
  const chief = seededKey("officer", "chief")
  const enrolling = officerBody("FR/chief", chief, {
    capabilities: ["enrol/officer", "sign/case"],
    maxPrecedence: 2,
  })

  it("of the root are the member's own, possessed, of bounded life", () => {
    const { root } = scene()
    const body = (changes: Partial<ChainBody<"officer">>, id = "FR/new") =>
      officerBody(id, officer, changes)
    expect(root("officer", body({}, "HQ/new"))).toBe("statement")
    expect(root("officer", body({ possession: possessionOf("HQ", officer) }))).toBe("possession")
    expect(root("officer", body({ notAfter: at + days(90) }))).toBe("statement")
    expect(root("officer", body({ key: smallOrder }))).toBe("key-form")
    expect(root("officer", body({}))).toBe(undefined)
  })

  function enrolment() {
    const it = scene()
    expect(it.root("officer", enrolling)).toBe(undefined)
    let end: ChainEnd = it.fr.nodeChain
    /** Applies at the end of the node chain and moves it on when taken. */
    const enrol = (
      body: ChainBody<"officer">,
      keys: readonly SeededKey[],
      time: number = at,
    ): string | undefined => {
      const item = chainStatement("FR", end, "officer", body, keys, time)
      const code = it.apply(item)
      if (code === undefined) end = { seq: end.seq + 1, prev: item.id }
      return code
    }
    return { ...it, enrol }
  }

  it("are enrolled by the node and an officer who has all that is given", () => {
    const { fr, enrol } = enrolment()
    const body = officerBody("FR/new", officer)
    expect(enrol(body, [fr.node])).toBe("statement")
    expect(enrol(body, [chief])).toBe("statement")
    const duty = fr.officers[0]?.key ?? chief
    expect(enrol(body, [fr.node, duty])).toBe("statement")
    const more = ["sign/case", "sign/notice/red"]
    expect(enrol({ ...body, capabilities: more }, [fr.node, chief])).toBe("capability")
    expect(enrol({ ...body, maxPrecedence: 3 }, [fr.node, chief])).toBe("capability")
    expect(enrol(body, [fr.node, chief])).toBe(undefined)
  })

  it("are not enrolled by one whose key has ended or was revoked", () => {
    const { directory, world, fr, enrol } = enrolment()
    const body = officerBody("FR/new", officer)
    expect(enrol(body, [fr.node, chief], at + days(61))).toBe("statement")
    directory.apply("chain", world.revocation("FR", chief.keyId).statement)
    expect(enrol(body, [fr.node, chief])).toBe("statement")
  })

  it("enrol others three deep and no deeper", () => {
    const { fr, enrol } = enrolment()
    let enroller = chief
    for (const depth of [1, 2, 3, 4]) {
      const next = seededKey("officer", `depth ${depth}`)
      const capabilities = ["enrol/officer"]
      const body = officerBody(`FR/d${depth}`, next, { capabilities })
      expect(enrol(body, [fr.node, enroller])).toBe(depth <= 3 ? undefined : "statement")
      enroller = next
    }
  })
})

describe("revocations", () => {
  it("signed a year ago by the root are good", () => {
    const { directory, fr, apply } = scene()
    expect(apply(revoke("FR", fr.node.keyId, [fr.root], at - days(365)))).toBe(undefined)
    expect(directory.isRevokedAnywhere("FR", fr.node.keyId)).toBe(true)
  })

  it("come from the root, the node for its own links, an officer who may enrol for officers", () => {
    const { directory, fr, world, apply, root } = scene()
    const supervisor = fr.officers[1]?.key ?? fr.node
    const duty = fr.officers[0]?.key ?? fr.node
    const operator = fr.officers[3]?.key ?? fr.node
    expect(apply(revoke("FR", fr.node.keyId, []))).toBe("statement")
    expect(apply(revoke("FR", fr.node.keyId, [fr.node]))).toBe("statement")
    expect(apply(revoke("FR", fr.node.keyId, [supervisor]))).toBe("statement")
    expect(apply(revoke("FR", fr.node.keyId, [world.member("HQ").root]))).toBe("statement")
    expect(apply(revoke("FR", fr.link.keyId, [supervisor]))).toBe("statement")
    expect(apply(revoke("FR", fr.link.keyId, [world.member("HQ").node]))).toBe("statement")
    expect(apply(revoke("FR", fr.link.keyId, [fr.node]))).toBe(undefined)
    expect(apply(revoke("FR", duty.keyId, [operator]))).toBe("statement")
    expect(apply(revoke("FR", duty.keyId, [supervisor]))).toBe(undefined)
    expect(directory.isRevokedAnywhere("FR", duty.keyId)).toBe(true)
    // A revoked supervisor revokes nobody any more.
    expect(apply(revoke("FR", supervisor.keyId, [fr.root]))).toBe(undefined)
    expect(apply(revoke("FR", operator.keyId, [supervisor]))).toBe("statement")
    expect(root("officer", officerBody("FR/new", officer))).toBe(undefined)
  })
})

describe("layouts", () => {
  it("round-trip for every operation", () => {
    const { directory } = scene()
    const ops = new Set<string>()
    for (const { kind, statement } of directory.statements()) {
      if (kind !== "chain") continue
      const { body } = decodeMultiSigned(statement)
      const item = decodeChainStatement(body)
      ops.add(item.op)
      expect(toHex(encodeChainStatement(item))).toBe(toHex(body))
      chainBody(item.op, item)
    }
    expect(ops.size).toBeGreaterThan(8)
  })

  it("refuse the body of another operation and unknown operations", () => {
    const draft = { version: 1, name: "FR", seq: 0, prev: zeroHash, at, head: noHead } as const
    const item = { ...draft, op: "relays", body: [["hub1"]] } as const
    expect(codeOf(() => chainBody("genesis", item))).toBe("not-canonical")
    expect(chainBody("relays", item).names).toEqual(["hub1"])
    const bytes = encodeChainStatement(item)
    const renamed = fromHex(toHex(bytes).replace("a672656c617973", "a672656c617978"))
    expect(codeOf(() => decodeChainStatement(renamed))).toBe("not-canonical")
    expect(witnessSigner("FR", 1).key.type).toBe(4)
    expect(new Directory(crypto, new World({ at, members: ["HQ"] }).anchor).hasRoster).toBe(false)
  })
})
