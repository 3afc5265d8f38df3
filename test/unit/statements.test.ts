// Layouts of what is signed and sent, and batch signatures: a round trip and the refusals of each.

import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { signBatch } from "../../keys/batch-signer.ts"
import { crypto, sha256 } from "../../keys/crypto.ts"
import {
  type Auth,
  BatchVerifier,
  batchRoot,
  blindLength,
  decodeAuth,
  encodeAuth,
} from "../../protocol/batch.ts"
import { concat, toHex } from "../../protocol/bytes.ts"
import { type Value, decode, encode, value } from "../../protocol/codec.ts"
import { decodeControl, encodeControl, gapBody } from "../../protocol/control.ts"
import {
  coreBytes,
  decodeContent,
  decodeHeader,
  decodeInside,
  decodeLeaf,
  encodeContent,
  encodeHeader,
  encodeInside,
  encodeLeaf,
  identityOf,
  recipientIndex,
} from "../../protocol/envelope.ts"
import { decodeHello, encodeHello } from "../../protocol/hello.ts"
import { limits } from "../../protocol/limits.ts"
import { pae } from "../../protocol/pae.ts"
import {
  decodeReceipt,
  encodeReceipt,
  isSealedStep,
  receiptSteps,
  stepName,
} from "../../protocol/receipt.ts"
import { codeOf } from "../kit/refusal.ts"
import { seededKey } from "../kit/world.ts"

const fill = (length: number, byte = 1): Uint8Array => new Uint8Array(length).fill(byte)

const header = {
  core: {
    version: 1,
    suite: 1,
    id: fill(16),
    senderNode: "FR",
    senderKeyId: fill(16),
    created: 1_800_000_000,
    expires: 1_800_086_400,
    precedence: 3,
    recipients: [
      { node: "BR", kemKeyId: fill(16) },
      { node: "KE", kemKeyId: fill(16) },
    ],
    bodyLength: 328,
    bodyHash: fill(32),
    contentCommit: fill(32),
    checkpoint: { size: 0, root: fill(32) },
    room: null,
  },
  slicesRoot: fill(32),
} as const
const leaf = {
  node: "BR",
  wrap: fill(1_168),
  incarnation: 1,
  channelSeq: 1,
  channelPrev: fill(32),
}
const content = {
  version: 1,
  type: "case/info",
  officer: "FR/duty",
  created: 1_800_000_000,
  intended: { sender: "FR", id: fill(16), nodes: ["BR", "KE"] },
  document: new Map([["text", "hello"]]),
} as const
const inside = {
  content: fill(5),
  officerSig: fill(64),
  officerKeyId: fill(16),
  contentCommitKey: fill(32),
}
const receipt = {
  version: 1,
  messageId: fill(32),
  recipientNode: "BR",
  step: 4,
  reason: null,
  at: 1_800_000_000,
  keyId: fill(16),
  by: null,
  ref: null,
} as const
const control = {
  version: 1,
  from: "BR",
  to: "FR",
  n: 1,
  at: 1_800_000_000,
  op: "gap",
  body: [1, 3, 4, 5],
} as const
const hello = {
  version: 1,
  exporter: fill(32),
  from: "FR",
  to: "hub1",
  role: 0,
  at: 1_800_000_000,
  versions: [1],
  suites: [1],
  head: { size: 9, root: fill(32) },
  incarnation: 1,
  keyId: fill(16),
  held: { seq: 0, session: 1 },
} as const

type Layout = readonly [
  name: string,
  encoded: Uint8Array,
  decode: (bytes: Uint8Array) => unknown,
  item: unknown,
  /** Where to put what, so that the layout no longer holds. */
  bad: readonly (readonly [path: readonly number[], put: Value])[],
]
const layouts: readonly Layout[] = [
  [
    "header",
    encodeHeader(header),
    decodeHeader,
    header,
    [
      [[0, 0], 2],
      [[0, 1], 65_536],
      [[0, 2], fill(15)],
      [[0, 3], "fr"],
      [[0, 3], "KE"],
      [[0, 4], fill(17)],
      [[0, 5], -1],
      [[0, 7], 4],
      [[0, 8], []],
      [
        [0, 8],
        [
          ["BR", fill(16)],
          ["BR", fill(16)],
        ],
      ],
      [
        [0, 8],
        [
          ["KE", fill(16)],
          ["BR", fill(16)],
        ],
      ],
      [[0, 8, 0], ["BR"]],
      [[0, 9], 327],
      [[0, 9], limits.bodyBytesMax + 1],
      [[0, 10], fill(31)],
      [[0, 11], "x"],
      [[0, 12], [0]],
      [[0, 13], fill(16)],
      [[0, 14], 1],
      [[1], fill(33)],
      [[2], null],
    ],
  ],
  [
    "leaf",
    encodeLeaf(leaf),
    decodeLeaf,
    leaf,
    [
      [[0], "br"],
      [[1], fill(1_167)],
      [[1], fill(1_169)],
      [[2], null],
      [[3], -1],
      [[4], fill(31)],
      [[5], 1],
    ],
  ],
  [
    "content",
    encodeContent(content),
    decodeContent,
    content,
    [
      [[0], 2],
      [[1], "Case"],
      [[2], "FR"],
      [[3], null],
      [[4, 0], "fr"],
      [[4, 1], fill(15)],
      [[4, 2], []],
      [
        [4, 2],
        ["KE", "BR"],
      ],
      [[4, 3], 1],
      [[6], 1],
    ],
  ],
  [
    "inside",
    encodeInside(inside),
    decodeInside,
    inside,
    [
      [[0], fill(0)],
      [[1], fill(63)],
      [[1], fill(65)],
      [[2], fill(15)],
      [[3], fill(31)],
      [[4], 1],
    ],
  ],
  [
    "receipt",
    encodeReceipt(receipt),
    decodeReceipt,
    receipt,
    [
      [[0], 0],
      [[1], fill(31)],
      [[2], "hub1"],
      [[3], 1],
      [[3], 10],
      [[3], 20],
      [[4], "No Such"],
      [[4], "x".repeat(65)],
      [[6], fill(15)],
      [[7], "FR/duty\n"],
      [[7], "x y"],
      [[8], fill(65)],
      [[9], null],
    ],
  ],
  [
    "control",
    encodeControl(control),
    decodeControl,
    control,
    [
      [[1], "hub1"],
      [[3], -1],
      [[5], "purge"],
      [[7], 1],
    ],
  ],
  [
    "hello",
    encodeHello(hello),
    decodeHello,
    hello,
    [
      [[1], fill(31)],
      [[2], "Fr"],
      [[4], 2],
      [[6], []],
      [[7], [65_536]],
      [[8], [9]],
      [[11], [0]],
      [[12], 0],
    ],
  ],
]

function put(item: Value, path: readonly number[], what: Value): Value {
  const [at, ...rest] = path
  if (at === undefined) return what
  const copy = [...(item as readonly Value[])]
  copy[at] = put(copy[at] ?? null, rest, what)
  return copy
}

describe.each(layouts)("the layout of a %s", (_, encoded, read, item, bad) => {
  it("round-trips", () => {
    expect(read(encoded)).toEqual(item)
  })

  it("refuses each field out of its bounds, and each length cut or grown", () => {
    const plain = decode(value, encoded, encoded.length)
    for (const [path, what] of bad)
      expect([path, what, codeOf(() => read(encode(value, put(plain, path, what))))]).toEqual([
        path,
        what,
        "not-canonical",
      ])
    const fields = plain as readonly Value[]
    expect(codeOf(() => read(encode(value, fields.slice(1))))).toBe("not-canonical")
    expect(codeOf(() => read(encoded.slice(0, -1)))).toBe("not-canonical")
    expect(codeOf(() => read(concat(encoded, fill(1))))).toBe("not-canonical")
    expect(codeOf(() => read(fill(2_000_000)))).toBe("size")
  })
})

describe("envelopes", () => {
  it("core's bytes stand between the array byte and the root", () => {
    const encoded = encodeHeader(header)
    const [core] = decode(value, encoded, encoded.length) as readonly Value[]
    expect(coreBytes(encoded)).toEqual(encode(value, core ?? null))
    expect(identityOf(header.core)).toBe(`FR/${"01".repeat(16)}`)
    expect(recipientIndex(header.core, "KE")).toBe(1)
    expect(recipientIndex(header.core, "FR")).toBe(-1)
  })

  it("of 256 recipients with the longest names fit the bound", () => {
    const recipients = Array.from({ length: 256 }, (_, i) => ({
      node: `A${String(i).padStart(31, "0")}`,
      kemKeyId: fill(16),
    }))
    const encoded = encodeHeader({ ...header, core: { ...header.core, recipients } })
    expect(encoded.length).toBeLessThanOrEqual(limits.headerBytesMax)
    const tooMany = [...recipients, { node: "Z", kemKeyId: fill(16) }]
    expect(() =>
      encodeHeader({ ...header, core: { ...header.core, recipients: tooMany } }),
    ).toThrow(RangeError)
  })

  it("sign under types that no other statement has", () => {
    const text = new TextDecoder().decode(pae("entry", fill(2, 0x78)))
    expect(text).toBe("DSSEv1 31 application/vnd.chappe.entry.v1 2 xx")
  })
})

describe("receipts and controls", () => {
  it("name every step both ways, and know which travel sealed", () => {
    for (const [name, step] of Object.entries(receiptSteps)) expect(stepName(step)).toBe(name)
    const sealed = Object.values(receiptSteps).filter(isSealedStep)
    expect(sealed.map(stepName)).toEqual(["opened", "in-charge", "answered", "refused"])
  })

  it.each(["FR/duty", "hub1", "FR", null])("are by %s", (by) => {
    expect(decodeReceipt(encodeReceipt({ ...receipt, by })).by).toBe(by)
  })

  it("ask for a gap by lane and numbers", () => {
    const body = { incarnation: 1, lane: 3, first: 4, last: 5 } as const
    expect(gapBody.fromValue(gapBody.toValue(body), "gap")).toEqual(body)
    expect(codeOf(() => gapBody.fromValue([1, 4, 4, 5], "gap"))).toBe("not-canonical")
  })
})

const itemsOf = (size: number, blind: number) =>
  Array.from({ length: size }, (_, i) => ({
    id: sha256(Uint8Array.of(i >> 8, i & 255)),
    blind: fill(blind, i & 255),
  }))
const verifier = (): BatchVerifier => new BatchVerifier(crypto, 100)

describe("batches", () => {
  const key = seededKey("node", "batch")

  it.each([1, 2, 3, 5, 8, 31, 511, 512])("of %i sign each item for itself", (size) => {
    for (const purpose of ["message", "log"] as const) {
      const items = itemsOf(size, blindLength[purpose])
      const { root, auths } = signBatch("FR", key, items)
      const batches = verifier()
      auths.forEach((auth, i) => {
        const id = items[i]?.id ?? fill(32)
        const back = decodeAuth(encodeAuth(auth))
        const check = (changes: Partial<Auth>, as: "message" | "log" = purpose) =>
          batches.check({
            signer: { name: "FR", keyId: key.keyId },
            publicKey: key.publicKey,
            auth: { ...back, ...changes },
            id,
            purpose: as,
          })
        expect(check({})).toEqual(root)
        if (i > 40) return
        const bad: Partial<Auth>[] = [
          { index: size },
          { index: (i + 1) % size, size: size + 1 },
          { size: 0 },
          { size: 513 },
          { path: [...auth.path, fill(32)] },
          { blind: fill(purpose === "message" ? 0 : 16) },
          { signature: fill(64) },
        ]
        if (size > 1) bad.push({ index: (i + 1) % size }, { path: auth.path.slice(1) })
        for (const changes of bad) expect(codeOf(() => check(changes))).toBe("signature")
        expect(codeOf(() => check({}, purpose === "log" ? "message" : "log"))).toBe("signature")
      })
    }
  })

  it("cost one verification, and only what was verified is remembered", () => {
    let verified = 0
    const counting = {
      ...crypto,
      verify: (...args: Parameters<typeof crypto.verify>) => {
        verified += 1
        return crypto.verify(...args)
      },
    }
    const batches = new BatchVerifier(counting, 2)
    const check = (name: string, auth: Auth, id: Uint8Array, publicKey = key.publicKey) =>
      codeOf(() =>
        batches.check({
          signer: { name, keyId: key.keyId },
          publicKey,
          auth,
          id,
          purpose: "message",
        }),
      )
    const items = itemsOf(40, 16)
    const { auths } = signBatch("FR", key, items)
    auths.forEach((auth, i) => expect(check("FR", auth, items[i]?.id ?? fill(32))).toBe(undefined))
    expect(verified).toBe(1)
    const [auth] = auths
    const id = items[0]?.id
    if (auth === undefined || id === undefined) throw new Error("items")
    // Another name, key or signature over the same root is another equation.
    expect(check("BR", auth, id)).toBe("signature")
    expect(check("FR", auth, id, seededKey("node", "other").publicKey)).toBe("signature")
    expect(check("FR", { ...auth, signature: fill(64) }, id)).toBe("signature")
    expect(check("FR", { ...auth, signature: fill(64) }, id)).toBe("signature")
    expect(verified).toBe(5)
    // The oldest is forgotten first.
    for (const label of [1, 2]) {
      const other = [{ id: sha256(Uint8Array.of(label, 9, 9)), blind: fill(16) }]
      const [one] = signBatch("FR", key, other).auths
      expect(check("FR", one ?? auth, other[0]?.id ?? id)).toBe(undefined)
    }
    expect(check("FR", auth, id)).toBe(undefined)
    expect(verified).toBe(8)
  })

  it("of no or too many items are our mistake", () => {
    expect(() => signBatch("FR", key, [])).toThrow(RangeError)
    expect(() => signBatch("FR", key, itemsOf(513, 16))).toThrow(RangeError)
  })

  it("give a root for one place only", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 64 }), fc.nat(), fc.nat(), (size, a, b) => {
        const items = itemsOf(size, 16)
        const { auths, root } = signBatch("FR", key, items)
        const auth = auths[a % size]
        const id = items[b % size]?.id
        if (auth === undefined || id === undefined) return false
        const found = batchRoot(sha256, auth, id, "message")
        expect(toHex(found) === toHex(root)).toBe(a % size === b % size)
        return true
      }),
      { seed: 4 },
    )
  })
})
