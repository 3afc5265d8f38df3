// The auditor's own verifier: rule ED25519-CHAPPE (docs/PROTOCOL.md, "Signatures") in point arithmetic,
// written out as the rule is. It shares no code with the verifiers of nodes and relays.
//
// noble's verify() is cofactored in both of its modes and accepts what the rule refuses: never call it.

import { createHash } from "node:crypto"
import { Point } from "@noble/ed25519"
import { equalBytes, toName } from "../protocol/bytes.ts"
import { auditLimits } from "./limits.ts"

const order = 2n ** 252n + 27742317777372353535851937790883648493n
const identity = Point.ZERO.toBytes()

const admitted = new Map<string, Point>()

/** Step 1: canonical, on the curve, not of small order, in the prime-order subgroup. */
function admittedPoint(publicKey: Uint8Array): Point | undefined {
  if (publicKey.length !== 32) return undefined
  const name = toName(publicKey)
  const known = admitted.get(name)
  if (known !== undefined) return known
  const point = decodePoint(publicKey)
  // Both: the identity counts as torsion-free.
  if (point === undefined || point.isSmallOrder() || !point.isTorsionFree()) return undefined
  if (admitted.size >= auditLimits.admittedKeysMax) admitted.clear()
  admitted.set(name, point)
  return point
}

function decodePoint(bytes: Uint8Array): Point | undefined {
  try {
    return Point.fromBytes(bytes, false)
  } catch {
    // noble throws for what is not canonical or not on the curve.
    return undefined
  }
}

function littleEndian(bytes: Uint8Array): bigint {
  let number = 0n
  for (const byte of bytes.toReversed()) number = (number << 8n) | BigInt(byte)
  return number
}

/** The whole rule for one signature; about 1 ms. Any length of input gives a verdict. */
export function verifyWithPoints(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  const key = admittedPoint(publicKey)
  if (key === undefined) return false // 1
  if (signature.length !== 64) return false // 2
  const s = littleEndian(signature.slice(32))
  if (s >= order) return false // 3
  const r = signature.slice(0, 32)
  if (equalBytes(r, identity)) return false // 4
  const digest = createHash("sha512").update(r).update(publicKey).update(message).digest()
  const k = littleEndian(new Uint8Array(digest)) % order
  const expected = Point.BASE.multiply(s, false).add(key.multiply(k, false).negate())
  return equalBytes(expected.toBytes(), r) // 5
}
