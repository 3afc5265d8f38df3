// Project Wycheproof's cases for every primitive that the suite uses.

import { createCipheriv, createDecipheriv } from "node:crypto"
import sodium from "libsodium-wrappers"
import { describe, expect, test } from "vitest"
import { verifyWithPoints } from "../../audit/noble-verifier.ts"
import { hkdf } from "../../keys/crypto.ts"
import { verify, verifyWithLibsodium } from "../../keys/ed25519.ts"
import { type AeadInput, openChaCha, sealChaCha } from "../../keys/sodium.ts"
import { concat, fromHex, toHex } from "../../protocol/bytes.ts"
import { haveSharedVectors, wycheproof } from "../kit/shared-vectors.ts"

type Verdict = "valid" | "invalid" | "acceptable"
type SignatureGroup = {
  readonly publicKey: { readonly pk: string }
  readonly tests: readonly { tcId: number; msg: string; sig: string; result: Verdict }[]
}
type AgreementGroup = {
  readonly tests: readonly {
    tcId: number
    flags: readonly string[]
    public: string
    private: string
    shared: string
  }[]
}
type AeadGroup = {
  readonly ivSize: number
  readonly tests: readonly {
    tcId: number
    key: string
    iv: string
    aad: string
    msg: string
    ct: string
    tag: string
    result: Verdict
  }[]
}
type HkdfGroup = {
  readonly tests: readonly {
    tcId: number
    ikm: string
    salt: string
    info: string
    size: number
    okm: string
    result: Verdict
  }[]
}
type EncapsulationGroup = {
  readonly tests: readonly {
    tcId: number
    m: string
    ek: string
    c: string
    K: string
    result: Verdict
  }[]
}
type KeyGenerationGroup = {
  readonly tests: readonly { tcId: number; seed: string; ek: string; result: Verdict }[]
}

const refused = "refused"

function hexOrRefused(run: () => Uint8Array | undefined): string {
  try {
    const bytes = run()
    return bytes === undefined ? refused : toHex(bytes)
  } catch {
    return refused
  }
}

describe.skipIf(!haveSharedVectors)("Wycheproof", () => {
  test("all 151 Ed25519 cases have the same verdict in the three forms of the rule", () => {
    let cases = 0
    for (const group of wycheproof("ed25519_test.json") as readonly SignatureGroup[]) {
      const publicKey = fromHex(group.publicKey.pk)
      for (const { tcId, msg, sig, result } of group.tests) {
        const expected = { tcId, node: result === "valid" }
        const [message, signature] = [fromHex(msg), fromHex(sig)]
        const verdicts = [verify, verifyWithLibsodium, verifyWithPoints].map((form) =>
          form(publicKey, message, signature),
        )
        expect({ tcId, node: verdicts[0] }).toEqual(expected)
        expect(new Set(verdicts).size).toBe(1)
        cases++
      }
    }
    expect(cases).toBe(151)
  })

  test("X25519: all 31 all-zero results throw, the others agree", () => {
    const tests = (wycheproof("x25519_test.json") as readonly AgreementGroup[]).flatMap(
      (group) => group.tests,
    )
    const zero = tests.filter(({ shared }) => /^0*$/u.test(shared))
    for (const item of tests) {
      const wanted = zero.includes(item) ? refused : item.shared
      const got = hexOrRefused(() =>
        sodium.crypto_scalarmult(fromHex(item.private), fromHex(item.public)),
      )
      expect({ tcId: item.tcId, got }).toEqual({ tcId: item.tcId, got: wanted })
    }
    expect([tests.length, zero.length]).toEqual([518, 31])
  })

  test("ChaCha20-Poly1305: node:crypto and libsodium agree with all cases", () => {
    const tests = (wycheproof("chacha20_poly1305_test.json") as readonly AeadGroup[]).flatMap(
      (group) => group.tests,
    )
    for (const item of tests) {
      const input = { key: fromHex(item.key), nonce: fromHex(item.iv), aad: fromHex(item.aad) }
      const sealed = concat(fromHex(item.ct), fromHex(item.tag))
      const valid = item.result === "valid"
      const opened = valid ? item.msg : refused
      expect({
        tcId: item.tcId,
        sodium: hexOrRefused(() => openChaCha(input, sealed)),
        node: hexOrRefused(() => openWithNode(input, sealed)),
      }).toEqual({ tcId: item.tcId, sodium: opened, node: opened })
    }
    for (const item of tests.filter(({ result }) => result === "valid")) {
      const input = { key: fromHex(item.key), nonce: fromHex(item.iv), aad: fromHex(item.aad) }
      expect(toHex(sealChaCha(input, fromHex(item.msg)))).toBe(item.ct + item.tag)
      expect(toHex(sealWithNode(input, fromHex(item.msg)))).toBe(item.ct + item.tag)
    }
    expect(tests.length).toBe(325)
  })

  test("HKDF-SHA256: all 86 cases; too long an output is refused", () => {
    const tests = (wycheproof("hkdf_sha256_test.json") as readonly HkdfGroup[]).flatMap(
      (group) => group.tests,
    )
    for (const item of tests) {
      const got = hexOrRefused(() =>
        hkdf({
          ikm: fromHex(item.ikm),
          salt: fromHex(item.salt),
          info: fromHex(item.info),
          length: item.size,
        }),
      )
      expect(got).toBe(item.result === "valid" ? item.okm : refused)
    }
    expect(tests.length).toBe(86)
  })

  test("ML-KEM-768: 132 malformed keys are refused, the others encapsulate as published", () => {
    const tests = (
      wycheproof("mlkem_768_encaps_test.json") as readonly EncapsulationGroup[]
    ).flatMap((group) => group.tests)
    for (const item of tests) {
      const got = hexOrRefused(() => {
        const { ciphertext, sharedSecret } = sodium.crypto_kem_mlkem768_enc_deterministic(
          fromHex(item.ek),
          fromHex(item.m),
        )
        return concat(ciphertext, sharedSecret)
      })
      expect({ tcId: item.tcId, got }).toEqual({
        tcId: item.tcId,
        got: item.result === "valid" ? item.c + item.K : refused,
      })
    }
    expect(tests.length).toBe(265)
    expect(tests.filter(({ result }) => result === "invalid").length).toBe(132)
  })

  test("ML-KEM-768: all 100 key generations", () => {
    let cases = 0
    for (const group of wycheproof("mlkem_768_keygen_seed_test.json") as readonly KeyGenerationGroup[])
      for (const item of group.tests) {
        const pair = sodium.crypto_kem_mlkem768_seed_keypair(fromHex(item.seed))
        expect(toHex(pair.publicKey)).toBe(item.ek)
        cases++
      }
    expect(cases).toBe(100)
  })
})

const aead = "chacha20-poly1305"

function sealWithNode({ key, nonce, aad }: AeadInput, plaintext: Uint8Array): Uint8Array {
  const cipher = createCipheriv(aead, key, nonce, { authTagLength: 16 })
  cipher.setAAD(aad, { plaintextLength: plaintext.length })
  const ciphertext = cipher.update(plaintext)
  cipher.final()
  return concat(ciphertext, cipher.getAuthTag())
}

function openWithNode({ key, nonce, aad }: AeadInput, sealed: Uint8Array): Uint8Array {
  // OpenSSL takes shorter nonces and pads them; ours have 12 bytes.
  if (nonce.length !== 12) throw new RangeError("nonce")
  const decipher = createDecipheriv(aead, key, nonce, { authTagLength: 16 })
  const split = sealed.length - 16
  decipher.setAAD(aad, { plaintextLength: split })
  decipher.setAuthTag(sealed.subarray(split))
  const plaintext = decipher.update(sealed.subarray(0, split))
  decipher.final()
  return new Uint8Array(plaintext)
}
