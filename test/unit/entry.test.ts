import { describe, expect, it } from "vitest"
import { sha256 } from "../../keys/crypto.ts"
import { concat, emptyBytes, fromHex, toHex, u64 } from "../../protocol/bytes.ts"
import {
  belongsTo,
  commitmentOf,
  decodeEntry,
  encodeEntry,
  entryKinds,
  logStatementBody,
  type LogEntry,
} from "../../protocol/entry.ts"
import { codeOf } from "../kit/refusal.ts"

const fill = (length: number, byte: number): Uint8Array => new Uint8Array(length).fill(byte)
const time = 1_800_000_060

function signed(kind: "envelope" | "receipts" | "relay-receipts" | "journal"): LogEntry {
  const auth = {
    index: 3,
    size: 5,
    path: [fill(32, 1), fill(32, 2), fill(32, 3)],
    blind: emptyBytes,
    signature: fill(64, 4),
  }
  const base = { commit: fill(32, 5), keyId: fill(16, 6), seq: 7, directorySize: 2 ** 40 }
  return { kind, time, ...base, auth }
}

const entries: readonly LogEntry[] = [
  signed("envelope"),
  signed("receipts"),
  signed("relay-receipts"),
  signed("journal"),
  { kind: "head", time, note: fill(1_024, 7) },
  { kind: "shard", time, note: fill(16_384, 8) },
  { kind: "access", time, keyId: fill(16, 9), from: 0, to: 10, commit: fill(32, 10) },
  { kind: "retention", time, from: 0, to: 0, policyIndex: 3 },
  { kind: "erasure", time, index: Number.MAX_SAFE_INTEGER },
  { kind: "roster", time, body: fill(1, 1) },
  { kind: "chain", time, body: fill(60_000, 2) },
  { kind: "witness-policy", time, body: fill(65_525, 3) },
  { kind: "retention-policy", time, body: fill(10, 4) },
  { kind: "delivery-policy", time, body: fill(10, 5) },
]

describe("log entries", () => {
  it.each(entries)("of kind $kind round-trip", (entry) => {
    const bytes = encodeEntry(entry)
    expect(bytes[0]).toBe(1)
    expect(bytes[1]).toBe(entryKinds[entry.kind])
    expect(decodeEntry(bytes)).toEqual(entry)
  })

  it("cover every kind, each in its log", () => {
    expect(new Set(entries.map(({ kind }) => kind)).size).toBe(Object.keys(entryKinds).length)
    const directory = entries.filter(({ kind }) => belongsTo(kind, "directory"))
    expect(directory.map(({ kind }) => entryKinds[kind]).toSorted((a, b) => a - b)).toEqual([
      4, 16, 17, 18, 19, 20,
    ])
    expect(entries.filter(({ kind }) => belongsTo(kind, "traffic"))).toHaveLength(9)
  })

  it("of kind envelope have 143 + 32n bytes", () => {
    expect(encodeEntry(signed("envelope"))).toHaveLength(143 + 32 * 3)
  })

  const fixed = entries.filter(({ kind }) => entryKinds[kind] < entryKinds.roster)
  it.each(fixed)("of kind $kind refuse every other length", (entry) => {
    const bytes = encodeEntry(entry)
    for (let length = 0; length < bytes.length; length += 1 + (bytes.length >> 8))
      expect(codeOf(() => decodeEntry(bytes.slice(0, length)))).toBe("entry-layout")
    expect(codeOf(() => decodeEntry(concat(bytes, Uint8Array.of(0))))).toBe("entry-layout")
  })

  const envelope = encodeEntry(signed("envelope"))
  const change = (at: number, part: Uint8Array): Uint8Array => {
    const bytes = envelope.slice()
    bytes.set(part, at)
    return bytes
  }
  it.each([
    ["version 2", change(0, Uint8Array.of(2))],
    ["kind 0", change(1, Uint8Array.of(0))],
    ["kind 9", change(1, Uint8Array.of(9))],
    ["a time above 2^53", change(2, Uint8Array.of(0x00, 0x20))],
    ["seq 0", change(58, u64(0))],
    ["index = size", change(74, Uint8Array.of(0, 5))],
    ["size 513", change(76, Uint8Array.of(2, 1))],
    ["a path of 10", change(78, Uint8Array.of(10))],
    ["a path of 2", change(78, Uint8Array.of(2))],
    ["an empty statement", encodeEntry({ kind: "roster", time, body: fill(1, 1) }).slice(0, 10)],
  ])("refuse %s", (_, bytes) => {
    expect(codeOf(() => decodeEntry(bytes))).toBe("entry-layout")
  })

  it("refuse a head note above 1,024 bytes and a range that ends before it begins", () => {
    expect(() => encodeEntry({ kind: "head", time, note: fill(1_025, 1) })).toThrow(RangeError)
    expect(() => encodeEntry({ kind: "retention", time, from: 2, to: 1, policyIndex: 0 })).toThrow(
      RangeError,
    )
  })
})

describe("log statements", () => {
  // The known answer: salt 24×32 over the messageId of the envelope vector.
  const commit = commitmentOf(
    sha256,
    fill(32, 0x24),
    fromHex("371ac9860fd9ec0b73ea4b38cc44383e5c707af3eec5ab69ce37ce30055b590f"),
  )

  it("commit to their subject", () => {
    expect(toHex(commit)).toBe("d57d5d70b65440be18eeabd72aad35bfe737e736243c34816d59e47e7a4d52a9")
  })

  it("have a signed body of 84 bytes for hub1.example/traffic/2027", () => {
    const body = logStatementBody({
      kind: "envelope",
      origin: "hub1.example/traffic/2027",
      commit,
      keyId: fromHex("ee0c905a5e533f6c24410b157207b34d"),
      seq: 1,
    })
    expect(body).toHaveLength(84)
    expect(toHex(body).startsWith("010019")).toBe(true)
  })
})
