// One known answer for each primitive, asked at start-up: a wrong build of a library must not send anything.
// From FIPS 180-4, RFC 4231, RFC 8032, RFC 8439, the XChaCha and X-Wing drafts; the last rows are frozen as ours.

import { emptyBytes, fromHex, toHex, utf8 } from "../protocol/bytes.ts"
import { ChappeError } from "../protocol/errors.ts"
import { decryptChunks, encryptChunks } from "./chunked-encryption.ts"
import { hkdf, hmacSha256, sha256, sha512 } from "./crypto.ts"
import { generateKeyPair, verify, verifyWithLibsodium } from "./ed25519.ts"
import { openBase, sealBase } from "./hpke.ts"
import {
  kemDecapsulate,
  kemEncapsulate,
  kemKeyPair,
  openChaCha,
  openXChaCha,
  sealChaCha,
  sealXChaCha,
} from "./sodium.ts"

/** What a primitive gives, and the hex of it that must come out; values above 64 bytes by their SHA-256. */
type Answer = readonly [primitive: string, got: Uint8Array | undefined, wanted: string]

function hashes(): readonly Answer[] {
  const abc = utf8("abc")
  const jefe = hmacSha256(utf8("Jefe"), utf8("what do ya want for nothing?"))
  const info = utf8("chappe/prekey/v1/next")
  const next = hkdf({ ikm: new Uint8Array(32).fill(3), salt: emptyBytes, info, length: 32 })
  return [
    ["SHA-256", sha256(abc), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
    [
      "SHA-512",
      sha512(abc),
      "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a" +
        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    ],
    ["HMAC-SHA256", jefe, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"],
    ["HKDF-SHA256", next, "f7d25c8b8e60e455b4ff39734eeb0628a83910fc7bed9691d2a3d52f936f3b92"],
  ]
}

function signatures(): readonly Answer[] {
  const seed = fromHex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
  const { publicKey, sign } = generateKeyPair(seed)
  const message = Uint8Array.of(0x72)
  const signature = sign(message)
  const verdicts = [verify, verifyWithLibsodium].flatMap((form) => [
    Number(form(publicKey, message, signature)),
    Number(form(publicKey, utf8("another"), signature)),
  ])
  return [
    ["Ed25519 keys", publicKey, "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"],
    [
      "Ed25519 signing",
      signature,
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da" +
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ],
    ["Ed25519 verification", Uint8Array.from(verdicts), "01000100"],
  ]
}

function encapsulation(): readonly Answer[] {
  const seed = fromHex("7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26")
  const randomness = fromHex(
    "3cb1eea988004b93103cfb0aeefd2a686e01fa4a58e8a3639ca8a1e3f9ae57e2" +
      "35b8cc873c23dc62b8d260169afa2f75ab916a58d974918835d25e6a435085b2",
  )
  const pair = kemKeyPair(seed)
  const encapsulated = kemEncapsulate(pair.publicKey, randomness)
  const ciphertext = encapsulated?.ciphertext ?? emptyBytes
  const shared = "d2df0522128f09dd8e2c92b1e905c793d8f57a54c3da25861f10bf4ca613e384"
  return [
    [
      "X-Wing keys",
      pair.publicKey,
      "2e816deebcd76c5c80d0cd2d174478871658e8e2ff42bc9d4a6e486372e856bb",
    ],
    [
      "X-Wing ciphertext",
      ciphertext,
      "17cd532d657e44c897ca6583e548a5424fc70bf54f99515a4d2bcf99e3469f33",
    ],
    ["X-Wing encapsulation", encapsulated?.sharedSecret, shared],
    ["X-Wing decapsulation", kemDecapsulate(ciphertext, pair.secret), shared],
  ]
}

function ciphers(): readonly Answer[] {
  const key = Uint8Array.from({ length: 32 }, (_, i) => 0x80 + i)
  const aad = fromHex("50515253c0c1c2c3c4c5c6c7")
  const text = utf8(
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
  )
  const short = { key, nonce: fromHex("070000004041424344454647"), aad }
  const long = { key, nonce: Uint8Array.from({ length: 24 }, (_, i) => 0x40 + i), aad }
  const sealed = sealChaCha(short, text)
  const sealedLong = sealXChaCha(long, text)
  const plain = toHex(sha256(text))
  return [
    ["ChaCha20-Poly1305", sealed.slice(-16), "1ae10b594f09e26a7e902ecbd0600691"],
    ["ChaCha20-Poly1305 opening", openChaCha(short, sealed), plain],
    ["XChaCha20-Poly1305", sealedLong.slice(-16), "c0875924c1c7987947deafd8780acf49"],
    ["XChaCha20-Poly1305 opening", openXChaCha(long, sealedLong), plain],
  ]
}

function compositions(): readonly Answer[] {
  const chunkKey = { key: new Uint8Array(32).fill(4), context: utf8("known answer") }
  const plaintext = Uint8Array.from({ length: 16_385 }, (_, i) => i % 256)
  const body = encryptChunks({ ...chunkKey, salt: new Uint8Array(24).fill(5), plaintext })
  const pair = kemKeyPair(new Uint8Array(32).fill(6))
  const info = utf8("known answer")
  const contentKey = new Uint8Array(32).fill(7)
  const wrap = sealBase({
    publicKey: pair.publicKey,
    info,
    plaintext: contentKey,
    seed: new Uint8Array(64).fill(8),
  })
  return [
    [
      "chunked encryption",
      body,
      "92401a305e53cfa8a63f9b5f9d591015adfb9536edf6fafc23b37dd4b8c3fe7a",
    ],
    [
      "chunked decryption",
      decryptChunks({ ...chunkKey, ciphertext: body }),
      toHex(sha256(plaintext)),
    ],
    ["HPKE sealing", wrap, "6d17acf703ea2ab62dc3a2b0dba1ab6d21617d69c2219a92fff51bd28633e23e"],
    ["HPKE opening", openBase({ secret: pair.secret, info, sealed: wrap }), toHex(contentKey)],
  ]
}

/** Asks each primitive once, about 10 ms. Refused: `internal`, naming the primitive. */
export function assertKnownAnswers(): void {
  const answers = [hashes, signatures, encapsulation, ciphers, compositions].flatMap((ask) => ask())
  for (const [primitive, got, wanted] of answers) {
    const short = got !== undefined && got.length > 64 ? sha256(got) : got
    if (short === undefined || toHex(short) !== wanted)
      throw new ChappeError("internal", `${primitive} gives a wrong answer on this machine`)
  }
}
