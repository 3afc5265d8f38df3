import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { Unpadder, pad, paddedLength, paddingAfter, unpad } from "../../keys/padding.ts"
import { concat } from "../../protocol/bytes.ts"
import { limits } from "../../protocol/limits.ts"

const padding = expect.objectContaining({ code: "padding" })

/** Padmé as its paper writes it, in floating point. */
function padmeByThePaper(length: number): number {
  const e = Math.floor(Math.log2(length))
  const s = Math.floor(Math.log2(e)) + 1
  const step = 2 ** (e - s)
  return Math.ceil(length / step) * step
}

test("the padded length is Padmé's, at most 12 % more above the floor, up to 2 GiB", () => {
  const plainLength = fc.integer({ min: 255, max: 2 ** 31 - 2 ** 26 })
  fc.assert(
    fc.property(plainLength, (length) => {
      const padded = paddedLength(length)
      expect(padded).toBe(padmeByThePaper(length + 1))
      expect(padded).toBeGreaterThan(length)
      expect(padded).toBeLessThanOrEqual((length + 1) * 1.12)
      expect(padded).toBeLessThanOrEqual(limits.attachmentBytesMax)
    }),
    { numRuns: 5_000 },
  )
})

test("what was padded comes back, whole and as a stream in any pieces", () => {
  for (const length of [0, 1, 127, 128, 254, 255, 256, 271, 272, 5_000, 70_000]) {
    const plaintext = new Uint8Array(length).fill(0x80)
    const padded = pad(plaintext)
    expect(padded.length).toBe(paddedLength(length))
    expect(unpad(padded)).toEqual(plaintext)
    expect(concat(plaintext, ...paddingAfter(length))).toEqual(padded)
    for (const step of [1, 13, 4_096, padded.length]) {
      const unpadder = new Unpadder(length)
      const pieces: Uint8Array[] = []
      for (let i = 0; i < padded.length; i += step)
        pieces.push(unpadder.push(padded.subarray(i, i + step)))
      unpadder.finish()
      expect(concat(...pieces)).toEqual(plaintext)
    }
  }
})

test("content that does not fit a body is refused", () => {
  expect(pad(new Uint8Array(1_048_575)).length).toBe(limits.paddedMax)
  expect(() => pad(new Uint8Array(1_048_576))).toThrow(expect.objectContaining({ code: "size" }))
})

const whole = (padded: Uint8Array) => () => unpad(padded)
const streamed = (length: number, padded: Uint8Array) => () => {
  const unpadder = new Unpadder(length)
  unpadder.push(padded)
  unpadder.finish()
}

describe("padding of another form is refused", () => {
  const good = pad(new Uint8Array(300).fill(1))

  test("bytes hidden after the mark", () => {
    const hiding = good.map((byte, i) => (i === good.length - 1 ? 7 : byte))
    expect(whole(hiding)).toThrow(padding)
    expect(streamed(300, hiding)).toThrow(padding)
  })

  test("a second mark in the padding, which would make the content longer", () => {
    const marked = good.map((byte, i) => (i === good.length - 1 ? 0x80 : byte))
    // Read from the end this is content of another length, and canonical: only a known length can tell.
    expect(streamed(300, marked)).toThrow(padding)
  })

  test("no mark, all zeros, nothing at all", () => {
    for (const padded of [good.subarray(0, 300), new Uint8Array(256), new Uint8Array(0)]) {
      expect(whole(padded)).toThrow(padding)
      expect(streamed(300, padded)).toThrow(padding)
    }
  })

  test("a longer or shorter padding than the exact one", () => {
    for (const padded of [concat(good, new Uint8Array(16)), good.subarray(0, -1)]) {
      expect(whole(padded)).toThrow(padding)
      expect(streamed(300, padded)).toThrow(padding)
    }
  })

  test("a mark before the content's announced end", () => {
    expect(streamed(301, good)).toThrow(padding)
    expect(streamed(299, good)).toThrow(padding)
  })
})
