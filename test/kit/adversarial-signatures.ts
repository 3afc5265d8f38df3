// Signatures made to split verifiers: torsion in R and in A, identity R, S + L, other lengths, encodings that are not
// canonical, keys of small order. Deterministic: the same seed gives the same cases.
//
// The signer here is a malicious one with BigInt arithmetic: its secrets are worth nothing.

import { Point } from "@noble/ed25519"
import { sha512 } from "../../keys/crypto.ts"
import type { Random } from "../../keys/hedge.ts"
import { concat, fromHex } from "../../protocol/bytes.ts"
import { countingRandom } from "./counting-random.ts"

export type SignatureCase = {
  readonly kind: string
  /** What the rule says by construction. */
  readonly valid: boolean
  readonly public: Uint8Array
  readonly message: Uint8Array
  readonly signature: Uint8Array
}

const order = 2n ** 252n + 27742317777372353535851937790883648493n
const fieldPrime = 2n ** 255n - 19n

/** The torsion subgroup: the multiples of a point of order 8. */
const eighth = Point.fromBytes(
  fromHex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
)
const torsion = Array.from({ length: 8 }, (_, i) => times(eighth, BigInt(i)))

function times(point: Point, scalar: bigint): Point {
  return scalar === 0n ? Point.ZERO : point.multiply(scalar, false)
}

function littleEndian(bytes: Uint8Array): bigint {
  return bytes.reduceRight((number, byte) => number * 256n + BigInt(byte), 0n)
}

function toLittleEndian(number: bigint): Uint8Array {
  return Uint8Array.from({ length: 32 }, (_, i) => Number((number >> BigInt(8 * i)) & 255n))
}

function scalarOf(random: Random): bigint {
  return (littleEndian(random(40)) % (order - 1n)) + 1n
}

function challenge(r: Uint8Array, a: Uint8Array, message: Uint8Array): bigint {
  return littleEndian(sha512(concat(r, a, message))) % order
}

/** One malicious signer: key a·B + torsion, nonce r·B + torsion, both encodings free to choose. */
class Signer {
  readonly secret: bigint
  readonly clean: Point
  readonly message: Uint8Array
  readonly nonce: bigint

  constructor(random: Random) {
    this.secret = scalarOf(random)
    this.nonce = scalarOf(random)
    this.clean = times(Point.BASE, this.secret)
    this.message = random(random(1)[0] ?? 0)
  }

  get noncePoint(): Point {
    return times(Point.BASE, this.nonce)
  }

  /** S for these encodings of R and A. */
  response(r: Uint8Array, a: Uint8Array, nonce: bigint = this.nonce): bigint {
    return (nonce + challenge(r, a, this.message) * this.secret) % order
  }

  sign(r: Uint8Array, a: Uint8Array): Uint8Array {
    return concat(r, toLittleEndian(this.response(r, a)))
  }
}

/** Other encodings of a point: y + p where that fits into 255 bits, and the sign of x = 0 set. */
function otherEncodings(point: Point): readonly Uint8Array[] {
  const { x, y } = point.toAffine()
  const sign = (x & 1n) << 255n
  const encodings: bigint[] = []
  if (y + fieldPrime < 2n ** 255n) encodings.push((y + fieldPrime) | sign)
  if (x === 0n) encodings.push(...[...encodings, y].map((encoding) => encoding | (1n << 255n)))
  return encodings.map(toLittleEndian)
}

const nonCanonicalSmall = torsion.flatMap(otherEncodings)

function* casesOf(random: Random): Generator<SignatureCase, void, void> {
  const signer = new Signer(random)
  const { message } = signer
  const a = signer.clean.toBytes()
  const r = signer.noncePoint.toBytes()
  const good = signer.sign(r, a)
  const s = littleEndian(good.slice(32))
  const pick = <T>(items: readonly T[]): T => items[(random(1)[0] ?? 0) % items.length] as T
  const make = (kind: string, signature: Uint8Array, publicKey: Uint8Array = a) => ({
    kind,
    valid: kind === "honest",
    public: publicKey,
    message,
    signature,
  })

  yield make("honest", good)
  yield { ...make("another message", good), message: concat(message, Uint8Array.of(0)) }
  const at = (random(1)[0] ?? 0) % 64
  yield make(
    "flipped bit",
    good.map((byte, i) => (i === at ? byte ^ (1 << (at % 8)) : byte)),
  )

  // Lengths
  yield make("trailing byte", concat(good, random(1)))
  yield make("trailing zero", concat(good, Uint8Array.of(0)))
  yield make("63 bytes", good.slice(0, 63))
  yield make("empty", new Uint8Array(0))
  yield make("twice", concat(good, good))
  yield make("key with a trailing byte", good, concat(a, Uint8Array.of(0)))
  yield make("key of 31 bytes", good, a.slice(0, 31))

  // S: the same residue again, up to where 256 bits end
  yield make("S + L", concat(r, toLittleEndian(s + order)))
  yield make("S + 8L", concat(r, toLittleEndian(s + 8n * order)))
  yield make("S = L", concat(r, toLittleEndian(order)))
  yield make("S of all ones", concat(r, new Uint8Array(32).fill(0xff)))
  yield make("−S", concat(r, toLittleEndian(order - s)))

  // R
  const identity = Point.ZERO.toBytes()
  yield make("identity R", concat(identity, toLittleEndian(signer.response(identity, a, 0n))))
  for (const small of torsion.slice(1)) {
    const smallR = small.toBytes()
    yield make("small-order R", concat(smallR, toLittleEndian(signer.response(smallR, a, 0n))))
    const mixedR = signer.noncePoint.add(small).toBytes()
    yield make("torsion in R", signer.sign(mixedR, a))
  }
  const odd = pick(nonCanonicalSmall)
  yield make("R not canonical", concat(odd, toLittleEndian(signer.response(odd, a, 0n))))
  yield make("R not on the curve", signer.sign(notOnTheCurve(random), a))

  // A
  for (const small of torsion.slice(1)) {
    const mixedA = signer.clean.add(small).toBytes()
    yield make("torsion in A", signer.sign(r, mixedA), mixedA)
  }
  // With torsion in both, R can be corrected so that the cofactorless equation holds: only admission refuses.
  yield* corrected(signer, "torsion in A, R corrected", signer.clean, pick(torsion.slice(1)))
  for (const small of torsion) {
    const smallA = small.toBytes()
    yield make("small-order key", signer.sign(r, smallA), smallA)
    // Holds under a cofactored equation always, under ours as often as k·A vanishes.
    yield make("small-order key, no secret", concat(r, toLittleEndian(signer.nonce)), smallA)
    yield* corrected(signer, "forged under a small-order key", Point.ZERO, small)
  }
  const oddA = pick(nonCanonicalSmall)
  yield make("key not canonical", signer.sign(r, oddA), oddA)
  yield make("key not canonical, zero S", concat(identity, new Uint8Array(32)), oddA)
  const offCurve = notOnTheCurve(random)
  yield make("key not on the curve", signer.sign(r, offCurve), offCurve)
  yield make("random bytes", random(64), random(32))
}

function notOnTheCurve(random: Random): Uint8Array {
  for (;;) {
    const bytes = random(32)
    try {
      Point.fromBytes(bytes, true)
    } catch {
      return bytes
    }
  }
}

/**
 * A signature whose equation holds exactly under the key `clean + small`: R's torsion takes away what k·A brings.
 * k depends on R, so the fitting R is one of eight guesses, or none. Under `clean` = 0 no secret is needed at all.
 */
function* corrected(
  signer: Signer,
  kind: string,
  clean: Point,
  small: Point,
): Generator<SignatureCase, void, void> {
  const a = clean.add(small).toBytes()
  for (const guess of torsion) {
    const r = signer.noncePoint.add(guess).toBytes()
    if (
      !times(small, challenge(r, a, signer.message))
        .negate()
        .equals(guess)
    )
      continue
    const s = clean.is0() ? signer.nonce : signer.response(r, a)
    const signature = concat(r, toLittleEndian(s))
    yield { kind, valid: false, public: a, message: signer.message, signature }
  }
}

/** `count` cases, all kinds in turn. */
export function* adversarialSignatures(
  seed: string,
  count: number,
): Generator<SignatureCase, void, void> {
  const random = countingRandom(seed)
  for (let left = count; ;)
    for (const item of casesOf(random)) {
      if (left-- === 0) return
      yield item
    }
}
