import { describe, expect, it } from "vitest"
import {
  type ContentType,
  capabilitiesOf,
  colours,
  contentTypes,
  isContentType,
  isDesksOwn,
  missingCapability,
  roleNames,
  roles,
} from "../../protocol/capability.ts"
import { type Value, decode, encode, value } from "../../protocol/codec.ts"
import {
  type Document,
  documentValue,
  readDocument,
  statedColour,
} from "../../protocol/document.ts"
import { limits } from "../../protocol/limits.ts"
import { clockOffset, isClockOff } from "../../protocol/network-time.ts"
import { emptyDocument } from "../kit/mail.ts"
import { codeOf } from "../kit/refusal.ts"
import { haveSharedVectors, readSharedVectors } from "../kit/shared-vectors.ts"

const types = Object.keys(contentTypes).filter(isContentType)
const hash = (byte: number): Uint8Array => new Uint8Array(32).fill(byte)

const quoted = {
  header: hash(1),
  auth: hash(2),
  entry: hash(3),
  salt: hash(4),
  promise: "promise",
  index: 5,
  path: [hash(6)],
  content: hash(7),
  officerSig: new Uint8Array(64),
  officerKeyId: new Uint8Array(16),
  contentCommitKey: hash(8),
}
const attachment = {
  hash: hash(1),
  cipherLength: 400,
  plainLength: 200,
  plainHash: hash(2),
  key: hash(3),
  mediaType: "image/jpeg",
  name: "photo.jpg",
}
const inReplyTo = { sender: "FR", id: new Uint8Array(16) }

/** Every key that a type knows, set. */
const full: Readonly<Record<ContentType, Partial<Document>>> = {
  "case/info": { form: new Map([["a", 1]]), ourRef: "o", yourRef: "y" },
  "case/reply": { form: new Map([["a", 1]]), ourRef: "o", yourRef: "y", inReplyTo },
  "notice/request": { form: new Map([["colour", "red"]]), ourRef: "o" },
  "notice/published": { quoted },
  "diffusion/send": { form: new Map([["colour", "blue"]]), ourRef: "o" },
}
const fullOf = (type: ContentType): Document => ({
  ...emptyDocument,
  info: ["HQ"],
  attachments: [attachment],
  ...full[type],
})
const fieldsOf = (type: ContentType): Map<string, Value> =>
  new Map(documentValue(type, fullOf(type)) as ReadonlyMap<string, Value>)

describe.each(types)("a document of type %s", (type) => {
  it("comes back as it was written, over the wire too", () => {
    const item = fullOf(type)
    const sent = encode(value, documentValue(type, item))
    expect(readDocument(type, decode(value, sent, sent.length))).toEqual(item)
  })

  it("refuses a key that it does not know, and a nil where a key may be left out", () => {
    const others = types.flatMap((other) => [...fieldsOf(other)])
    const mine = fieldsOf(type)
    for (const [key, item] of [...others, ["extra", 1] as const].filter(([key]) => !mine.has(key)))
      expect(codeOf(() => readDocument(type, new Map([...mine, [key, item]])))).toBe("document")
    for (const key of mine.keys())
      expect(codeOf(() => readDocument(type, new Map([...mine, [key, null]])))).toBe("document")
  })

  it("needs the keys that it needs", () => {
    const needed = ["to", "subject", "label"]
    if (type === "case/reply") needed.push("inReplyTo")
    if (type === "notice/published") needed.push("quoted")
    for (const key of fieldsOf(type).keys()) {
      const fields = fieldsOf(type)
      fields.delete(key)
      const expected = needed.includes(key) ? "document" : undefined
      expect([key, codeOf(() => readDocument(type, fields))]).toEqual([key, expected])
    }
  })
})

const withField = (key: string, item: Value) =>
  codeOf(() => readDocument("case/reply", new Map([...fieldsOf("case/reply"), [key, item]])))
const label = (classification: Value, handling: Value, ...more: readonly [string, Value][]) =>
  new Map<string, Value>([["classification", classification], ["handling", handling], ...more])

describe("a document's field", () => {
  const row = (changes: Readonly<Record<number, Value>>): Value => {
    const whole: Value[] = [hash(1), 400, 200, hash(2), hash(3), "image/jpeg", "photo.jpg"]
    for (const [i, item] of Object.entries(changes)) whole[Number(i)] = item
    return [whole]
  }
  it.each<[string, Value]>([
    ["to", "JP"],
    ["to", [1]],
    ["to", ["jp"]],
    ["to", Array.from({ length: limits.recipientsMax + 1 }, () => "JP")],
    ["info", ["HQ", "x"]],
    ["subject", ""],
    ["subject", "x".repeat(151)],
    ["subject", 1],
    ["text", "x".repeat(50_001)],
    ["text", Uint8Array.of(1)],
    ["label", "RESTRICTED"],
    ["label", label("SECRET", "H1")],
    ["label", label("RESTRICTED", "H9")],
    ["label", label("RESTRICTED", "H1", ["more", 1])],
    ["label", new Map([["classification", "RESTRICTED"]])],
    ["ourRef", ""],
    ["ourRef", "x".repeat(65)],
    ["yourRef", 5],
    ["form", []],
    ["form", "x"],
    ["inReplyTo", ["FR"]],
    ["inReplyTo", ["fr", new Uint8Array(16)]],
    ["inReplyTo", ["FR", new Uint8Array(15)]],
    ["attachments", row({ 0: hash(1).slice(1) })],
    ["attachments", row({ 1: -1 })],
    ["attachments", row({ 2: "1" })],
    ["attachments", row({ 4: new Uint8Array(33) })],
    ["attachments", row({ 5: "" })],
    ["attachments", row({ 6: "x".repeat(256) })],
    ["attachments", row({ 7: 1 })],
    ["attachments", [[]]],
    ["attachments", Array.from({ length: limits.attachmentsMax + 1 }, () => [])],
  ])("%s %#", (key, item) => {
    expect(withField(key, item)).toBe("document")
  })

  it("of a quotation has its form", () => {
    const fields = fieldsOf("notice/published")
    const good = fields.get("quoted") as readonly Value[]
    expect(good).toHaveLength(11)
    good.forEach((_, i) => {
      const bent = good.map((item, j) => (i === j ? null : item))
      const bad = new Map([...fields, ["quoted", bent] as const])
      expect(codeOf(() => readDocument("notice/published", bad))).toBe("document")
    })
    const short = new Map([...fields, ["quoted", good.slice(1)] as const])
    expect(codeOf(() => readDocument("notice/published", short))).toBe("document")
  })

  it("counts characters, not bytes", () => {
    expect(withField("subject", "\u{1F600}".repeat(150))).toBe(undefined)
    expect(withField("text", "م".repeat(50_000))).toBe(undefined)
  })

  it("is refused where the whole grows too large", () => {
    const form = new Map([["a", new Uint8Array(limits.documentBytesMax)]])
    expect(codeOf(() => documentValue("case/info", { ...emptyDocument, form }))).toBe("size")
    const deep = Array.from({ length: 5_000 }).reduce<Value>((inner) => [inner], null)
    const nested = { ...emptyDocument, form: new Map([["a", deep]]) }
    expect(codeOf(() => documentValue("case/info", nested))).toBe("not-canonical")
    for (const item of [null, 1, "x", [], hash(1)])
      expect(codeOf(() => readDocument("case/info", item))).toBe("document")
  })
})

describe.runIf(haveSharedVectors)("naughty strings", () => {
  it("come back from every text field", () => {
    const all = haveSharedVectors ? (readSharedVectors("blns/blns.json") as string[]) : []
    const strings = all.filter(
      (one) => one !== "" && !one.startsWith("\ufeff") && Array.from(one).length <= 64,
    )
    expect(strings.length).toBeGreaterThan(300)
    for (const string of strings) {
      const item: Document = {
        ...fullOf("case/info"),
        subject: string,
        text: string,
        ourRef: string,
        yourRef: string,
        form: new Map([[string, string]]),
        attachments: [{ ...attachment, name: string, mediaType: string }],
      }
      const sent = encode(value, documentValue("case/info", item))
      expect(readDocument("case/info", decode(value, sent, sent.length))).toEqual(item)
    }
  })
})

describe("capabilities", () => {
  it("of a role are exact and only narrow", () => {
    for (const role of roleNames) expect(capabilitiesOf([role])).toEqual(roles[role].toSorted())
    expect(capabilitiesOf(["officer", "officer"])).toEqual(capabilitiesOf(["officer"]))
    expect(capabilitiesOf([])).toEqual([])
  })

  it.each<[ContentType, Value | undefined, readonly string[]]>([
    ["case/info", undefined, ["sign/case"]],
    ["case/reply", "red", ["sign/case"]],
    ["notice/request", "red", ["sign/notice/red"]],
    ["notice/request", undefined, colours.map((colour) => `sign/notice/${colour}`)],
    ["notice/request", "pink", colours.map((colour) => `sign/notice/${colour}`)],
    ["notice/request", 1, colours.map((colour) => `sign/notice/${colour}`)],
    ["diffusion/send", "blue", ["sign/diffusion/blue"]],
    ["diffusion/send", null, colours.map((colour) => `sign/diffusion/${colour}`)],
    ["notice/published", undefined, ["desk/decide"]],
  ])("%s with colour %s needs them all", (type, colour, needed) => {
    expect(missingCapability(type, colour, needed)).toBe(undefined)
    for (const one of needed)
      expect(
        missingCapability(
          type,
          colour,
          needed.filter((other) => other !== one),
        ),
      ).toBe(one)
    const wild = ["sign/*", "sign", "sign/notice", "*", ""]
    expect(missingCapability(type, colour, wild)).toBe(needed[0])
  })

  it("for the desk's own words are the desk's", () => {
    expect(types.filter(isDesksOwn)).toEqual(["notice/published"])
    expect(isContentType("toString")).toBe(false)
    const form = new Map([["colour", "red"]])
    expect(statedColour({ ...emptyDocument, form })).toBe("red")
    expect(statedColour(emptyDocument)).toBe(undefined)
  })
})

describe("network time without a quorum", () => {
  it.each([
    [[], 0],
    [[10], 0],
    [[400, 400], 400],
    [[400, 2], 2],
    [[31_536_000, 1], 1],
    [[-31_536_000, 1], 0],
    [[600, 601, 602], 600],
    [[-5, -6, -7, -8], -6],
  ])("of relays at %j is off by %i", (offsets, expected) => {
    expect(clockOffset(offsets)).toBe(expected)
  })

  it("is off beyond five minutes", () => {
    expect(isClockOff(300)).toBe(false)
    expect(isClockOff(-301)).toBe(true)
  })
})
