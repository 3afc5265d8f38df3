// Sealing: from an officer's signed content to the envelope that travels. docs/PROTOCOL.md, "Sealing".
//
// The body is encrypted once; each recipient gets its own wrap of the content key. All randomness is
// hedged with the content, so that a cloned machine repeats a key only for the same plaintext.

import { concat, utf8 } from "../protocol/bytes.ts"
import { type Value, encode, list, record, value } from "../protocol/codec.ts"
import {
  type Content,
  type Core,
  type DirectoryHead,
  type Lane,
  coreBytes,
  encodeBodyContext,
  encodeContent,
  encodeHeader,
  encodeInside,
  encodeLeaf,
  encodeWrapInfo,
  messageIdOf,
  suites,
  time,
} from "../protocol/envelope.ts"
import { ChappeError } from "../protocol/errors.ts"
import { keyId } from "../protocol/key-id.ts"
import { limits } from "../protocol/limits.ts"
import { contentTypeName, memberName, officerId } from "../protocol/names.ts"
import { leafHash, treeRoot } from "../protocol/tree.ts"
import { encryptChunks } from "./chunked-encryption.ts"
import { hmacSha256, sha256 } from "./crypto.ts"
import { type Random, hedged } from "./hedge.ts"
import { sealBase } from "./hpke.ts"
import { pad } from "./padding.ts"

export type Draft = {
  readonly type: string
  readonly officer: string
  readonly created: number
  readonly nodes: readonly string[]
  readonly document: Value
}

const draftBinding = record({
  type: contentTypeName,
  officer: officerId,
  created: time,
  nodes: list(memberName, 1, limits.recipientsMax),
  document: value,
})

/** The message's identity, 16 bytes, before the officer signs. */
export function draftIdentity(hedgeSecret: Uint8Array, random: Random, draft: Draft): Uint8Array {
  return hedged(hedgeSecret, random, sha256(encode(draftBinding, draft)))("id", 16)
}

/** What the officer is to sign. `nodes`, strictly ascending: the intended recipients. */
export function draftContent(sender: string, id: Uint8Array, draft: Draft): Uint8Array {
  const content: Content = {
    version: 1,
    type: draft.type,
    officer: draft.officer,
    created: draft.created,
    intended: { sender, id, nodes: draft.nodes },
    document: draft.document,
  }
  return encodeContent(content)
}

export type SealRecipient = {
  readonly node: string
  /** X-Wing public key, 1,216 bytes. */
  readonly kemKey: Uint8Array
  readonly channelSeq: number
  readonly channelPrev: Uint8Array
}

export type SealInput = {
  readonly sender: {
    readonly node: string
    readonly keyId: Uint8Array
    readonly incarnation: number
  }
  readonly hedgeSecret: Uint8Array
  readonly random: Random
  readonly id: Uint8Array
  readonly content: Uint8Array
  readonly officerSig: Uint8Array
  readonly officerKeyId: Uint8Array
  readonly created: number
  readonly expires: number
  readonly precedence: Lane
  /** Strictly ascending by name. */
  readonly recipients: readonly SealRecipient[]
  readonly checkpoint: DirectoryHead
  readonly room: Uint8Array | null
}

export type SealedEnvelope = {
  readonly messageId: Uint8Array
  readonly header: Uint8Array
  readonly leaves: readonly Uint8Array[]
  readonly body: Uint8Array
  /** ck: opens the content commitment to whom content and officer signature are shown. */
  readonly contentCommitKey: Uint8Array
}

/** Everything but the batch signature. Refused: `size` for too much content, `key-form` for a bad KEM key. */
export function sealEnvelope(input: SealInput): SealedEnvelope {
  if (input.content.length > limits.paddedMax)
    throw new ChappeError("size", `content of ${input.content.length} bytes is too long`)
  const draw = hedged(input.hedgeSecret, input.random, sha256(input.content))
  const contentCommitKey = draw("content-commit", 32)
  const contentKey = draw("content-key", 32)
  const inside = encodeInside({
    content: input.content,
    officerSig: input.officerSig,
    officerKeyId: input.officerKeyId,
    contentCommitKey,
  })
  const body = encryptChunks({
    key: contentKey,
    context: encodeBodyContext(suites.one, input.id, input.sender.node),
    salt: draw("body-salt", 24),
    plaintext: pad(inside),
  })
  const core: Core = {
    version: 1,
    suite: suites.one,
    id: input.id,
    senderNode: input.sender.node,
    senderKeyId: input.sender.keyId,
    created: input.created,
    expires: input.expires,
    precedence: input.precedence,
    recipients: input.recipients.map(({ node, kemKey }) => ({
      node,
      kemKeyId: keyId(sha256, "prekey", kemKey),
    })),
    bodyLength: body.length,
    bodyHash: sha256(body),
    contentCommit: hmacSha256(contentCommitKey, input.content),
    checkpoint: input.checkpoint,
    room: input.room,
  }
  const coreHash = sha256(coreBytes(encodeHeader({ core, slicesRoot: new Uint8Array(32) })))
  const leaves = input.recipients.map((recipient) =>
    encodeLeaf({
      node: recipient.node,
      wrap: sealBase({
        publicKey: recipient.kemKey,
        info: encodeWrapInfo(suites.one, coreHash, recipient.node),
        plaintext: contentKey,
        seed: draw(concat(utf8("kem"), Uint8Array.of(0), utf8(recipient.node)), 64),
      }),
      incarnation: input.sender.incarnation,
      channelSeq: recipient.channelSeq,
      channelPrev: recipient.channelPrev,
    }),
  )
  const slicesRoot = treeRoot(
    sha256,
    leaves.map((leaf) => leafHash(sha256, leaf)),
  )
  const header = encodeHeader({ core, slicesRoot })
  return { messageId: messageIdOf(sha256, header), header, leaves, body, contentCommitKey }
}

/** Blind of one message's or receipt's batch leaf, 16 bytes. */
export function batchBlind(hedgeSecret: Uint8Array, random: Random, id: Uint8Array): Uint8Array {
  return hedged(hedgeSecret, random, sha256(id))("batch-blind", 16)
}

/** Salt of a log commitment, 32 bytes, one for each log. `id`: messageId or statementId. */
export function logSalt(
  hedgeSecret: Uint8Array,
  random: Random,
  id: Uint8Array,
  origin: string,
): Uint8Array {
  const label = concat(utf8("log-salt"), Uint8Array.of(0), utf8(origin))
  return hedged(hedgeSecret, random, sha256(id))(label, 32)
}
