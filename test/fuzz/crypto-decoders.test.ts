// Hostile bytes where keys/ opens what somebody else stored or sent: only errors of the table come out.
// FUZZ_INPUTS sets how many inputs each decoder gets; 50,000 by default.

import { X509Certificate } from "node:crypto"
import { expect, test } from "vitest"
import { decryptChunks, encryptChunks } from "../../keys/chunked-encryption.ts"
import {
  fingerprintHex,
  fingerprintWords,
  parseFingerprintHex,
  parseFingerprintWords,
} from "../../keys/fingerprint.ts"
import { isUsableKemKey, openBase, sealBase } from "../../keys/hpke.ts"
import { type Unlock, openKeyFile, sealKeyFile } from "../../keys/key-file.ts"
import { makeLinkCertificate, spkiKeyOf } from "../../keys/link-certificate.ts"
import { Unpadder, pad, unpad } from "../../keys/padding.ts"
import { openRecord, sealRecord } from "../../keys/sealed-record.ts"
import { kemKeyPair } from "../../keys/sodium.ts"
import { equalBytes, utf8 } from "../../protocol/bytes.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { countingRandom } from "../kit/counting-random.ts"
import { mutate, prng } from "../kit/mutate.ts"

const inputs = Number(process.env["FUZZ_INPUTS"] ?? 50_000)
const timeout = 20_000 + inputs

type Tally = { opened: number; refused: number }

/** Gives mutated copies of `honest` to `open`; anything but a result or a ChappeError fails the test. */
async function pelt(
  honest: Uint8Array,
  count: number,
  open: (bytes: Uint8Array) => unknown,
): Promise<Tally> {
  const random = prng(11)
  const tally = { opened: 0, refused: 0 }
  for (let i = 0; i < count; i++) {
    const bytes = mutate(random, honest)
    if (equalBytes(bytes, honest)) continue
    try {
      await open(bytes)
      tally.opened++
    } catch (error) {
      if (!(error instanceof ChappeError)) throw error
      tally.refused++
    }
  }
  return tally
}

const dataKey = new Uint8Array(32).fill(1)

test("key files", { timeout }, async () => {
  const unlock: Unlock = { kind: "secret", secret: dataKey }
  const entries = [{ use: "data", publicKey: new Uint8Array(0), secret: dataKey }] as const
  const file = await sealKeyFile({ entries, unlock, random: countingRandom("fuzz") })
  const tally = await pelt(file, inputs, (bytes) => openKeyFile(bytes, unlock))
  expect(tally.opened).toBe(0)
  expect(tally.refused).toBeGreaterThan(inputs * 0.95)
})

test("encrypted bodies", { timeout }, async () => {
  const input = { key: dataKey, context: utf8("fuzz") }
  const body = encryptChunks({ ...input, salt: new Uint8Array(24), plaintext: new Uint8Array(300) })
  const tally = await pelt(body, inputs, (ciphertext) => decryptChunks({ ...input, ciphertext }))
  expect(tally.opened).toBe(0)
  expect(tally.refused).toBeGreaterThan(inputs * 0.95)
})

test("padding: what is taken would be padded to the same bytes", { timeout }, async () => {
  const honest = pad(utf8("a short notice"))
  const tally = await pelt(honest, inputs, (bytes) => {
    const plaintext = unpad(bytes)
    expect(equalBytes(pad(plaintext), bytes)).toBe(true)
    const unpadder = new Unpadder(plaintext.length)
    expect(equalBytes(unpadder.push(bytes), plaintext)).toBe(true)
    unpadder.finish()
  })
  expect(tally.refused).toBeGreaterThan(inputs * 0.5)
})

test("records at rest", { timeout }, async () => {
  const place = { table: "inbox", key: utf8("FR"), position: 1 }
  const sealed = sealRecord(dataKey, place, utf8("record"), countingRandom("fuzz"))
  const tally = await pelt(sealed, inputs, (bytes) => openRecord(dataKey, place, bytes))
  expect(tally.opened).toBe(0)
})

test("certificates: a key, or none, never an exception", { timeout }, async () => {
  const { certPem } = makeLinkCertificate({
    name: "FR",
    seed: dataKey,
    serial: new Uint8Array(16),
    notBefore: 1_800_000_000,
  })
  const der = new Uint8Array(new X509Certificate(certPem).raw)
  const tally = await pelt(der, inputs, (bytes) => {
    const key = spkiKeyOf(bytes)
    expect(key === undefined || key.length === 32).toBe(true)
  })
  expect(tally.refused).toBe(0)
})

const typed = (bytes: Uint8Array) => String.fromCharCode(...bytes)

test("fingerprints as people type them", { timeout }, async () => {
  const random = countingRandom("fuzz")
  const words = utf8(fingerprintWords(random(16)))
  const hex = utf8(fingerprintHex(random(16)))
  const byWords = await pelt(words, inputs, (bytes) => parseFingerprintWords(typed(bytes)))
  expect(byWords.refused).toBeGreaterThan(inputs * 0.8)
  const byHex = await pelt(hex, inputs, (bytes) => parseFingerprintHex(typed(bytes)))
  expect(byHex.refused).toBeGreaterThan(inputs * 0.2)
})

test("wraps and KEM keys (a twentieth: each costs 0.3 ms)", { timeout }, async () => {
  const pair = kemKeyPair(dataKey)
  const info = utf8("fuzz")
  const sealed = sealBase({
    publicKey: pair.publicKey,
    info,
    plaintext: dataKey,
    seed: new Uint8Array(64),
  })
  const tally = await pelt(sealed, inputs / 20, (bytes) =>
    openBase({ secret: pair.secret, info, sealed: bytes }),
  )
  expect(tally.opened).toBe(0)
  const keys = await pelt(pair.publicKey, inputs / 20, isUsableKemKey)
  expect(keys.refused).toBe(0)
})
