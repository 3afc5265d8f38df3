import { describe, expect, test } from "vitest"
import fc from "fast-check"
import {
  ChunkDecryptor,
  ChunkEncryptor,
  cipherLength,
  decryptChunks,
  encryptChunks,
} from "../../keys/chunked-encryption.ts"
import { concat, equalBytes, utf8 } from "../../protocol/bytes.ts"

const key = new Uint8Array(32).fill(4)
const salt = new Uint8Array(24).fill(5)
const context = utf8("test")
const refused = (code: string) => expect.objectContaining({ code })

const plain = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 7) % 251)
const encrypt = (plaintext: Uint8Array) => encryptChunks({ key, salt, context, plaintext })
const decrypt = (ciphertext: Uint8Array) => decryptChunks({ key, context, ciphertext })

type Stream = { push(piece: Uint8Array): Uint8Array; finish(): Uint8Array }

/** Runs `input` through a stream, cut at these offsets. */
function inPieces(stream: Stream, input: Uint8Array, cuts: readonly number[]): Uint8Array {
  const offsets = [0, ...cuts.map((cut) => Math.min(cut, input.length)), input.length].toSorted(
    (a, b) => a - b,
  )
  const outputs = offsets.map((end, i) => stream.push(input.subarray(offsets[i - 1] ?? 0, end)))
  return concat(...outputs, stream.finish())
}

const lengths = [0, 1, 16_383, 16_384, 16_385, 32_768, 40_000]

test.each(lengths)("%i bytes come back, and the length is the announced one", (length) => {
  const ciphertext = encrypt(plain(length))
  expect(ciphertext.length).toBe(cipherLength(length))
  expect(equalBytes(decrypt(ciphertext), plain(length))).toBe(true)
})

const near = (borders: readonly number[]) =>
  borders.flatMap((border) => [-17, -16, -1, 0, 1, 15, 16].map((step) => border + step))

test("streams give what the whole buffer gives, for every single cut around every border", () => {
  const plaintext = plain(33_000)
  const ciphertext = encrypt(plaintext)
  for (const cut of near([17, 16_384, 32_768]))
    expect(
      equalBytes(
        inPieces(new ChunkEncryptor({ key, salt, context }), plaintext, [cut]),
        ciphertext,
      ),
    ).toBe(true)
  for (const cut of near([24, 56, 72, 56 + 16_400, 56 + 32_800, ciphertext.length - 17]))
    expect(
      equalBytes(inPieces(new ChunkDecryptor({ key, context }), ciphertext, [cut]), plaintext),
    ).toBe(true)
})

test("streams give what the whole buffer gives, for any pieces", () => {
  const cuts = fc.array(fc.nat(50_000), { maxLength: 12 })
  fc.assert(
    fc.property(fc.constantFrom(...lengths), cuts, (length, cuts) => {
      const plaintext = plain(length)
      const ciphertext = encrypt(plaintext)
      expect(
        equalBytes(
          inPieces(new ChunkEncryptor({ key, salt, context }), plaintext, cuts),
          ciphertext,
        ),
      ).toBe(true)
      expect(
        equalBytes(inPieces(new ChunkDecryptor({ key, context }), ciphertext, cuts), plaintext),
      ).toBe(true)
    }),
    { numRuns: 60 },
  )
})

test("byte by byte gives the same", () => {
  const plaintext = plain(16_390)
  const ciphertext = encrypt(plaintext)
  const everywhere = Array.from({ length: ciphertext.length }, (_, i) => i)
  const encrypted = inPieces(new ChunkEncryptor({ key, salt, context }), plaintext, everywhere)
  expect(equalBytes(encrypted, ciphertext)).toBe(true)
  expect(
    equalBytes(inPieces(new ChunkDecryptor({ key, context }), ciphertext, everywhere), plaintext),
  ).toBe(true)
})

describe("decryption refuses", () => {
  const ciphertext = encrypt(plain(20_000))
  const changed = (at: number) => ciphertext.map((byte, i) => (i === at ? byte ^ 1 : byte))

  test("another key, another context, a changed salt and a changed commitment", () => {
    const commitment = refused("key-commitment")
    expect(() => decryptChunks({ key: salt, context, ciphertext })).toThrow(RangeError)
    const otherKey = new Uint8Array(32)
    expect(() => decryptChunks({ key: otherKey, context, ciphertext })).toThrow(commitment)
    expect(() => decryptChunks({ key, context: utf8("Test"), ciphertext })).toThrow(commitment)
    for (const at of [0, 23, 24, 55]) expect(() => decrypt(changed(at))).toThrow(commitment)
  })

  test("a changed byte in any chunk or tag", () => {
    for (const at of [56, 16_439, 16_440, 16_455, 16_456, 20_000, ciphertext.length - 1])
      expect(() => decrypt(changed(at))).toThrow(refused("chunk"))
  })

  test("every cut, at a border of chunks too, and every appended byte", () => {
    const borders = [0, 1, 55, 56, 57, 71, 72, 16_455, 16_456, 16_457, 16_471, 16_472, 20_000]
    for (const end of borders)
      expect(() => decrypt(ciphertext.slice(0, end))).toThrow(refused("chunk"))
    expect(() => decrypt(concat(ciphertext, Uint8Array.of(0)))).toThrow(refused("chunk"))
  })

  test("chunks in another order, and a chunk of another body", () => {
    const long = encrypt(plain(50_000))
    const chunk = (index: number) => long.slice(56 + index * 16_400, 56 + (index + 1) * 16_400)
    const swapped = concat(long.slice(0, 56), chunk(1), chunk(0), long.slice(56 + 32_800))
    expect(() => decrypt(swapped)).toThrow(refused("chunk"))
  })
})
