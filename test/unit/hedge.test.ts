import { expect, test } from "vitest"
import { createHmac, hkdfSync } from "node:crypto"
import { hedged } from "../../keys/hedge.ts"
import { hkdf, sha256 } from "../../keys/crypto.ts"
import { concat, toHex, utf8 } from "../../protocol/bytes.ts"
import { countingRandom } from "../kit/counting-random.ts"

const secret = new Uint8Array(32).fill(0x20)
const binding = sha256(utf8("a draft"))
const same = () => new Uint8Array(64).fill(0x23)

test("a cloned generator gives other values for another plaintext and the same for the same", () => {
  const value = hedged(secret, same, binding)("content-key", 32)
  expect(hedged(secret, same, binding)("content-key", 32)).toEqual(value)
  expect(hedged(secret, same, sha256(utf8("another")))("content-key", 32)).not.toEqual(value)
})

test("a broken generator gives other values under another secret, a good one each time", () => {
  const value = hedged(secret, same, binding)("id", 16)
  expect(hedged(new Uint8Array(32), same, binding)("id", 16)).not.toEqual(value)
  const random = countingRandom("hedge")
  expect(hedged(secret, random, binding)("id", 16)).not.toEqual(
    hedged(secret, random, binding)("id", 16),
  )
})

test("labels give unrelated values, as bytes or as text", () => {
  const hedge = hedged(secret, same, binding)
  expect(hedge("kem\0FR", 64)).toEqual(hedge(concat(utf8("kem"), Uint8Array.of(0), utf8("FR")), 64))
  expect(hedge("kem\0FR", 64)).not.toEqual(hedge("kem\0JP", 64))
})

test("the derivation is HMAC, then HKDF-Expand, as written", () => {
  const input = concat(utf8("chappe/hedge/v1\0"), same(), binding)
  const prk = createHmac("sha256", secret).update(input).digest()
  const block = createHmac("sha256", prk).update("id\u0001").digest("hex")
  expect(toHex(hedged(secret, same, binding)("id", 32))).toBe(block)
})

test("HKDF agrees with OpenSSL's over several blocks", () => {
  const [ikm, salt, info] = [utf8("ikm"), utf8("salt"), utf8("info")]
  expect(hkdf({ ikm, salt, info, length: 100 })).toEqual(
    new Uint8Array(hkdfSync("sha256", ikm, salt, info, 100)),
  )
})
