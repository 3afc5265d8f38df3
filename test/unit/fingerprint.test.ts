import { expect, test } from "vitest"
import {
  fingerprintHex,
  fingerprintWords,
  parseFingerprintHex,
  parseFingerprintWords,
} from "../../keys/fingerprint.ts"
import { fromHex } from "../../protocol/bytes.ts"
import { countingRandom } from "../kit/counting-random.ts"

const keyId = fromHex("ee0c905a5e533f6c24410b157207b34d")

test("a fingerprint reads as groups of hex and back, however it is typed", () => {
  expect(fingerprintHex(keyId)).toBe("ee0c 905a 5e53 3f6c 2441 0b15 7207 b34d")
  expect(parseFingerprintHex(" EE0C905A 5e533f6c\n24410b15 7207b34d")).toEqual(keyId)
})

test("a fingerprint reads as twelve words and back", () => {
  // BIP-39's own vector for 16 bytes of 7f.
  expect(fingerprintWords(new Uint8Array(16).fill(0x7f))).toBe(
    "legal winner thank year wave sausage worth useful legal winner thank yellow",
  )
  const random = countingRandom("words")
  for (let i = 0; i < 200; i++) {
    const bytes = random(16)
    expect(parseFingerprintWords(`  ${fingerprintWords(bytes).toUpperCase()} `)).toEqual(bytes)
  }
})

test.each([
  ["eleven words", "legal winner thank year wave sausage worth useful legal winner thank"],
  [
    "a word outside the list",
    "legal winner thank year wave sausage worth useful legal winner thank chappe",
  ],
  ["a misheard word", "legal winner thank year wave sausage worth useful legal winner thank year"],
  ["nothing", ""],
])("%s is refused", (_, text) => {
  expect(() => parseFingerprintWords(text)).toThrow(expect.objectContaining({ code: "usage" }))
})

test("the word that is not in the list is named by its place", () => {
  const text = `legal winner thank chappe${" year".repeat(8)}`
  expect(() => parseFingerprintWords(text)).toThrow("word 4 is not in the list")
})

test.each(["", "xyz0", "abc", "é0"])("hex %o is refused", (text) => {
  expect(() => parseFingerprintHex(text)).toThrow(expect.objectContaining({ code: "usage" }))
})
