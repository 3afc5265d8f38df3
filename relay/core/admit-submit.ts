// Whether the relay takes an envelope in: the checks of docs/PROTOCOL.md, "Release order", 1 to 7, at the
// relay's own place in its directory log, and what only a relay asks. Needs no secret. Facts in, a verdict
// out; a refusal is a ChappeError, and `isFinal` says whether sending again could ever help.

import { checkLogStatement } from "../../keys/accepted-entry.ts"
import { sha256 } from "../../keys/crypto.ts"
import { type Auth, type BatchVerifier, decodeAuth } from "../../protocol/batch.ts"
import { equalBytes } from "../../protocol/bytes.ts"
import type { Directory, Place } from "../../protocol/directory.ts"
import {
  type Header,
  type Leaf,
  decodeHeader,
  decodeLeaf,
  messageIdOf,
  suites,
} from "../../protocol/envelope.ts"
import { ChappeError, type ErrorCode } from "../../protocol/errors.ts"
import { limits } from "../../protocol/limits.ts"
import type { LinkMessage, LogStatement } from "../../protocol/link-messages.ts"
import { memberStatuses } from "../../protocol/roster.ts"
import type { StationKey } from "../../protocol/station.ts"
import { inclusionPaths, leafHash, treeRoot } from "../../protocol/tree.ts"

export type Submit = LinkMessage<"submit">
export type EnvelopeParts = Pick<Submit, "header" | "auth" | "body">

/** An envelope that has its layout; nothing in it is believed yet. */
export type ReadEnvelope = {
  readonly messageId: Uint8Array
  readonly header: Header
  readonly auth: Auth
}

export type JudgingFacts = {
  readonly directory: Directory
  readonly batches: BatchVerifier
  /** Where keys are judged. */
  readonly place: Exclude<Place, "now">
  /** Network time. */
  readonly now: number
  /** Time of the accepting relay's entry: keys must be valid then. */
  readonly acceptedAt: number
}

export type SubmitFacts = JudgingFacts & {
  /** The member that the link's key belongs to. */
  readonly peer: string
  readonly trafficOrigin: string
}

export type AdmittedEnvelope = ReadEnvelope & {
  readonly leaves: readonly Leaf[]
  /** From each leaf to slicesRoot. */
  readonly paths: readonly (readonly Uint8Array[])[]
}

/** Steps 1 and 2: sizes and layout. Refused: `size`, `not-canonical`. */
export function readEnvelope(parts: EnvelopeParts): ReadEnvelope {
  const header = decodeHeader(parts.header)
  const auth = decodeAuth(parts.auth)
  if (parts.body.length < limits.bodyBytesMin || parts.body.length > limits.bodyBytesMax)
    throw new ChappeError("size", `a body of ${parts.body.length} bytes`)
  return { messageId: messageIdOf(sha256, parts.header), header, auth }
}

/** Steps 4 to 7, and the body. Refused: `suite`, `sender-key`, `frozen`, `signature`, `too-early`, `expired`, `body`. */
export function judgeEnvelope(
  read: ReadEnvelope,
  body: Uint8Array,
  incarnations: readonly number[],
  facts: JudgingFacts,
): void {
  const { directory, place, now } = facts
  const { core } = read.header
  judgeSuite(core.suite, facts)
  const key = senderKey(read, facts)
  if (!incarnations.every((incarnation) => incarnation === key.incarnation))
    throw new ChappeError("sender-key", "a slice names another incarnation than its key's")
  facts.batches.check({
    signer: { name: core.senderNode, keyId: core.senderKeyId },
    publicKey: key.key,
    auth: read.auth,
    id: read.messageId,
    purpose: "message",
  })
  judgeTimes(core, directory.roster(place).policy.maxLifetime, now)
  if (body.length !== core.bodyLength || !equalBytes(sha256(body), core.bodyHash))
    throw new ChappeError("body")
}

function judgeSuite(suite: number, { directory, place, now }: JudgingFacts): void {
  const { minSuite, suites: dated } = directory.roster(place).policy
  const ended = dated.some((one) => one.suite === suite && one.notAfter < now)
  if (suite !== suites.one || suite < minSuite || ended)
    throw new ChappeError("suite", `suite ${suite}`)
}

/** The sender's key, if it counts at the facts' place. Refused: `sender-key`, `frozen`. */
export function senderKey({ header: { core } }: ReadEnvelope, facts: JudgingFacts): StationKey {
  if (facts.directory.station(core.senderNode)?.frozen === true)
    throw new ChappeError("frozen", `${core.senderNode}'s root chain has forked`)
  return facts.directory.requireStationKey(
    core.senderNode,
    core.senderKeyId,
    facts.place,
    facts.acceptedAt,
  )
}

function judgeTimes(core: Header["core"], lifetimeMax: number, now: number): void {
  if (core.created > now + limits.futureSecondsMax)
    throw new ChappeError("too-early", `created ${core.created - now} s ahead`)
  const lifetime = core.expires - core.created
  if (
    core.expires < now ||
    lifetime <= 0 ||
    lifetime > Math.min(lifetimeMax, limits.lifetimeSecondsMax)
  )
    throw new ChappeError("expired", `expires at ${core.expires}`)
}

/** Everything about the envelope that can be judged without what is stored. The first failing check gives the code. */
export function admitEnvelope(
  submit: Submit,
  read: ReadEnvelope,
  facts: SubmitFacts,
): AdmittedEnvelope {
  const { core } = read.header
  const leaves = submit.leaves.map(decodeLeaf)
  if (core.senderNode !== facts.peer)
    throw new ChappeError("sender-key", `${facts.peer} submits for ${core.senderNode}`)
  judgeMembership(facts)
  const incarnations = leaves.map(({ incarnation }) => incarnation)
  judgeEnvelope(read, submit.body, incarnations, facts)
  const paths = judgeLeaves(read, submit.leaves, leaves)
  for (const { node } of core.recipients)
    if (facts.directory.member(node) === undefined)
      throw new ChappeError("unknown-recipient", `${node} is not a member`)
  return { ...read, leaves, paths }
}

/** A member that may submit under a roster that still holds. Refused: `suspended`, `roster`. */
function judgeMembership({ directory, peer, now }: SubmitFacts): void {
  if (directory.member(peer)?.status !== memberStatuses.active)
    throw new ChappeError("suspended", `${peer} may not send`)
  if (directory.roster().expires + limits.rosterGraceSeconds < now)
    throw new ChappeError("roster", "the roster has expired")
}

/** Leaves match recipients one to one and give slicesRoot. Refused: `slice`. */
function judgeLeaves(
  { header }: ReadEnvelope,
  encoded: readonly Uint8Array[],
  leaves: readonly Leaf[],
): readonly (readonly Uint8Array[])[] {
  const { recipients } = header.core
  const match =
    leaves.length === recipients.length &&
    leaves.every((leaf, i) => leaf.node === recipients[i]?.node && leaf.channelSeq >= 1)
  if (!match) throw new ChappeError("slice", "the slices are not those of the recipients")
  const hashes = encoded.map((leaf) => leafHash(sha256, leaf))
  if (!equalBytes(treeRoot(sha256, hashes), header.slicesRoot))
    throw new ChappeError("slice", "the slices do not give slicesRoot")
  return inclusionPaths(sha256, hashes)
}

/**
 * A log statement for this relay's traffic log, by a key of `peer`. `subject`: what its commitment must
 * open to; nil where the salt is not ours to know. Refused: `stale`, `entry-key`, `commitment`, `entry-signature`.
 */
export function judgeLogStatement(
  statement: LogStatement,
  facts: SubmitFacts & {
    readonly kind: "envelope" | "receipts" | "journal"
    readonly subject: Uint8Array | null
  },
): Auth {
  if (statement.origin !== facts.trafficOrigin)
    throw new ChappeError("stale", `the log is ${facts.trafficOrigin}, not ${statement.origin}`)
  const found = facts.directory.stationKeyAt(
    facts.peer,
    statement.keyId,
    facts.place,
    facts.acceptedAt,
  )
  if (found.kind === "invalid") throw new ChappeError("entry-key", found.why)
  const { kind, subject, peer } = facts
  return checkLogStatement(facts.batches, statement, { kind, name: peer, key: found.key, subject })
}

/**
 * Codes that say something of the bytes themselves, which stays true whoever is asked again. Everything else
 * is our view, our room, our clock or our own trouble, and passes.
 */
const final: ReadonlySet<ErrorCode> = new Set([
  "not-canonical",
  "size",
  "suite",
  "signature",
  "expired",
  "not-for-me",
  "slice",
  "tombstone",
  "body",
  "commitment",
  "entry-signature",
  "seq-used",
  "note",
  "proof",
  "statement",
  "roster-fork",
  "chain-fork",
  "possession",
  "key-form",
  "key-ended",
  "forbidden",
  "not-found",
  "unknown-request",
])

export function isFinal(code: ErrorCode): boolean {
  return final.has(code)
}
