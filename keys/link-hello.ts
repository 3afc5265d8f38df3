// HELLO: each end of a link shows, signed over the TLS exporter, that it holds its node or relay key.
// docs/PROTOCOL.md, "Links". A proof cannot be relayed or reflected: exporter, names and role are in it.

import { equalBytes } from "../protocol/bytes.ts"
import type { Directory } from "../protocol/directory.ts"
import type { DirectoryHead } from "../protocol/envelope.ts"
import { ChappeError } from "../protocol/errors.ts"
import {
  type Hello,
  commonVersion,
  decodeHello,
  decodeSignedHello,
  encodeHello,
  encodeSignedHello,
  helloPae,
  protocolVersions,
} from "../protocol/hello.ts"
import { verify } from "./ed25519.ts"
import type { SigningKey } from "./signing-key.ts"

export type OwnHello = {
  /** 32 bytes of TLS `EXPORTER-Channel-Binding`. */
  readonly exporter: Uint8Array
  readonly from: string
  readonly to: string
  /** 0 opener, 1 answerer. */
  readonly role: 0 | 1
  /** Own clock, seconds since 1970. */
  readonly at: number
  readonly suites: readonly number[]
  readonly head: DirectoryHead
  /** 0 for relays. */
  readonly incarnation: number
  readonly held: Hello["held"]
}

/** The signed HELLO as it travels. `key`: of use node or relay. */
export function signHello(key: SigningKey, own: OwnHello): Uint8Array {
  const hello = encodeHello({ version: 1, ...own, versions: protocolVersions, keyId: key.keyId })
  return encodeSignedHello({ hello, signature: key.sign(helloPae(hello)) })
}

export type ExpectedHello = {
  readonly exporter: Uint8Array
  /** The name that the directory gives the peer's pinned link key. */
  readonly from: string
  readonly to: string
  readonly role: 0 | 1
  /** Network time at which the peer's key must be valid. */
  readonly now: number
}

/**
 * Refused with `version` where no version is common; with `hello`: layout, exporter, names, role, suites,
 * key, incarnation, signature.
 */
export function openHello(
  directory: Directory,
  signed: Uint8Array,
  expected: ExpectedHello,
): { readonly hello: Hello; readonly version: number } {
  try {
    const { hello: bytes, signature } = decodeSignedHello(signed)
    const hello = decodeHello(bytes)
    const isFitting =
      equalBytes(hello.exporter, expected.exporter) &&
      hello.from === expected.from &&
      hello.to === expected.to &&
      hello.role === expected.role
    if (!isFitting) throw new ChappeError("hello", "a hello of another connection")
    const key = directory.requireStationKey(hello.from, hello.keyId, "now", expected.now)
    const { minSuite } = directory.roster().policy
    if (key.incarnation !== hello.incarnation || !hello.suites.some((suite) => suite >= minSuite))
      throw new ChappeError("hello", "the incarnation or the suites do not fit the directory")
    if (!verify(key.key, helloPae(bytes), signature))
      throw new ChappeError("hello", "the signature does not hold")
    const version = commonVersion(protocolVersions, hello.versions)
    if (version === undefined)
      throw new ChappeError("version", `${hello.from} speaks ${hello.versions.join(", ")}`)
    return { hello, version }
  } catch (cause) {
    if (!(cause instanceof ChappeError)) throw cause
    if (cause.code === "hello" || cause.code === "version") throw cause
    throw new ChappeError("hello", cause.message, { cause })
  }
}
