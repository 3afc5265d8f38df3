// The canonical subset, from both sides: what is accepted, and each reason for which something is not.

import fc from "fast-check"
import { Packr, Unpackr } from "msgpackr"
import { describe, expect, it } from "vitest"
import { concat, fromHex, toHex, utf8 } from "../../protocol/bytes.ts"
import { type Value, decode, encode, value } from "../../protocol/codec.ts"
import { limits } from "../../protocol/limits.ts"
import { scan } from "../../protocol/scanner.ts"
import { anyValue } from "../kit/values.ts"
import { codeOf } from "../kit/refusal.ts"
import { haveSharedVectors, readSharedVectors } from "../kit/shared-vectors.ts"

const options = {
  useRecords: false,
  variableMapSize: true,
  moreTypes: false,
  structuredClone: false,
  mapsAsObjects: false,
} as const

const bytesOf = (hex: string): Uint8Array => fromHex(hex.replaceAll("-", ""))

const isAccepted = (hex: string): boolean => codeOf(() => scan(bytesOf(hex))) === undefined

/** A number in every width, shortest or not; cut where it does not fit. */
function wide(number: number): string[] {
  const hex = (width: number): string =>
    BigInt.asUintN(8 * width, BigInt(number))
      .toString(16)
      .padStart(2 * width, "0")
  return [
    ...(number >= 0 ? [`cc${hex(1)}`, `cd${hex(2)}`, `ce${hex(4)}`] : []),
    `d0${hex(1)}`,
    `d1${hex(2)}`,
    `d2${hex(4)}`,
  ]
}

type SuiteCase = { readonly msgpack: readonly string[] } & Readonly<Record<string, unknown>>

describe.runIf(haveSharedVectors)("the msgpack test suite", () => {
  const suite = haveSharedVectors
    ? (readSharedVectors("msgpack/msgpack-test-suite.json") as Record<string, readonly SuiteCase[]>)
    : {}
  const cases = Object.values(suite).flat()

  it("has exactly 48 encodings that are canonical, at most one for each value", () => {
    const accepted = cases.map(({ msgpack }) => msgpack.filter(isAccepted))
    expect(accepted.flat()).toHaveLength(48)
    expect(Math.max(...accepted.map((forms) => forms.length))).toBe(1)
  })

  it("gives msgpackr values that it packs back to the same bytes", () => {
    const [packr, unpackr] = [new Packr(options), new Unpackr(options)]
    for (const hex of cases.flatMap(({ msgpack }) => msgpack).filter(isAccepted)) {
      const again = Uint8Array.from(packr.pack(unpackr.unpack(bytesOf(hex))))
      expect(toHex(again)).toBe(toHex(bytesOf(hex)))
    }
  })
})

const arrays = (depth: number, inner = "c0"): string => "91".repeat(depth) + inner

describe("the scanner accepts", () => {
  it.each([
    ["nil", "c0"],
    ["false", "c2"],
    ["true", "c3"],
    ["the largest integer", "ceffffffff"],
    ["the smallest integer", "d280000000"],
    ["-32", "e0"],
    ["-33", "d0df"],
    ["-129", "d1ff7f"],
    ["-32769", "d2ffff7fff"],
    ["empty text", "a0"],
    ["text of 31 bytes", `bf${"61".repeat(31)}`],
    ["text of 32 bytes", `d920${"61".repeat(32)}`],
    ["U+10FFFF", "a4f48fbfbf"],
    ["U+D7FF and U+E000", "a6ed9fbfee8080"],
    ["text with a byte order mark inside", "a461efbbbf"],
    ["empty bin", "c400"],
    ["an empty map", "80"],
    ["sorted keys, a prefix first", "82a16101a2616102"],
    ["depth 16", arrays(15)],
  ])("%s", (_, hex) => {
    expect(codeOf(() => scan(fromHex(hex)))).toBe(undefined)
  })

  it("65,536 values", () => {
    const items = new Uint8Array(limits.valuesMax - 1)
    expect(codeOf(() => scan(concat(fromHex("dcffff"), items)))).toBe(undefined)
  })
})

describe("the scanner refuses", () => {
  it.each([
    ["nothing", ""],
    ["a byte left over", "c0c0"],
    ["c1", "c1"],
    ["a float32", "ca00000000"],
    ["a float64", "cb0000000000000000"],
    ["uint64", "cf0000000100000000"],
    ["int64", "d3ffffffff00000000"],
    ["fixext 1", "d40000"],
    ["fixext 2", "d5000000"],
    ["fixext 4, a timestamp", "d6ff00000000"],
    ["fixext 8", "d7000000000000000000"],
    ["fixext 16", `d800${"00".repeat(16)}`],
    ["ext 8", "c70000"],
    ["ext 16", "c8000000"],
    ["ext 32", "c90000000000"],
    ["127 as uint8", "cc7f"],
    ["255 as uint16", "cd00ff"],
    ["65535 as uint32", "ce0000ffff"],
    ["-32 as int8", "d0e0"],
    ["a positive int8", "d07f"],
    ["-128 as int16", "d1ff80"],
    ["a positive int16", "d10080"],
    ["-32768 as int32", "d2ffff8000"],
    ["a positive int32", "d200010000"],
    ["text of 31 bytes as str 8", `d91f${"61".repeat(31)}`],
    ["text of 255 bytes as str 16", `da00ff${"61".repeat(255)}`],
    ["a short str 32", "db0000000161"],
    ["a short bin 16", "c500ff"],
    ["a short bin 32", "c60000ffff"],
    ["15 items as array 16", `dc000f${"c0".repeat(15)}`],
    ["a short array 32", "dd00000001c0"],
    ["15 pairs as map 16", "de000f"],
    ["a short map 32", "df00000001a16101"],
    ["text cut short", "a261"],
    ["bin cut short", "c40201"],
    ["an integer cut short", "cd01"],
    ["a length cut short", "c6000100"],
    ["an array cut short", "92c0"],
    ["a map cut short", "81a161"],
    ["a count of 2^32-1", "ddffffffff"],
    ["a map count of 2^32-1", "dfffffffff"],
    ["a text length of 2^32-1", "dbffffffff"],
    ["a lone continuation byte", "a180"],
    ["an overlong form of two", "a2c0af"],
    ["an overlong form of three", "a3e09fbf"],
    ["an overlong form of four", "a4f08fbfbf"],
    ["a surrogate", "a3eda080"],
    ["above U+10FFFF", "a4f4908080"],
    ["a code point that the header cuts", "a2e282"],
    ["a first byte of f5", "a4f5808080"],
    ["text that begins with a byte order mark", "a3efbbbf"],
    ["equal keys", "82a16101a16102"],
    ["falling keys", "82a16201a16102"],
    ["a longer key before its prefix", "82a2616101a16102"],
    ["a key that is no text", "810102"],
    ["a bin key", "81c4016101"],
    ["a key in a long form", "81d9016101"],
    ["__proto__", "81a95f5f70726f746f5f5f01"],
    ["__proto__ deep inside", "9181a16181a95f5f70726f746f5f5f01"],
    ["depth 17", arrays(16)],
    ["depth 17 in maps", `${"81a161".repeat(16)}c0`],
  ])("%s", (_, hex) => {
    expect(codeOf(() => scan(fromHex(hex)))).toBe("not-canonical")
  })

  it("65,537 values, keys counted", () => {
    const items = new Uint8Array(limits.valuesMax)
    expect(codeOf(() => scan(concat(fromHex("dd00010000"), items)))).toBe("not-canonical")
    const pairs = Array.from({ length: 32_768 }, (_, i) =>
      fromHex(
        `a4${i
          .toString(16)
          .padStart(4, "0")
          .replaceAll(/../gu, (byte) => toHex(utf8(byte)))}c0`,
      ),
    )
    expect(codeOf(() => scan(concat(fromHex("de8000"), ...pairs)))).toBe("not-canonical")
  })

  it("any other width of any integer", () => {
    expect.hasAssertions()
    fc.assert(
      fc.property(fc.integer({ min: -(2 ** 31), max: 2 ** 32 - 1 }), (number) => {
        const one = toHex(encode(value, number))
        const others = wide(number).filter(
          (hex) =>
            hex !== one &&
            codeOf(() => scan(fromHex(hex))) === undefined &&
            decode(value, fromHex(hex), 9) === number,
        )
        expect(others).toEqual([])
      }),
      { seed: 1 },
    )
  })
})

describe("every value of the subset", () => {
  it("has one encoding, which comes back", () => {
    fc.assert(
      fc.property(anyValue, (item) => {
        const encoded = encode(value, item)
        const decoded = decode(value, encoded, encoded.length)
        expect(decoded).toEqual(item)
        expect(toHex(encode(value, decoded))).toBe(toHex(encoded))
      }),
      { seed: 2, numRuns: 500 },
    )
  })

  it("stays what it was when the received bytes are overwritten", () => {
    const encoded = encode(value, [Uint8Array.of(1, 2), new Map([["a", Uint8Array.of(3)]])])
    const decoded = decode(value, encoded, 100)
    encoded.fill(0xff)
    expect(decoded).toEqual([Uint8Array.of(1, 2), new Map([["a", Uint8Array.of(3)]])])
  })

  it("leaves no trace on the bytes that were read", () => {
    const encoded = encode(value, 1)
    decode(value, encoded, 1)
    expect(Reflect.ownKeys(encoded)).toEqual(["0"])
  })
})

describe("encoding holds itself to the subset too", () => {
  const deep = (depth: number): Value => (depth === 0 ? null : [deep(depth - 1)])
  it.each<[string, Value]>([
    ["a float", 1.5],
    ["NaN", Number.NaN],
    ["2^32", 2 ** 32],
    ["below -2^31", -(2 ** 31) - 1],
    ["a lone surrogate", "\ud800"],
    ["a byte order mark in front", "\ufeffx"],
    ["__proto__", new Map([["__proto__", 1]])],
    ["depth 17", deep(16)],
    ["depth 100,000", Array.from({ length: 100_000 }).reduce<Value>((inner) => [inner], null)],
    ["undefined", undefined as unknown as Value],
    ["a bigint", 1n as unknown as Value],
    ["a date", new Date(0) as unknown as Value],
    ["a set", new Set([1]) as unknown as Value],
    ["an object", { a: 1 } as unknown as Value],
    ["too many values", Array.from({ length: limits.valuesMax }, () => 0)],
  ])("%s", (_, item) => {
    expect(codeOf(() => encode(value, item))).toBe("not-canonical")
  })

  it("sorts the keys of maps by bytes", () => {
    const map = new Map<string, Value>([
      ["\u{1F600}", 1],
      ["\uFF5E", 2],
      ["a", 3],
    ])
    const decoded = decode(value, encode(value, map), 100)
    expect(decoded instanceof Map ? [...decoded.keys()] : []).toEqual(["a", "\uFF5E", "\u{1F600}"])
  })
})
