// Statements that several keys sign: rosters and chain statements. They travel as
// mp[body, [[keyId, signature], …]] with key ids strictly ascending, and are stored as received.

import { toHex } from "./bytes.ts"
import { type Infer, ascending, bytes, decode, encode, record } from "./codec.ts"
import type { Crypto } from "./crypto-ports.ts"
import { ChappeError } from "./errors.ts"
import { type KeyUse, keyId } from "./key-id.ts"
import { limits } from "./limits.ts"
import { type StatementType, pae, statementId } from "./pae.ts"

const signatureLine = record({ keyId: bytes(16), signature: bytes(64) })

const multiSigned = record({
  body: bytes(1, limits.statementBytesMax),
  signatures: ascending(signatureLine, (line) => toHex(line.keyId), 0, 2 * limits.custodiansMax),
})
export type MultiSigned = Infer<typeof multiSigned>

export function encodeMultiSigned(item: MultiSigned): Uint8Array {
  return encode(multiSigned, item)
}

export function decodeMultiSigned(encoded: Uint8Array): MultiSigned {
  return decode(multiSigned, encoded, limits.statementBytesMax)
}

/** Adds one signature line in its place; the same key again replaces its line. */
export function withSignature(item: MultiSigned, line: Infer<typeof signatureLine>): MultiSigned {
  const name = toHex(line.keyId)
  const others = item.signatures.filter((other) => toHex(other.keyId) !== name)
  const signatures = [...others, line].toSorted((a, b) =>
    toHex(a.keyId) < toHex(b.keyId) ? -1 : 1,
  )
  return { body: item.body, signatures }
}

export type SigningSet = {
  readonly use: KeyUse
  readonly threshold: number
  readonly keys: readonly Uint8Array[]
}

/**
 * How many distinct keys of the set signed. An unknown key counts nothing; a bad signature by a
 * known key refuses the statement (TUF's rule). Refused: `signature`.
 */
export function countSigners(
  crypto: Crypto,
  item: MultiSigned,
  type: StatementType,
  set: Pick<SigningSet, "use" | "keys">,
): number {
  const message = pae(type, item.body)
  const known = new Map(set.keys.map((key) => [toHex(keyId(crypto.sha256, set.use, key)), key]))
  let signers = 0
  for (const line of item.signatures) {
    const key = known.get(toHex(line.keyId))
    if (key === undefined) continue
    if (!crypto.verify(key, message, line.signature))
      throw new ChappeError("signature", `the signature by key ${toHex(line.keyId)} does not hold`)
    signers += 1
  }
  return signers
}

/** Fails closed: a threshold of 0 is met by nobody. */
export function meetsThreshold(
  crypto: Crypto,
  item: MultiSigned,
  type: StatementType,
  set: SigningSet,
): boolean {
  return set.threshold > 0 && countSigners(crypto, item, type, set) >= set.threshold
}

/** The statement's name, 32 bytes: the hash of its typed body, without the signatures. */
export function multiSignedId(
  crypto: Pick<Crypto, "sha256">,
  item: MultiSigned,
  type: StatementType,
): Uint8Array {
  return statementId(crypto.sha256, type, item.body)
}
