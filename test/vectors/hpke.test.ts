// X-Wing and HPKE against the drafts' own vectors.

import { describe, expect, test } from "vitest"
import { isUsableKemKey, keySchedule, openBase, pskIdHash, sealBase } from "../../keys/hpke.ts"
import { kemDecapsulate, kemEncapsulate, kemKeyPair, sealChaCha } from "../../keys/sodium.ts"
import { fromHex, toHex } from "../../protocol/bytes.ts"
import { haveSharedVectors, readSharedVectors } from "../kit/shared-vectors.ts"

type KemVector = { seed: string; eseed: string; ss: string; pk: string; ct: string }
type HpkeVector = {
  kem_id: number
  kdf_id: number
  aead_id: number
  info: string
  ikmE: string
  skRm: string
  pkRm: string
  enc: string
  shared_secret: string
  key: string
  base_nonce: string
  encryptions: readonly { aad: string; ct: string; nonce: string; pt: string }[]
}

test("the hash of the absent pre-shared key is the frozen one", () => {
  expect(toHex(pskIdHash)).toBe("36b5ff5587a0300fc5557347ee599066af3ed897745f8ca8ca19b45f13abd977")
})

describe.skipIf(!haveSharedVectors)("published vectors", () => {
  test("all 3 X-Wing vectors: key, ciphertext and shared secret", () => {
    const vectors = (readSharedVectors("hpke/xwing-kem.json") as readonly KemVector[])
    for (const vector of vectors) {
      const pair = kemKeyPair(fromHex(vector.seed))
      const encapsulated = kemEncapsulate(pair.publicKey, fromHex(vector.eseed))
      expect({
        pk: toHex(pair.publicKey),
        ct: encapsulated && toHex(encapsulated.ciphertext),
        ss: encapsulated && toHex(encapsulated.sharedSecret),
      }).toEqual({ pk: vector.pk, ct: vector.ct, ss: vector.ss })
      const opened = kemDecapsulate(fromHex(vector.ct), pair.secret)
      expect(opened && toHex(opened)).toBe(vector.ss)
    }
    expect(vectors.length).toBe(3)
  })

  test("the HPKE vector of our suite (25722, 1, 3): enc, shared secret, key, nonce, first message", () => {
    const vectors = (readSharedVectors("hpke/hpke-pq.json") as readonly HpkeVector[]).filter(
      ({ kem_id, kdf_id, aead_id }) => kem_id === 25722 && kdf_id === 1 && aead_id === 3,
    )
    expect(vectors.length).toBe(1)
    for (const vector of vectors) {
      const info = fromHex(vector.info)
      const pair = kemKeyPair(fromHex(vector.skRm))
      expect(toHex(pair.publicKey)).toBe(vector.pkRm)
      const encapsulated = kemEncapsulate(pair.publicKey, fromHex(vector.ikmE))
      expect(encapsulated && toHex(encapsulated.ciphertext)).toBe(vector.enc)
      expect(encapsulated && toHex(encapsulated.sharedSecret)).toBe(vector.shared_secret)
      const { key, nonce } = keySchedule(fromHex(vector.shared_secret), info)
      expect([toHex(key), toHex(nonce)]).toEqual([vector.key, vector.base_nonce])
      const [first] = vector.encryptions
      const ciphertext = sealChaCha(
        { key, nonce, aad: fromHex(first?.aad ?? "") },
        fromHex(first?.pt ?? ""),
      )
      expect(toHex(ciphertext)).toBe(first?.ct)
      const sealed = sealBase({
        publicKey: pair.publicKey,
        info,
        plaintext: fromHex(first?.pt ?? ""),
        seed: fromHex(vector.ikmE),
      })
      expect(toHex(sealed).startsWith(vector.enc)).toBe(true)
      expect(toHex(openBase({ secret: pair.secret, info, sealed }))).toBe(first?.pt)
    }
  })
})

describe("a KEM key that cannot be sealed to", () => {
  const { publicKey } = kemKeyPair(new Uint8Array(32).fill(9))
  const changed = (from: number, to: number, byte: number) =>
    Uint8Array.from(publicKey).fill(byte, from, to)

  test("a good key is usable", () => {
    expect(isUsableKemKey(publicKey)).toBe(true)
  })

  test.each([
    ["an all-ff ML-KEM half", changed(0, 1_184, 0xff)],
    ["an all-ff ML-KEM vector", changed(0, 1_152, 0xff)],
    ["a zero X25519 half", changed(1_184, 1_216, 0)],
    ["a missing byte", publicKey.slice(1)],
    ["an Ed25519 key", new Uint8Array(32)],
  ])("%s is refused", (_, key) => {
    expect(isUsableKemKey(key)).toBe(false)
  })
})
