// Project Wycheproof's cases for every primitive that the suite uses.

import { createCipheriv, createDecipheriv } from "node:crypto"
import sodium from "libsodium-wrappers"
import { describe, expect, test } from "vitest"
import { verifyWithPoints } from "../../audit/noble-verifier.ts"
import { hkdf } from "../../keys/crypto.ts"
import { verify, verifyWithLibsodium } from "../../keys/ed25519.ts"
import { openChaCha, sealChaCha } from "../../keys/sodium.ts"
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

describe.skipIf(!haveSharedVectors)("Wycheproof", () => {
  test("all 151 Ed25519 cases have the same verdict in the three forms of the rule", () => {
    let cases = 0
    for (const group of wycheproof<SignatureGroup>("ed25519_test.json")) {
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
    let zero = 0
    let cases = 0
    for (const group of wycheproof<AgreementGroup>("x25519_test.json"))
      for (const item of group.tests) {
        const agree = () => sodium.crypto_scalarmult(fromHex(item.private), fromHex(item.public))
        if (/^0*$/u.test(item.shared)) {
          expect(agree).toThrow()
          zero++
        } else expect(toHex(agree())).toBe(item.shared)
        cases++
      }
    expect([cases, zero]).toEqual([518, 31])
  })

  test("ChaCha20-Poly1305: node:crypto and libsodium agree with all cases", () => {
    let cases = 0
    for (const group of wycheproof<AeadGroup>("chacha20_poly1305_test.json"))
      for (const item of group.tests) {
        cases++
        const [key, nonce, aad] = [fromHex(item.key), fromHex(item.iv), fromHex(item.aad)]
        if (nonce.length !== 12) {
          expect(item.result).toBe("invalid")
          continue
        }
        const sealed = concat(fromHex(item.ct), fromHex(item.tag))
        const opened = openChaCha({ key, nonce, aad }, sealed)
        const openedByNode = openWithNode(key, nonce, aad, sealed)
        expect(opened && toHex(opened)).toBe(item.result === "valid" ? item.msg : undefined)
        expect(openedByNode && toHex(openedByNode)).toBe(opened && toHex(opened))
        if (item.result === "valid") {
          expect(sealChaCha({ key, nonce, aad }, fromHex(item.msg))).toEqual(sealed)
          expect(sealWithNode(key, nonce, aad, fromHex(item.msg))).toEqual(sealed)
        }
      }
    expect(cases).toBe(325)
  })

  test("HKDF-SHA256: all 86 cases; too long an output is a mistake of ours", () => {
    let cases = 0
    for (const group of wycheproof<HkdfGroup>("hkdf_sha256_test.json"))
      for (const item of group.tests) {
        cases++
        const derive = () =>
          hkdf({
            ikm: fromHex(item.ikm),
            salt: fromHex(item.salt),
            info: fromHex(item.info),
            length: item.size,
          })
        if (item.result === "valid") expect(toHex(derive())).toBe(item.okm)
        else expect(derive).toThrow(RangeError)
      }
    expect(cases).toBe(86)
  })

  test("ML-KEM-768: 132 malformed keys are refused, the others encapsulate as published", () => {
    let refused = 0
    let cases = 0
    for (const group of wycheproof<EncapsulationGroup>("mlkem_768_encaps_test.json"))
      for (const item of group.tests) {
        cases++
        const encapsulate = () =>
          sodium.crypto_kem_mlkem768_enc_deterministic(fromHex(item.ek), fromHex(item.m))
        if (item.result === "valid") {
          const { ciphertext, sharedSecret } = encapsulate()
          expect([toHex(ciphertext), toHex(sharedSecret)]).toEqual([item.c, item.K])
        } else {
          expect(encapsulate).toThrow()
          refused++
        }
      }
    expect([cases, refused]).toEqual([265, 132])
  })

  test("ML-KEM-768: all 100 key generations", () => {
    let cases = 0
    for (const group of wycheproof<KeyGenerationGroup>("mlkem_768_keygen_seed_test.json"))
      for (const item of group.tests) {
        const pair = sodium.crypto_kem_mlkem768_seed_keypair(fromHex(item.seed))
        expect(toHex(pair.publicKey)).toBe(item.ek)
        cases++
      }
    expect(cases).toBe(100)
  })
})

const aead = "chacha20-poly1305"

function sealWithNode(
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array {
  const cipher = createCipheriv(aead, key, nonce, { authTagLength: 16 })
  cipher.setAAD(aad, { plaintextLength: plaintext.length })
  const ciphertext = cipher.update(plaintext)
  cipher.final()
  return concat(ciphertext, cipher.getAuthTag())
}

function openWithNode(
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  sealed: Uint8Array,
): Uint8Array | undefined {
  const decipher = createDecipheriv(aead, key, nonce, { authTagLength: 16 })
  const split = sealed.length - 16
  decipher.setAAD(aad, { plaintextLength: split })
  decipher.setAuthTag(sealed.subarray(split))
  const plaintext = decipher.update(sealed.subarray(0, split))
  try {
    decipher.final()
    return new Uint8Array(plaintext)
  } catch {
    return undefined
  }
}
