// The values that the specification freezes for keys, prekeys, bodies and padding.

import { expect, test } from "vitest"
import { cipherLength, decryptChunks, encryptChunks } from "../../keys/chunked-encryption.ts"
import { sha256 } from "../../keys/crypto.ts"
import { paddedLength } from "../../keys/padding.ts"
import { dayKeyPair, erasePastDays, newPrekeyPeriod } from "../../keys/prekey-period.ts"
import { signingKey } from "../../keys/signing-key.ts"
import { fromHex, toHex } from "../../protocol/bytes.ts"
import { bytes, encode, literal, record, uint } from "../../protocol/codec.ts"
import { keyId } from "../../protocol/key-id.ts"
import { memberName } from "../../protocol/names.ts"
import { pae } from "../../protocol/pae.ts"

const filled = (byte: number, length: number) => new Uint8Array(length).fill(byte)

test("the node key of seed 01×32 has the frozen public key and key ids", () => {
  const key = signingKey("node", filled(1, 32))
  expect(toHex(key.publicKey)).toBe(
    "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c",
  )
  expect(toHex(key.keyId)).toBe("ee0c905a5e533f6c24410b157207b34d")
  expect(toHex(keyId(sha256, "officer", key.publicKey))).toBe("f69299bb28bd97c5e67bd294ae9bd19b")
})

test("the PAE of a greeting has the frozen hash", () => {
  expect(toHex(sha256(pae("hello", fromHex("9201a470696e67"))))).toBe(
    "4f1679f225bdc18c848c06ae2af22c1e95d2ab6feef72cd1d02a760f78dbd012",
  )
})

test("a prekey period of seed 03×32 derives the frozen first day and next seed", () => {
  const period = newPrekeyPeriod(20_000, filled(3, 32))
  const first = dayKeyPair(period, 20_000)
  expect(toHex(first?.secret ?? filled(0, 0))).toBe(
    "9cdde719b1bd8abe26693857fd804aeddc38da215a42015ac4d8f395a009400b",
  )
  expect(toHex(keyId(sha256, "prekey", first?.publicKey ?? filled(0, 0)))).toBe(
    "fc88fb5aee66977d1a00e211b2819e74",
  )
  expect(toHex(dayKeyPair(period, 20_001)?.secret ?? filled(0, 0))).toBe(
    "56e1ccbbb01a383670864554b1fbe434007ab66f6cb4d5245147742c0377e7a2",
  )
  expect(toHex(erasePastDays(period, 20_016, undefined)?.seed ?? filled(0, 0))).toBe(
    "f7d25c8b8e60e455b4ff39734eeb0628a83910fc7bed9691d2a3d52f936f3b92",
  )
})

const bodyContext = record({
  label: literal("chappe/body/v1"),
  suite: uint(65_535),
  id: bytes(16),
  sender: memberName,
})

test.each([
  [0, 72, "1d904cdc5ec815242c842ce07b8c67f0b59b3129bebb20faf9a150ab506c82f2"],
  [16_384, 16_472, "baaa93efc703ae7d001d4face154c7d81dbeede8946839d94c168b9c08674e8b"],
])("a body of %i bytes gives the frozen ciphertext", (plainLength, length, hash) => {
  const input = {
    key: filled(4, 32),
    salt: filled(5, 24),
    context: encode(bodyContext, {
      label: "chappe/body/v1",
      suite: 1,
      id: filled(6, 16),
      sender: "FR",
    }),
  }
  const plaintext = Uint8Array.from({ length: plainLength }, (_, i) => i % 256)
  const ciphertext = encryptChunks({ ...input, plaintext })
  expect(ciphertext.length).toBe(length)
  expect(cipherLength(plainLength)).toBe(length)
  expect(toHex(ciphertext.slice(24, 56))).toBe(
    "62e3fbcfd5f6db501b21d99241e0a332b5190332d566c6ee4d547285b8d8f0d4",
  )
  expect(toHex(sha256(ciphertext))).toBe(hash)
  expect(decryptChunks({ ...input, ciphertext })).toEqual(plaintext)
})

test.each([
  [0, 256],
  [255, 256],
  [256, 272],
  [1_000, 1_024],
  [4_096, 4_352],
  [10_000, 10_240],
  [61_000, 61_440],
  [1_000_000, 1_015_808],
])("%i bytes are padded to %i", (plainLength, length) => {
  expect(paddedLength(plainLength)).toBe(length)
})
