// HELLO: the first frame each way on a link, signed over the TLS exporter. docs/PROTOCOL.md, "Links".

import { type Infer, bytes, decode, encode, list, literal, oneOf, record, uint } from "./codec.ts"
import { directoryHead, time } from "./envelope.ts"
import { limits } from "./limits.ts"
import { stationName } from "./names.ts"
import { pae } from "./pae.ts"

/** Protocol versions that this software speaks, ascending. Version N talks with N−1. */
export const protocolVersions: readonly number[] = [1]

/** The version that two peers speak: the highest that both list. Undefined when there is none. */
export function commonVersion(
  own: readonly number[],
  peers: readonly number[],
): number | undefined {
  const common = own.filter((version) => peers.includes(version))
  return common.length === 0 ? undefined : Math.max(...common)
}

const hello = record({
  version: literal(1),
  exporter: bytes(32),
  from: stationName,
  to: stationName,
  role: oneOf([0, 1] as const),
  at: time,
  versions: list(uint(0xffff), 1, 16),
  suites: list(uint(0xffff), 1, 16),
  head: directoryHead,
  incarnation: uint(0xffff_ffff),
  keyId: bytes(16),
  held: record({ seq: uint(0xffff_ffff), session: uint(0xffff_ffff) }),
})
/** `version`: of this layout, in which versions are found out, so it stays whatever they are. `role` 0 opener, 1 answerer. `held`: a relay's the highest it holds for that node key, a node's its own. */
export type Hello = Infer<typeof hello>

export function encodeHello(item: Hello): Uint8Array {
  return encode(hello, item)
}

export function decodeHello(encoded: Uint8Array): Hello {
  return decode(hello, encoded, limits.leafBytesMax)
}

const signedHello = record({ hello: bytes(1, limits.leafBytesMax), signature: bytes(64) })
export type SignedHello = Infer<typeof signedHello>

export function encodeSignedHello(item: SignedHello): Uint8Array {
  return encode(signedHello, item)
}

export function decodeSignedHello(encoded: Uint8Array): SignedHello {
  return decode(signedHello, encoded, 2 * limits.leafBytesMax)
}

export function helloPae(encoded: Uint8Array): Uint8Array {
  return pae("hello", encoded)
}
