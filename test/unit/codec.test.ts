import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { fromHex, toHex } from "../../protocol/bytes.ts"
import {
  type Codec,
  type Value,
  ascending,
  bytes,
  decode,
  encode,
  flag,
  list,
  literal,
  nullable,
  oneOf,
  record,
  tagged,
  text,
  uint,
  value,
} from "../../protocol/codec.ts"
import {
  capabilityName,
  codeName,
  contentTypeName,
  isMemberName,
  isOfficerId,
  isRelayName,
  logOrigin,
  memberName,
  officerId,
  relayName,
  stationName,
} from "../../protocol/names.ts"
import { codeOf } from "../kit/refusal.ts"
import { haveSharedVectors, readSharedVectors } from "../kit/shared-vectors.ts"

const pair = record({ a: uint(9), b: nullable(text(5)) })
const table = tagged({
  ping: record({ kind: literal(1), n: uint(255) }),
  pong: record({ kind: literal(2), data: bytes(0, 4) }),
})

/** One row: a codec, values that it takes, values of the subset that it refuses, ours that it does not write. */
type Row = readonly [string, Codec<never>, readonly unknown[], readonly Value[], readonly unknown[]]
const row = <T>(
  name: string,
  codec: Codec<T>,
  good: readonly T[],
  bad: readonly Value[],
  wrong: readonly T[] = [],
): Row => [name, codec as unknown as Codec<never>, good, bad, wrong]

const small = Uint8Array.of(1)
const letters = ascending(text(9), (item) => item, 0, 3)
const rows: readonly Row[] = [
  row("uint", uint(300), [0, 1, 300], [301, -1, null, "1", true], [301, -1, 1.5, Number.NaN]),
  row(
    "bytes",
    bytes(1),
    [small],
    [new Uint8Array(0), new Uint8Array(3), "a", [1]],
    [new Uint8Array(2)],
  ),
  row("bytes of a range", bytes(0, 2), [new Uint8Array(0)], [new Uint8Array(3), null]),
  row("text", text(4), ["", "äö"], ["äöü", 1, null, small], ["äöü"]),
  row("text of a form", text(4, /^[a-z]+$/u), ["abc"], ["", "ABC", "ab\n"], ["", "A"]),
  row("flag", flag, [true, false], [0, 1, null, "true"]),
  row("literal", literal("x"), ["x"], ["y", 0, null]),
  row("literal 0", literal(0), [0], [false, null, "0"]),
  row<number | string>("oneOf", oneOf([0, "a", 7]), [0, "a", 7], [1, "b", null, false], [1, "b"]),
  row("nullable", nullable(uint(1)), [null, 1], [2, "", false], [2]),
  row("list", list(uint(9), 1, 2), [[1], [1, 2]], [[], [1, 2, 3], [10], new Map(), 1], [[], [10]]),
  row(
    "ascending",
    letters,
    [[], ["a", "b"]],
    [
      ["b", "a"],
      ["a", "a"],
    ],
    [
      ["b", "a"],
      ["a", "a"],
    ],
  ),
  row(
    "record",
    pair,
    [{ a: 1, b: null }],
    [[1], [1, null, 1], [10, null], new Map(), null],
    [{ a: 10, b: null }],
  ),
  row<unknown>(
    "tagged",
    table,
    [
      { name: "ping", n: 1 },
      { name: "pong", data: small },
    ],
    [[3, 1], [0, 1], ["1", 1], [1, 256], [2, 1], [], [1], 1],
    [
      { name: "pang", n: 1 },
      { name: "ping", n: 256 },
    ],
  ),
]

describe.each(rows)("%s", (_, codec, good, bad, wrong) => {
  it("round-trips", () => {
    for (const item of good) expect(decode(codec, encode(codec, item as never), 100)).toEqual(item)
  })

  it("refuses everything else", () => {
    for (const item of bad)
      expect(codeOf(() => decode(codec, encode(value, item), 100))).toBe("not-canonical")
  })

  it("writes nothing that it would not read", () => {
    expect.assertions(wrong.length)
    for (const item of wrong) expect(() => encode(codec, item as never)).toThrow(RangeError)
  })
})

describe("decoding", () => {
  it("says `size` before it reads, and names the field at fault", () => {
    expect(codeOf(() => decode(uint(9), new Uint8Array(3), 2))).toBe("size")
    const nested = record({ outer: list(pair, 0, 2) })
    const encoded = encode(value, [
      [
        [1, null],
        [2, 3],
      ],
    ])
    expect(() => decode(nested, encoded, 99)).toThrow(/outer\[1\]\.b/u)
  })
})

const isMarked = (string: string): boolean => string.startsWith("\ufeff")
const long = (length: number): string => "a".repeat(length)
const names: readonly (readonly [string, Codec<string>, readonly string[], readonly string[]])[] = [
  [
    "member",
    memberName,
    ["F", "FR", "HQ", "A-9", `A${long(31).toUpperCase()}`],
    ["", "fr", "9A", "-A", "F R", "FR\n", "FR/", "ФР", `A${long(32).toUpperCase()}`, "\u0000FR"],
  ],
  [
    "relay",
    relayName,
    ["a", "hub1", "hub1.example", "a-b.c", long(64)],
    ["", "Hub", "-a", "a-", ".a", "a.", "a/b", "a b", "a\n", long(65)],
  ],
  [
    "officer",
    officerId,
    ["FR/duty", "FR/a.b-9", `FR/${long(32)}`],
    ["FR", "FR/", "/a", "fr/a", "FR/A", "FR/a/b", "FR/a\n", `FR/${long(33)}`],
  ],
  [
    "content type",
    contentTypeName,
    ["case", "case/info", "a/b-c/9"],
    ["", "Case", "case/", "/a", "case//x", "9/a", "case/info\n", `a/${long(63)}`],
  ],
  ["station", stationName, ["FR", "hub1"], ["", "Fr", "FR/x", "hub_1", "FR\nhub1"]],
  [
    "log origin",
    logOrigin,
    ["hub1/directory", "hub1.example/traffic/2027"],
    ["hub1", "FR/directory", "hub1/", "/x", "hub1/A", "hub1/a\n"],
  ],
  ["capability", capabilityName, ["sign/notice/red"], ["sign", "sign/", "Sign/x", "sign/ x"]],
  ["code", codeName, ["sender-key", "slice"], ["", "a-", "-a", "a--b", "A", "a b"]],
]

describe.each(names)("a %s's name", (_, codec, good, bad) => {
  it("has its form", () => {
    for (const name of good) expect(decode(codec, encode(codec, name), 200)).toBe(name)
    for (const name of bad) {
      expect(codeOf(() => decode(codec, encode(value, name), 200))).toBe("not-canonical")
      expect(() => encode(codec, name)).toThrow(RangeError)
    }
  })
})

it("no name passes for one of another kind", () => {
  const kinds = [isMemberName, isRelayName, isOfficerId]
  const all = names.flatMap(([, , good]) => good)
  for (const name of all) expect(kinds.filter((is) => is(name)).length).toBeLessThan(2)
  fc.assert(
    fc.property(fc.string({ unit: "binary-ascii", maxLength: 10 }), (name) => {
      expect(kinds.filter((is) => is(name)).length).toBeLessThan(2)
    }),
    { seed: 3, numRuns: 2_000 },
  )
})

describe.runIf(haveSharedVectors)("naughty strings", () => {
  const strings = haveSharedVectors ? (readSharedVectors("blns/blns.json") as string[]) : []

  it("come back as they were, or are refused for a byte order mark in front", () => {
    const any = text(10_000)
    expect(strings).toHaveLength(515)
    const back = (string: string): unknown[] => [
      decode(any, encode(any, string), 20_000),
      decode(value, encode(value, string), 20_000),
      decode(value, encode(value, new Map([[string, 1]])), 20_000),
    ]
    for (const string of strings.filter((one) => !isMarked(one)))
      expect(back(string)).toEqual([string, string, new Map([[string, 1]])])
    for (const string of strings.filter(isMarked))
      expect(codeOf(() => encode(any, string))).toBe("not-canonical")
  })

  it("are no names, but for plain words", () => {
    for (const codec of names.map(([, codec]) => codec))
      for (const string of strings) {
        const refused = codeOf(() => codec.fromValue(string, "x")) === "not-canonical"
        expect(refused || /^[A-Za-z0-9./-]+$/u.test(string)).toBe(true)
      }
  })
})

it("hex is lower-case and even", () => {
  expect(toHex(fromHex("00ff"))).toBe("00ff")
  for (const wrong of ["0", "0G", "FF", " 00", "00\n"])
    expect(codeOf(() => fromHex(wrong))).toBe("not-canonical")
})
