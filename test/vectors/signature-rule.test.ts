// Rule ED25519-CHAPPE: three verifiers, one verdict, on signatures made to split them.

import { verify as opensslVerify, createPublicKey } from "node:crypto"
import { verifyAsync } from "@noble/ed25519"
import sodium from "libsodium-wrappers"
import { expect, test } from "vitest"
import { judgeSignature } from "../../audit/signature-conformance.ts"
import { admit, generateKeyPair, verify, verifyWithLibsodium } from "../../keys/ed25519.ts"
import { signingKey } from "../../keys/signing-key.ts"
import { fromHex, utf8 } from "../../protocol/bytes.ts"
import { type SignatureCase, adversarialSignatures } from "../kit/adversarial-signatures.ts"

const cases = [...adversarialSignatures("chappe", 3_000)]

test("3,000 adversarial signatures have one verdict, the one they were made for", () => {
  for (const item of cases) {
    const { kind, valid } = item
    expect({ kind, ...judgeSignature(item) }).toEqual({
      kind,
      valid,
      libsodium: valid,
      node: valid,
      noble: valid,
    })
  }
  expect(cases.length).toBe(3_000)
  expect(cases.filter(({ valid }) => valid).length).toBeGreaterThan(30)
})

test("every kind of attack is among them", () => {
  expect(kinds(cases).toSorted()).toEqual(["63 bytes", "R not canonical", "R not on the curve", "S + 8L", "S + L", "S = L", "S of all ones", "another message", "empty", "flipped bit", "forged under a small-order key", "honest", "identity R", "key not canonical", "key not canonical, zero S", "key not on the curve", "key of 31 bytes", "key with a trailing byte", "random bytes", "small-order R", "small-order key", "small-order key, no secret", "torsion in A", "torsion in A, R corrected", "torsion in R", "trailing byte", "trailing zero", "twice", "−S"])
})

const kinds = (items: readonly SignatureCase[]) => [...new Set(items.map(({ kind }) => kind))]

const spki = "302a300506032b6570032100"

function rawOpenssl({ public: key, message, signature }: SignatureCase): boolean {
  const der = Buffer.concat([Buffer.from(spki, "hex"), key])
  return opensslVerify(
    null,
    message,
    createPublicKey({ key: der, format: "der", type: "spki" }),
    signature,
  )
}

test("the cases have teeth: without the rule each library accepts some that the rule refuses", async () => {
  const wellFormed = cases.filter(
    ({ valid, public: key, signature }) => !valid && key.length === 32 && signature.length === 64,
  )
  const byOpenssl = wellFormed.filter(rawOpenssl)
  const bySodium = wellFormed.filter((item) =>
    sodium.crypto_sign_verify_detached(item.signature, item.message, item.public),
  )
  const byNoble: SignatureCase[] = []
  for (const item of wellFormed.slice(0, 200))
    if (
      await verifyAsync(item.signature, item.message, item.public, { zip215: false }).catch(
        () => false,
      )
    )
      byNoble.push(item)
  expect(kinds(byOpenssl)).toContain("identity R")
  expect(kinds(byOpenssl)).toContain("forged under a small-order key")
  expect(kinds(bySodium)).toContain("torsion in A, R corrected")
  expect(kinds(byNoble)).toContain("torsion in R")
})

test("the same seed makes the same cases", () => {
  expect([...adversarialSignatures("chappe", 60)]).toEqual(cases.slice(0, 60))
})

test("keys that are not admitted", () => {
  const identity = fromHex(`01${"00".repeat(31)}`)
  const small = fromHex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")
  for (const key of [identity, small, new Uint8Array(31), new Uint8Array(33), new Uint8Array(0)])
    expect(admit(key)).toBe(false)
  expect(admit(generateKeyPair(new Uint8Array(32)).publicKey)).toBe(true)
})

test("a signing key signs what all accept and shows no secret", () => {
  const seed = new Uint8Array(32).fill(7)
  const key = signingKey("node", seed)
  const message = utf8("a notice")
  const item = { public: key.publicKey, message, signature: key.sign(message) }
  expect(judgeSignature(item)).toEqual({ valid: true, libsodium: true, node: true, noble: true })
  expect(JSON.stringify(key)).not.toContain(seed.join())
  expect(Object.values(key).filter((value) => value instanceof Uint8Array)).toEqual([
    key.publicKey,
    key.keyId,
  ])
})

test("text in place of bytes is never taken for a key, a message or a signature", () => {
  const { publicKey, sign } = generateKeyPair(new Uint8Array(32))
  const text = "notice" as unknown as Uint8Array
  const signature = sign(utf8("notice"))
  for (const form of [verify, verifyWithLibsodium]) {
    expect(form(publicKey, utf8("notice"), signature)).toBe(true)
    expect(form(publicKey, text, signature)).toBe(false)
    expect(form(text, utf8("notice"), signature)).toBe(false)
    expect(form(publicKey, utf8("notice"), text)).toBe(false)
  }
  expect(() => sign(text)).toThrow(TypeError)
})
