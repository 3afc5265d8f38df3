// Ed25519 under one written rule, ED25519-CHAPPE (docs/PROTOCOL.md, "Signatures"), because libraries disagree
// about malicious signatures, and what one party accepts and another refuses is a notice to disown.
//
//   1 public key admitted   2 exactly 64 bytes   3 S < L   4 R is not the identity   5 [S]B − [k]A encodes to R
//
// Signing and bulk verification are OpenSSL's. @noble/ed25519 brings point arithmetic on public keys
// only: it is not constant-time, and its own verify() is cofactored, so it is never called.

import {
  type KeyObject,
  createPrivateKey,
  createPublicKey,
  sign,
  verify as equationHolds,
} from "node:crypto"
import { Point } from "@noble/ed25519"
import { concat, equalBytes, fromHex, toBase64, toName } from "../protocol/bytes.ts"
import { keyLimits } from "./limits.ts"
import { sodiumVerify } from "./sodium.ts"

const identity = fromHex("0100000000000000000000000000000000000000000000000000000000000000")
// L, little-endian: 2²⁵² + 27742317777372353535851937790883648493
const order = fromHex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")

// Admitted keys, the least recently used first: admission costs 0.7 ms, an import 60 µs.
const admitted = new Map<string, KeyObject>()

/** The key as OpenSSL's object if it passes step 1, else `undefined`. Refused keys are not remembered. */
function admittedKey(publicKey: Uint8Array): KeyObject | undefined {
  if (!(publicKey instanceof Uint8Array) || publicKey.length !== 32) return undefined
  const name = toName(publicKey)
  const known = admitted.get(name)
  if (known !== undefined) {
    admitted.delete(name)
    admitted.set(name, known)
    return known
  }
  if (!isPrimeOrderPoint(publicKey)) return undefined
  const key = importPublicKey(publicKey)
  admitted.set(name, key)
  if (admitted.size > keyLimits.admittedKeysMax) {
    const [oldest] = admitted.keys()
    if (oldest !== undefined) admitted.delete(oldest)
  }
  return key
}

function isPrimeOrderPoint(publicKey: Uint8Array): boolean {
  try {
    const point = Point.fromBytes(publicKey, false)
    // Both: the identity counts as torsion-free.
    return !point.isSmallOrder() && point.isTorsionFree()
  } catch {
    // noble throws for what is not canonical or not on the curve.
    return false
  }
}

function base64Url(bytes: Uint8Array): string {
  return toBase64(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")
}

function importPublicKey(publicKey: Uint8Array): KeyObject {
  const jwk = { kty: "OKP", crv: "Ed25519", x: base64Url(publicKey) }
  return createPublicKey({ key: jwk, format: "jwk" })
}

/** Step 1 of the rule: canonical, on the curve, not of small order, in the prime-order subgroup. */
export function admit(publicKey: Uint8Array): boolean {
  return admittedKey(publicKey) !== undefined
}

function isBelowOrder(scalar: Uint8Array): boolean {
  for (let i = 31; i >= 0; i--) {
    const difference = (scalar[i] ?? 0) - (order[i] ?? 0)
    if (difference !== 0) return difference < 0
  }
  return false
}

/** The whole rule, with OpenSSL for step 5. Any input gives a verdict, never an exception. */
export function verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (!(message instanceof Uint8Array) || !(signature instanceof Uint8Array)) return false
  if (signature.length !== 64) return false
  if (!isBelowOrder(signature.subarray(32))) return false
  if (equalBytes(signature.subarray(0, 32), identity)) return false
  const key = admittedKey(publicKey)
  return key !== undefined && equationHolds(null, message, key, signature)
}

/** The rule in its reference form: admission, length, libsodium, which does steps 3 to 5 itself. */
export function verifyWithLibsodium(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (!(message instanceof Uint8Array) || !(signature instanceof Uint8Array)) return false
  if (signature.length !== 64 || !admit(publicKey)) return false
  return sodiumVerify(publicKey, message, signature)
}

// RFC 8410: PrivateKeyInfo of an Ed25519 seed up to the seed itself.
const pkcs8Head = fromHex("302e020100300506032b657004220420")

/** PKCS#8 in PEM of a 32-byte seed. */
export function privateKeyPem(seed: Uint8Array): string {
  if (!(seed instanceof Uint8Array) || seed.length !== 32) throw new RangeError("seed of 32 bytes")
  return `-----BEGIN PRIVATE KEY-----\n${toBase64(concat(pkcs8Head, seed))}\n-----END PRIVATE KEY-----\n`
}

export type Ed25519KeyPair = {
  readonly publicKey: Uint8Array
  readonly sign: (message: Uint8Array) => Uint8Array
}

/** The key pair of a 32-byte seed (RFC 8032). The secret stays inside OpenSSL's object. */
export function generateKeyPair(seed: Uint8Array): Ed25519KeyPair {
  const secret = createPrivateKey(privateKeyPem(seed))
  const spki = createPublicKey(secret).export({ format: "der", type: "spki" })
  return {
    publicKey: new Uint8Array(spki.subarray(-32)),
    sign(message) {
      if (!(message instanceof Uint8Array)) throw new TypeError("message is not bytes")
      return new Uint8Array(sign(null, message, secret))
    },
  }
}
