// A directory bundle: statements in an order in which they can be taken in. What a process starts
// with before its first contact, and what evidence files carry. docs/PROTOCOL.md, "Directory bundle".

import { type Infer, bytes, decode, encode, list, literal, oneOf, record } from "./codec.ts"
import { limits } from "./limits.ts"

const bundledStatement = record({
  kind: oneOf(["roster", "chain", "policy"] as const),
  statement: bytes(1, limits.statementBytesMax),
})

const directoryBundle = record({
  version: literal(1),
  statements: list(bundledStatement, 0, limits.bundledStatementsMax),
})
export type DirectoryBundle = Infer<typeof directoryBundle>

export function encodeDirectoryBundle(item: DirectoryBundle): Uint8Array {
  return encode(directoryBundle, item)
}

export function decodeDirectoryBundle(encoded: Uint8Array): DirectoryBundle {
  return decode(directoryBundle, encoded, limits.directoryBundleBytesMax)
}

const postedStatement = record({
  version: literal(1),
  kind: oneOf(["roster", "chain", "policy"] as const),
  statement: bytes(1, limits.statementBytesMax),
})
/** Body of a relay's `POST /statements`. */
export type PostedStatement = Infer<typeof postedStatement>

export function encodePostedStatement(item: PostedStatement): Uint8Array {
  return encode(postedStatement, item)
}

export function decodePostedStatement(encoded: Uint8Array): PostedStatement {
  return decode(postedStatement, encoded, limits.statementBytesMax + limits.leafBytesMax)
}
