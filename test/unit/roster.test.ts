import { describe, expect, it } from "vitest"
import { crypto } from "../../keys/crypto.ts"
import { addSignatures, signRoster } from "../../keys/statements.ts"
import { fromHex } from "../../protocol/bytes.ts"
import { Directory } from "../../protocol/directory.ts"
import { limits } from "../../protocol/limits.ts"
import {
  countSigners,
  decodeMultiSigned,
  encodeMultiSigned,
  meetsThreshold,
  withSignature,
} from "../../protocol/multi-signed.ts"
import { pae } from "../../protocol/pae.ts"
import { type Roster, decodeRoster, encodeRoster } from "../../protocol/roster.ts"
import { codeOf } from "../kit/refusal.ts"
import { type SeededKey, World, seededKey } from "../kit/world.ts"

const at = 1_800_000_000
const smallOrder = new Uint8Array(32)

function scene() {
  const world = new World({ at, members: ["HQ"] })
  const directory = world.directory()
  const sign = (changes: Partial<Roster>, keys: readonly SeededKey[]): Uint8Array =>
    signRoster({ ...world.roster, number: 2, ...changes }, keys).statement
  const apply = (changes: Partial<Roster>, keys: readonly SeededKey[]): string | undefined =>
    codeOf(() => directory.apply("roster", sign(changes, keys)))
  const [a, b, c] = world.custodians
  if (a === undefined || b === undefined || c === undefined) throw new Error("three custodians")
  return { world, directory, sign, apply, a, b, c }
}

describe("the succession of rosters", () => {
  it("goes version by version", () => {
    const { apply, directory, a, b } = scene()
    expect(apply({ number: 3 }, [a, b])).toBe("roster")
    expect(apply({ number: 0 }, [a, b])).toBe("roster")
    expect(apply({}, [a, b])).toBe(undefined)
    expect(apply({ number: 4 }, [a, b])).toBe("roster")
    expect(apply({ number: 3 }, [a, b])).toBe(undefined)
    expect(directory.roster().number).toBe(3)
  })

  it("never goes back: an old roster is known, and changes nothing", () => {
    const { world, directory, apply, a, b } = scene()
    expect(apply({}, [a, b])).toBe(undefined)
    const first = world.statements[0]
    expect(directory.apply("roster", first?.statement ?? smallOrder).kind).toBe("known")
    expect(directory.roster().number).toBe(2)
  })

  it("needs the threshold of the old custodians and of the new ones", () => {
    const { apply, a, b, c } = scene()
    const [d, e] = [seededKey("custodian", "4"), seededKey("custodian", "5")]
    const custodians = { threshold: 2, keys: [d.publicKey, e.publicKey] }
    expect(apply({}, [a])).toBe("roster")
    expect(apply({}, [])).toBe("roster")
    expect(apply({ custodians }, [a, b])).toBe("roster")
    expect(apply({ custodians }, [a, b, c, d])).toBe("roster")
    expect(apply({ custodians }, [a, d, e])).toBe("roster")
    expect(apply({ custodians }, [a, b, d, e])).toBe(undefined)
    expect(apply({ custodians, number: 3 }, [a, b, c])).toBe("roster")
    expect(apply({ custodians, number: 3 }, [d, e])).toBe(undefined)
  })

  it("refuses a bad signature by a known key, and does not count an unknown one", () => {
    const { world, sign, directory, a, b, c } = scene()
    const good = decodeMultiSigned(sign({}, [a, b]))
    const bad = withSignature(good, { keyId: c.keyId, signature: new Uint8Array(64) })
    expect(codeOf(() => directory.apply("roster", encodeMultiSigned(bad)))).toBe("signature")
    const stranger = seededKey("custodian", "stranger")
    const one = sign({}, [a, stranger, seededKey("custodian", "another")])
    expect(codeOf(() => directory.apply("roster", one))).toBe("roster")
    const known = addSignatures("roster", encodeMultiSigned(good), [stranger])
    expect(codeOf(() => directory.apply("roster", known.statement))).toBe(undefined)
    expect(world.custodians).toHaveLength(3)
  })

  it("keeps a second roster of the same number as evidence, whoever its own custodians are", () => {
    const { apply, directory, sign, a, b, c } = scene()
    const [d, e] = [seededKey("custodian", "4"), seededKey("custodian", "5")]
    const custodians = { threshold: 2, keys: [d.publicKey, e.publicKey] }
    expect(apply({ custodians }, [a, b, d, e])).toBe(undefined)
    expect(apply({ at: at + 1 }, [a])).toBe("roster")
    expect(directory.forks()).toHaveLength(0)
    for (let i = 0; i < 3; i++) expect(apply({ at: at + 1 }, [b, c])).toBe("roster-fork")
    expect(directory.forks()).toHaveLength(1)
    const [fork] = directory.forks()
    expect(fork?.name).toBe("roster 2")
    expect(fork?.second).toEqual(sign({ at: at + 1 }, [b, c]))
    expect(apply({ number: 1, at: at + 2 }, [a, b])).toBe("roster-fork")
  })

  it("lasts a year at least", () => {
    const { apply, a, b } = scene()
    expect(apply({ expires: at + limits.rosterSecondsMin - 1 }, [a, b])).toBe("roster")
    expect(apply({ expires: at + limits.rosterSecondsMin }, [a, b])).toBe(undefined)
  })

  it("names admitted custodians only, each once, with a threshold that they can meet", () => {
    const { apply, a, b } = scene()
    const keys = [a.publicKey, b.publicKey]
    expect(apply({ custodians: { threshold: 2, keys: [...keys, smallOrder] } }, [a, b])).toBe(
      "key-form",
    )
    expect(apply({ custodians: { threshold: 0, keys } }, [a, b])).toBe("roster")
    expect(apply({ custodians: { threshold: 3, keys } }, [a, b])).toBe("roster")
    const twice = [a.publicKey, a.publicKey]
    expect(apply({ custodians: { threshold: 2, keys: twice } }, [a, b])).toBe("roster")
  })
})

describe("the first roster", () => {
  it("is the one that the trust anchor names, signed by its custodians", () => {
    const { world } = scene()
    const first = world.statements[0]?.statement ?? smallOrder
    const code = (anchor: Partial<typeof world.anchor>) =>
      codeOf(() => new Directory(crypto, { ...world.anchor, ...anchor }).apply("roster", first))
    expect(code({})).toBe(undefined)
    expect(code({ number: 2 })).toBe("roster")
    expect(code({ rosterId: new Uint8Array(32) })).toBe("roster")
    const stranger = seededKey("custodian", "stranger")
    expect(code({ custodians: { threshold: 1, keys: [stranger.publicKey] } })).toBe("roster")
    expect(code({ custodians: { threshold: 0, keys: world.anchor.custodians.keys } })).toBe(
      "roster",
    )
    expect(code({ custodians: { threshold: 3, keys: world.anchor.custodians.keys } })).toBe(
      "roster",
    )
  })
})

describe("the layout of a roster", () => {
  it("round-trips", () => {
    const { world } = scene()
    expect(decodeRoster(encodeRoster(world.roster))).toEqual(world.roster)
  })

  it("keeps its lists sorted by name", () => {
    const { world } = scene()
    const [member] = world.roster.members
    if (member === undefined) throw new Error("no member")
    const members = [member, { ...member, node: "FR" }]
    expect(() => encodeRoster({ ...world.roster, members })).toThrow(RangeError)
    expect(() => encodeRoster({ ...world.roster, members: [member, member] })).toThrow(RangeError)
    expect(() => encodeRoster({ ...world.roster, relays: [] })).toThrow(RangeError)
  })
})

describe("multi-signed statements", () => {
  const [a, b] = [seededKey("custodian", "a"), seededKey("custodian", "b")]
  const body = Uint8Array.of(1, 2, 3)
  const line = (key: SeededKey) => ({
    keyId: key.keyId,
    signature: key.sign(pae("roster", body)),
  })
  const keys = [a.publicKey, b.publicKey]
  const set = { use: "custodian", keys } as const
  const one = withSignature({ body, signatures: [] }, line(a))
  const both = withSignature(one, line(b))

  it("count keys, not lines", () => {
    expect(countSigners(crypto, one, "roster", set)).toBe(1)
    expect(countSigners(crypto, both, "roster", set)).toBe(2)
    expect(countSigners(crypto, withSignature(both, line(a)), "roster", set)).toBe(2)
    const repeated = { use: "custodian", keys: [a.publicKey, a.publicKey] } as const
    expect(countSigners(crypto, both, "roster", repeated)).toBe(1)
    const twice = { body, signatures: [line(a), line(a)] }
    expect(() => encodeMultiSigned(twice)).toThrow(RangeError)
  })

  it("count for one use, type and body only", () => {
    expect(countSigners(crypto, both, "roster", { ...set, use: "member" })).toBe(0)
    expect(codeOf(() => countSigners(crypto, both, "member", set))).toBe("signature")
    const other = { ...both, body: Uint8Array.of(4) }
    expect(codeOf(() => countSigners(crypto, other, "roster", set))).toBe("signature")
    expect(meetsThreshold(crypto, both, "roster", { ...set, threshold: 2 })).toBe(true)
    expect(meetsThreshold(crypto, both, "roster", { ...set, threshold: 3 })).toBe(false)
    expect(meetsThreshold(crypto, both, "roster", { ...set, threshold: 0 })).toBe(false)
  })

  it("stand in ascending order of their key ids", () => {
    const encoded = encodeMultiSigned(both)
    expect(decodeMultiSigned(encoded)).toEqual(both)
    const lines = both.signatures.toReversed()
    expect(() => encodeMultiSigned({ body, signatures: lines })).toThrow(RangeError)
    const swapped = fromHex("92c40301020392")
    expect(codeOf(() => decodeMultiSigned(swapped))).toBe("not-canonical")
    expect(codeOf(() => decodeMultiSigned(new Uint8Array(limits.statementBytesMax + 1)))).toBe(
      "size",
    )
  })
})
