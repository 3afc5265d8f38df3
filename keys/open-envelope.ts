// Opening: the receiver's checks in their order, nothing shown before the last.
// docs/PROTOCOL.md, "Release order", numbers the steps; the comments here carry those numbers.
//
// Steps 3 (known id) and 9 (channel) need the inbox's state and stand in node/core; this file holds
// what depends on bytes, keys and the directory alone.

import { type Auth, type BatchVerifier, decodeAuth } from "../protocol/batch.ts"
import { equalBytes, toHex } from "../protocol/bytes.ts"
import { isContentType, isDesksOwn, missingCapability } from "../protocol/capability.ts"
import type { Directory } from "../protocol/directory.ts"
import { type Document, readDocument, statedColour } from "../protocol/document.ts"
import {
  type Content,
  type Core,
  type Header,
  type Inside,
  type Leaf,
  contentPae,
  coreBytes,
  decodeContent,
  decodeHeader,
  decodeInside,
  decodeLeaf,
  encodeBodyContext,
  encodeWrapInfo,
  messageIdOf,
  recipientIndex,
  suites,
} from "../protocol/envelope.ts"
import { ChappeError } from "../protocol/errors.ts"
import { limits } from "../protocol/limits.ts"
import type { Acceptance } from "../protocol/link-messages.ts"
import type { StationKey } from "../protocol/station.ts"
import { leafHash, rootFromInclusion } from "../protocol/tree.ts"
import { type AcceptedEntry, openAcceptance } from "./accepted-entry.ts"
import { decryptChunks } from "./chunked-encryption.ts"
import { constantTimeEqual, hmacSha256, sha256 } from "./crypto.ts"
import { openBase } from "./hpke.ts"
import { unpad } from "./padding.ts"

/** What a recipient gets from a relay. */
export type Delivery = {
  readonly header: Uint8Array
  readonly auth: Uint8Array
  readonly leaf: Uint8Array
  readonly path: readonly Uint8Array[]
  readonly acceptance: Acceptance
  readonly body: Uint8Array
}

export type ParsedDelivery = {
  readonly bytes: Delivery
  readonly messageId: Uint8Array
  readonly header: Header
  readonly auth: Auth
  readonly leaf: Leaf
}

/** Steps 1 and 2: sizes, scanner, layout. Refused: `size`, `not-canonical`. */
export function parseDelivery(bytes: Delivery): ParsedDelivery {
  const { length } = bytes.body
  if (length < limits.bodyBytesMin || length > limits.bodyBytesMax)
    throw new ChappeError("size", `a body of ${length} bytes`)
  if (bytes.header.length > limits.headerBytesMax)
    throw new ChappeError("size", `a header of ${bytes.header.length} bytes`)
  if (bytes.auth.length > limits.leafBytesMax || bytes.leaf.length > limits.leafBytesMax)
    throw new ChappeError("size", "the auth or leaf")
  if (bytes.path.length > limits.slicePathMax || bytes.path.some((hash) => hash.length !== 32))
    throw new ChappeError("size", "the slice's path")
  const header = decodeHeader(bytes.header)
  const auth = decodeAuth(bytes.auth)
  const leaf = decodeLeaf(bytes.leaf)
  return { bytes, messageId: messageIdOf(sha256, bytes.header), header, auth, leaf }
}

/** Step 4. Refused: `suite`. */
export function checkSuite(core: Core, directory: Directory): void {
  const { policy } = directory.roster()
  const end = policy.suites.find(({ suite }) => suite === core.suite)?.notAfter
  const isPast = end !== undefined && core.created > end
  if (core.suite !== suites.one || core.suite < policy.minSuite || isPast)
    throw new ChappeError("suite", `suite ${core.suite}`)
}

/** Step 7; `now` is network time in seconds. Refused: `too-early`, `expired`. */
export function checkTimes(core: Core, now: number, lifetimeMax: number): void {
  if (core.created > now + limits.futureSecondsMax)
    throw new ChappeError("too-early", `created ${core.created - now} s ahead`)
  if (core.expires <= core.created || core.expires - core.created > lifetimeMax)
    throw new ChappeError("expired", "the lifetime is out of bounds")
  if (now > core.expires) throw new ChappeError("expired", `expired ${now - core.expires} s ago`)
}

/** Step 6 for one message. Refused: `signature`. */
export function checkSignature(
  batches: BatchVerifier,
  parsed: Pick<ParsedDelivery, "header" | "auth" | "messageId">,
  key: Pick<StationKey, "key">,
): void {
  const { senderNode, senderKeyId } = parsed.header.core
  batches.check({
    signer: { name: senderNode, keyId: senderKeyId },
    publicKey: key.key,
    auth: parsed.auth,
    id: parsed.messageId,
    purpose: "message",
  })
}

/** Second half of step 8, for recipient `index`: the slice stands in the tree there. Refused: `slice`. */
export function checkSlice(
  header: Header,
  index: number,
  leaf: Uint8Array,
  path: readonly Uint8Array[],
): void {
  const root = rootFromInclusion({
    sha256,
    index,
    size: header.core.recipients.length,
    leaf: leafHash(sha256, leaf),
    path,
  })
  if (root === undefined || !equalBytes(root, header.slicesRoot)) throw new ChappeError("slice")
}

/** Step 10. Refused: `body`. */
export function checkBody(core: Core, body: Uint8Array): void {
  if (body.length !== core.bodyLength || !equalBytes(sha256(body), core.bodyHash))
    throw new ChappeError("body")
}

export type VerifiedDelivery = ParsedDelivery & {
  readonly accepted: AcceptedEntry
  readonly key: StationKey
}

export type ReceiverFacts = {
  readonly me: string
  /** Network time, seconds. */
  readonly now: number
  readonly directory: Directory
  readonly batches: BatchVerifier
}

/** Steps 4 to 8. Refused: `suite` `entry` `sender-key` `signature` `too-early` `expired` `not-for-me` `slice`. */
export function verifyDelivery(parsed: ParsedDelivery, facts: ReceiverFacts): VerifiedDelivery {
  const { directory, me } = facts
  const { core } = parsed.header
  checkSuite(core, directory)
  // 5: keys are judged where the accepting relay took the message in.
  const accepted = openAcceptance(directory, parsed.bytes.acceptance, parsed.messageId)
  if (accepted.entry.kind !== "envelope")
    throw new ChappeError("entry", "the entry is not one of an envelope")
  const key = directory.requireStationKey(
    core.senderNode,
    core.senderKeyId,
    accepted.place,
    accepted.entry.time,
  )
  if (parsed.leaf.incarnation !== key.incarnation)
    throw new ChappeError("sender-key", "the slice names another incarnation than the key's")
  checkSignature(facts.batches, parsed, key)
  checkTimes(core, facts.now, directory.roster().policy.maxLifetime)
  // 8
  const index = recipientIndex(core, me)
  if (index < 0 || parsed.leaf.node !== me) throw new ChappeError("not-for-me")
  checkSlice(parsed.header, index, parsed.bytes.leaf, parsed.bytes.path)
  return { ...parsed, accepted, key }
}

export type OpenedMessage = {
  readonly inside: Inside
  readonly content: Content
  readonly document: Document
}

export type OpenFacts = ReceiverFacts & {
  /** X-Wing secret of a prekey by its id, or undefined once it is erased. */
  readonly prekey: (keyId: Uint8Array) => Uint8Array | undefined
}

/**
 * Steps 10 to 18. Refused: `body` `prekey-gone` `wrap` `key-commitment` `chunk` `padding`
 * `not-canonical` `officer-key` `capability` `officer-signature` `recipients` `content-commitment`
 * `room` `hq-missing` `document`.
 */
export function openDelivery(verified: VerifiedDelivery, facts: OpenFacts): OpenedMessage {
  const { core } = verified.header
  checkBody(core, verified.bytes.body)
  const contentKey = unwrap(verified, facts)
  // 12 and 13: the commitment is compared before any chunk is opened.
  const padded = decryptChunks({
    key: contentKey,
    context: encodeBodyContext(core.suite, core.id, core.senderNode),
    ciphertext: verified.bytes.body,
  })
  const inside = decodeInside(unpad(padded))
  const opened = judgeContent(verified, inside, facts.directory)
  // 17: rooms come with their own statements; an envelope that names one cannot be judged yet.
  if (core.room !== null) throw new ChappeError("room", "the room is not known here")
  // 18
  if (opened.content.type.startsWith("diffusion/")) requireDesk(core, facts.directory, verified)
  return opened
}

/** Step 11. */
function unwrap(verified: VerifiedDelivery, facts: OpenFacts): Uint8Array {
  const { core } = verified.header
  const recipient = core.recipients[recipientIndex(core, facts.me)]
  if (recipient === undefined) throw new ChappeError("not-for-me")
  const secret = facts.prekey(recipient.kemKeyId)
  if (secret === undefined)
    throw new ChappeError("prekey-gone", `prekey ${toHex(recipient.kemKeyId)}`)
  const coreHash = sha256(coreBytes(verified.bytes.header))
  const info = encodeWrapInfo(core.suite, coreHash, facts.me)
  const contentKey = openBase({ secret, info, sealed: verified.leaf.wrap })
  if (contentKey.length !== 32) throw new ChappeError("wrap")
  return contentKey
}

/** What anybody can judge to whom the inside was shown: a recipient, or a reader of a disclosure. */
export type Judged = Pick<VerifiedDelivery, "header" | "accepted">

/** Steps 14 to 16 and the document's form. */
export function judgeContent(judged: Judged, inside: Inside, directory: Directory): OpenedMessage {
  const { core } = judged.header
  const { place, entry } = judged.accepted
  const content = decodeContent(inside.content)
  // 14
  const officer = directory.requireOfficer(
    core.senderNode,
    content.officer,
    inside.officerKeyId,
    place,
    entry.time,
  )
  if (!directory.crypto.verify(officer.key, contentPae(inside.content), inside.officerSig))
    throw new ChappeError("officer-signature")
  if (core.precedence > officer.maxPrecedence)
    throw new ChappeError(
      "capability",
      `${content.officer} may not use precedence ${core.precedence}`,
    )
  const { type } = content
  if (!isContentType(type)) throw new ChappeError("document", `${type} is not a known content type`)
  const document = readDocument(type, content.document)
  const missing = missingCapability(type, statedColour(document), officer.capabilities)
  if (missing !== undefined)
    throw new ChappeError("capability", `${content.officer} does not hold ${missing}`)
  // A member's root can give any capability; what the desk decides, the desk alone can say.
  if (isDesksOwn(type) && !directory.desks(place).includes(core.senderNode))
    throw new ChappeError("capability", `${core.senderNode} is not the desk`)
  // 15
  const { intended } = content
  const nodes = new Set(intended.nodes)
  const isIntended = core.recipients.every(({ node }) => nodes.has(node))
  if (intended.sender !== core.senderNode || !equalBytes(intended.id, core.id) || !isIntended)
    throw new ChappeError("recipients")
  if (content.created > core.created + limits.futureSecondsMax)
    throw new ChappeError("recipients", "the officer signed after the envelope was made")
  // 16
  if (!constantTimeEqual(hmacSha256(inside.contentCommitKey, inside.content), core.contentCommit))
    throw new ChappeError("content-commitment")
  return { inside, content, document }
}

function requireDesk(core: Core, directory: Directory, { accepted }: VerifiedDelivery): void {
  const desks = directory.desks(accepted.place)
  const isDesk = (name: string): boolean => desks.includes(name)
  if (!isDesk(core.senderNode) && !core.recipients.some(({ node }) => isDesk(node)))
    throw new ChappeError("hq-missing")
}

/** Evidence file and quotation: everything that shows what was sent, without a key that opens mail. */
export type Disclosure = {
  readonly header: Uint8Array
  readonly auth: Uint8Array
  readonly acceptance: Acceptance
  readonly inside: Inside
}

/**
 * Verifies a disclosed message: node signature, officer, commitment, and where it was logged.
 * Refused: as in steps 2, 5, 6 and 14 to 16.
 */
export function verifyDisclosure(
  disclosure: Disclosure,
  facts: Pick<ReceiverFacts, "directory" | "batches">,
): OpenedMessage & Judged & { readonly messageId: Uint8Array } {
  const judged = judgeLogged(disclosure, facts)
  return { ...judged, ...judgeContent(judged, disclosure.inside, facts.directory) }
}

/** The part of a disclosure that needs no content: header, node signature, accepted entry. */
export function judgeLogged(
  shown: Omit<Disclosure, "inside">,
  facts: Pick<ReceiverFacts, "directory" | "batches">,
): Judged & { readonly messageId: Uint8Array } {
  const header = decodeHeader(shown.header)
  const messageId = messageIdOf(sha256, shown.header)
  const accepted = openAcceptance(facts.directory, shown.acceptance, messageId)
  if (accepted.entry.kind !== "envelope")
    throw new ChappeError("entry", "the entry is not one of an envelope")
  const { core } = header
  const key = facts.directory.requireStationKey(
    core.senderNode,
    core.senderKeyId,
    accepted.place,
    accepted.entry.time,
  )
  const auth = decodeAuth(shown.auth)
  checkSignature(facts.batches, { header, auth, messageId }, key)
  return { header, accepted, messageId }
}
