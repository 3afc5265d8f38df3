// The envelope: what travels from one node to others. Layouts: docs/PROTOCOL.md, "Envelope".
//
// header = mp[core, slicesRoot]; a relay can check it and never sees content. Each recipient gets the
// header, the batch signature, its own leaf with the path to slicesRoot, and the one body.

import { toHex } from "./bytes.ts"
import {
  type Codec,
  type Infer,
  ascending,
  bytes,
  decode,
  encode,
  literal,
  nullable,
  oneOf,
  record,
  uint,
  value,
} from "./codec.ts"
import type { Sha256 } from "./crypto-ports.ts"
import { ChappeError } from "./errors.ts"
import { limits } from "./limits.ts"
import { contentTypeName, memberName, officerId } from "./names.ts"
import { pae, statementId } from "./pae.ts"

/** Lanes from lowest to highest; the index is the number on the wire. */
export const precedences = ["routine", "priority", "immediate", "flash"] as const
export type Precedence = (typeof precedences)[number]
export type Lane = 0 | 1 | 2 | 3
export const lanes = [0, 1, 2, 3] as const satisfies readonly Lane[]

/** Seconds since 1970. */
export const time: Codec<number> = uint(0xffff_ffff)
const hash: Codec<Uint8Array> = bytes(32)
const keyIdBytes: Codec<Uint8Array> = bytes(16)
export const messageIdentity: Codec<Uint8Array> = bytes(16)

/** Suite 1: X-Wing · HKDF-SHA256 · ChaCha20-Poly1305 · SHA-256 · Ed25519. */
export const suites = { one: 1 } as const

export const directoryHead = record({ size: uint(0xffff_ffff), root: hash })
export type DirectoryHead = Infer<typeof directoryHead>

export const core = record({
  version: literal(1),
  suite: uint(0xffff),
  id: messageIdentity,
  senderNode: memberName,
  senderKeyId: keyIdBytes,
  created: time,
  expires: time,
  precedence: oneOf(lanes),
  recipients: ascending(
    record({ node: memberName, kemKeyId: keyIdBytes }),
    (recipient) => recipient.node,
    1,
    limits.recipientsMax,
  ),
  bodyLength: uint(limits.bodyBytesMax),
  bodyHash: hash,
  contentCommit: hash,
  checkpoint: directoryHead,
  room: nullable(hash),
})
export type Core = Infer<typeof core>

const headerLayout = record({ core, slicesRoot: hash })
export type Header = Infer<typeof headerLayout>

export function encodeHeader(header: Header): Uint8Array {
  const encoded = encode(headerLayout, header)
  if (encoded.length > limits.headerBytesMax) throw new RangeError("header too long")
  return encoded
}

/** Refused: `size`, `not-canonical`. Layout only: no key, time or signature is judged here. */
export function decodeHeader(encoded: Uint8Array): Header {
  const header = decode(headerLayout, encoded, limits.headerBytesMax)
  const { core: fields } = header
  if (fields.recipients.some(({ node }) => node === fields.senderNode))
    throw new ChappeError("not-canonical", "the sender is among the recipients")
  if (fields.bodyLength < limits.bodyBytesMin)
    throw new ChappeError("not-canonical", "bodyLength is below the least")
  return header
}

/** core's own bytes inside a header: everything but the array byte in front and the root behind. */
export function coreBytes(header: Uint8Array): Uint8Array {
  return header.slice(1, header.length - 34)
}

/** `H(PAE(envelope, header))`, 32 bytes. */
export function messageIdOf(sha256: Sha256, header: Uint8Array): Uint8Array {
  return statementId(sha256, "envelope", header)
}

const leafLayout = record({
  node: memberName,
  wrap: bytes(limits.wrapBytes),
  incarnation: uint(0xffff_ffff),
  channelSeq: uint(0xffff_ffff),
  channelPrev: hash,
})
/** One recipient's slice: wrapped content key and the place in its channel. */
export type Leaf = Infer<typeof leafLayout>

export function encodeLeaf(leaf: Leaf): Uint8Array {
  return encode(leafLayout, leaf)
}

export function decodeLeaf(encoded: Uint8Array): Leaf {
  return decode(leafLayout, encoded, limits.leafBytesMax)
}

const content = record({
  version: literal(1),
  type: contentTypeName,
  officer: officerId,
  created: time,
  intended: record({
    sender: memberName,
    id: messageIdentity,
    nodes: ascending(memberName, (node) => node, 1, limits.recipientsMax),
  }),
  document: value,
})
/** What the officer signs: words and intended recipients. */
export type Content = Infer<typeof content>

export function encodeContent(item: Content): Uint8Array {
  return encode(content, item)
}

export function decodeContent(encoded: Uint8Array): Content {
  return decode(content, encoded, limits.paddedMax)
}

/** The bytes under the officer's signature. */
export function contentPae(encoded: Uint8Array): Uint8Array {
  return pae("content", encoded)
}

const inside = record({
  content: bytes(1, limits.paddedMax),
  officerSig: bytes(64),
  officerKeyId: keyIdBytes,
  contentCommitKey: hash,
})
/** The plaintext of a body before padding. */
export type Inside = Infer<typeof inside>

export function encodeInside(item: Inside): Uint8Array {
  return encode(inside, item)
}

export function decodeInside(encoded: Uint8Array): Inside {
  return decode(inside, encoded, limits.paddedMax)
}

const wrapInfo = record({
  label: literal("chappe/wrap/v1"),
  suite: uint(0xffff),
  coreHash: hash,
  node: memberName,
})

/** HPKE `info` of one recipient's wrap. */
export function encodeWrapInfo(suite: number, coreHash: Uint8Array, node: string): Uint8Array {
  return encode(wrapInfo, { label: "chappe/wrap/v1", suite, coreHash, node })
}

const bodyContext = record({
  label: literal("chappe/body/v1"),
  suite: uint(0xffff),
  id: messageIdentity,
  senderNode: memberName,
})

/** Context of the body's chunked encryption. */
export function encodeBodyContext(suite: number, id: Uint8Array, senderNode: string): Uint8Array {
  return encode(bodyContext, { label: "chappe/body/v1", suite, id, senderNode })
}

const attachmentContext = record({ label: literal("chappe/attachment/v1"), suite: uint(0xffff) })

/** Context of an attachment's chunked encryption. */
export function encodeAttachmentContext(suite: number): Uint8Array {
  return encode(attachmentContext, { label: "chappe/attachment/v1", suite })
}

/** A message's identity for people and the duplicate check: `<sender>/<id in hex>`. */
export function identityOf(item: Pick<Core, "senderNode" | "id">): string {
  return `${item.senderNode}/${toHex(item.id)}`
}

/** The recipient's place in core, or −1. */
export function recipientIndex(item: Core, node: string): number {
  return item.recipients.findIndex((recipient) => recipient.node === node)
}
