// A sealed message on its way: written by a member of the test world, accepted by its relay, as a recipient
// gets it. Each part may be bent by a test before the next one is made from it.

import { logStatementId } from "../../keys/accepted-entry.ts"
import { noBlind, signBatch } from "../../keys/batch-signer.ts"
import { encryptChunks } from "../../keys/chunked-encryption.ts"
import { sha256 } from "../../keys/crypto.ts"
import { sealBase } from "../../keys/hpke.ts"
import type { Delivery } from "../../keys/open-envelope.ts"
import { dayKeyPair, dayOf } from "../../keys/prekey-period.ts"
import {
  type SealedEnvelope,
  batchBlind,
  draftContent,
  draftIdentity,
  logSalt,
  sealEnvelope,
} from "../../keys/seal-envelope.ts"
import type { KemKeyPair } from "../../keys/sodium.ts"
import { encodeAuth } from "../../protocol/batch.ts"
import { fromUtf8 } from "../../protocol/bytes.ts"
import type { ContentType } from "../../protocol/capability.ts"
import type { Value } from "../../protocol/codec.ts"
import { type Document, documentValue } from "../../protocol/document.ts"
import { commitmentOf, encodeEntry } from "../../protocol/entry.ts"
import {
  type Core,
  type Lane,
  contentPae,
  coreBytes,
  decodeHeader,
  decodeLeaf,
  encodeBodyContext,
  encodeHeader,
  encodeLeaf,
  encodeWrapInfo,
  messageIdOf,
} from "../../protocol/envelope.ts"
import type { Acceptance } from "../../protocol/link-messages.ts"
import { formatPromiseText } from "../../protocol/promise.ts"
import { formatNote, signNote } from "../../protocol/signed-note.ts"
import { inclusionPath, inclusionPaths, leafHash, treeRoot } from "../../protocol/tree.ts"
import { countingRandom } from "./counting-random.ts"
import type { SeededKey, World, WorldOfficer } from "./world.ts"

export const emptyDocument: Document = {
  to: ["JP"],
  info: [],
  subject: "Vehicle",
  text: "Please confirm the owner.",
  label: { classification: "RESTRICTED", handling: "H1" },
  form: undefined,
  ourRef: undefined,
  yourRef: undefined,
  inReplyTo: undefined,
  attachments: [],
  quoted: undefined,
}

export type Letter = {
  readonly from: string
  /** Ascending. */
  readonly to: readonly string[]
  /** The intended recipients, where they are others. */
  readonly intended?: readonly string[]
  readonly type: string
  readonly officer: WorldOfficer
  readonly officerName?: string
  readonly document: Value
  readonly precedence: Lane
  readonly room: Uint8Array | null
  readonly contentCreated: number
  readonly created: number
  readonly expires: number
}

export function officerOf(world: World, member: string, role = "duty"): WorldOfficer {
  const found = world.member(member).officers.find(({ id }) => id === `${member}/${role}`)
  if (found === undefined) throw new Error(`no ${role} at ${member}`)
  return found
}

export function letter(world: World, changes: Partial<Letter> = {}): Letter {
  const from = changes.from ?? "FR"
  return {
    from,
    to: ["JP"],
    type: "case/info",
    officer: officerOf(world, from),
    document: documentValue("case/info", emptyDocument),
    precedence: 1,
    room: null,
    contentCreated: world.at,
    created: world.at + 60,
    expires: world.at + 86_400,
    ...changes,
  }
}

export function documentOf(type: ContentType, changes: Partial<Document> = {}): Value {
  return documentValue(type, { ...emptyDocument, ...changes })
}

/** The pair of the day's prekey of a member. */
export function prekeyOf(world: World, member: string, at: number = world.at): KemKeyPair {
  for (const period of world.member(member).periods) {
    const pair = dayKeyPair(period, dayOf(at))
    if (pair !== undefined) return pair
  }
  throw new Error(`no prekey of ${member}`)
}

export type Written = {
  readonly id: Uint8Array
  readonly content: Uint8Array
  readonly officerSig: Uint8Array
}

/** The officer's part. */
export function write(world: World, item: Letter): Written {
  const { hedgeSecret } = world.member(item.from)
  const draft = {
    type: item.type,
    officer: item.officerName ?? item.officer.id,
    created: item.contentCreated,
    nodes: item.intended ?? item.to,
    document: item.document,
  }
  const id = draftIdentity(hedgeSecret, countingRandom("id"), draft)
  const content = draftContent(item.from, id, draft)
  return { id, content, officerSig: item.officer.key.sign(contentPae(content)) }
}

/** The node's part, without its signature. `keys`: the recipients' KEM keys, derived when absent. */
export function seal(
  world: World,
  item: Letter,
  written: Written,
  keys?: ReadonlyMap<string, KemKeyPair>,
): SealedEnvelope {
  const sender = world.member(item.from)
  return sealEnvelope({
    sender: { node: item.from, keyId: sender.node.keyId, incarnation: sender.incarnation },
    hedgeSecret: sender.hedgeSecret,
    random: countingRandom("seal"),
    ...written,
    officerKeyId: item.officer.key.keyId,
    created: item.created,
    expires: item.expires,
    precedence: item.precedence,
    recipients: item.to.map((node) => ({
      node,
      kemKey: (keys?.get(node) ?? prekeyOf(world, node, item.created)).publicKey,
      channelSeq: 1,
      channelPrev: new Uint8Array(32),
    })),
    checkpoint: { size: 0, root: sha256(new Uint8Array(0)) },
    room: item.room,
  })
}

/** The node's batch of one over the message. */
export function authOf(
  messageId: Uint8Array,
  sender: { readonly name: string; readonly node: SeededKey; readonly hedgeSecret: Uint8Array },
): Uint8Array {
  const blind = batchBlind(sender.hedgeSecret, countingRandom("blind"), messageId)
  const [auth] = signBatch(sender.name, sender.node, [{ id: messageId, blind }]).auths
  if (auth === undefined) throw new Error("a batch of one")
  return encodeAuth(auth)
}

export type AcceptFacts = {
  readonly time: number
  /** Of the relay's directory log at that moment. */
  readonly directorySize: number
  readonly index: number
  readonly kind: "envelope" | "receipts"
  readonly relay: string
}

export function acceptFacts(world: World, changes: Partial<AcceptFacts> = {}): AcceptFacts {
  return {
    time: world.at + 61,
    directorySize: world.statements.length,
    index: 6,
    kind: "envelope",
    relay: "hub1",
    ...changes,
  }
}

/** The relay's word for the message: its entry, the salt, and a promise over a commit of three entries. */
export function accept(
  world: World,
  subject: Uint8Array,
  from: string,
  facts: AcceptFacts = acceptFacts(world),
): Acceptance {
  const { node, hedgeSecret, name } = world.member(from)
  const { origin, promise } = world.relay(facts.relay).trafficLog
  const salt = logSalt(hedgeSecret, countingRandom("salt"), subject, origin)
  const commit = commitmentOf(sha256, salt, subject)
  const statement = { kind: facts.kind, origin, commit, keyId: node.keyId, seq: 1 }
  const [auth] = signBatch(name, node, [{ id: logStatementId(statement), blind: noBlind }]).auths
  if (auth === undefined) throw new Error("a batch of one")
  const { time, directorySize, index } = facts
  const entry = encodeEntry({ ...statement, time, directorySize, auth })
  const leaves = [new Uint8Array(32), leafHash(sha256, entry), new Uint8Array(32).fill(1)]
  const path = inclusionPath(sha256, leaves, 1)
  const root = treeRoot(sha256, leaves)
  const text = formatPromiseText({ origin, first: index - 1, count: 3, root, time })
  const signatures = [signNote(promise.key, text, promise.sign)]
  const note = fromUtf8(formatNote({ text, signatures }))
  return { entry, salt, promise: note, index, path }
}

export type Mail = {
  readonly letter: Letter
  readonly written: Written
  readonly sealed: SealedEnvelope
  readonly delivery: Delivery
}

/** The share of one recipient, the first by default. */
export function deliveryOf(
  sealed: SealedEnvelope,
  auth: Uint8Array,
  acceptance: Acceptance,
  index = 0,
): Delivery {
  const hashes = sealed.leaves.map((leaf) => leafHash(sha256, leaf))
  const leaf = sealed.leaves[index]
  const path = inclusionPaths(sha256, hashes)[index]
  if (leaf === undefined || path === undefined) throw new Error(`no leaf ${index}`)
  return { header: sealed.header, auth, leaf, path, acceptance, body: sealed.body }
}

/** A letter from the officer's hand to the recipient's door. */
export function post(
  world: World,
  changes: Partial<Letter> = {},
  facts: Partial<AcceptFacts> = {},
): Mail {
  const item = letter(world, changes)
  const written = write(world, item)
  const sealed = seal(world, item, written)
  const auth = authOf(sealed.messageId, world.member(item.from))
  const acceptance = accept(world, sealed.messageId, item.from, acceptFacts(world, facts))
  return { letter: item, written, sealed, delivery: deliveryOf(sealed, auth, acceptance) }
}

/** The body under this content key and core, wrapped, signed and accepted anew, as a lying sender could. */
export function rewrapped(
  world: World,
  mail: Mail,
  key: Uint8Array,
  body: Uint8Array,
  item: Core,
): Delivery {
  const core = { ...item, bodyLength: body.length, bodyHash: sha256(body) }
  const coreHash = sha256(coreBytes(encodeHeader({ core, slicesRoot: new Uint8Array(32) })))
  const leaves = core.recipients.map(({ node }, i) => {
    const old = decodeLeaf(mail.sealed.leaves[i] ?? new Uint8Array(0))
    const { publicKey } = prekeyOf(world, node)
    const info = encodeWrapInfo(core.suite, coreHash, node)
    const seed = new Uint8Array(64).fill(i)
    return encodeLeaf({ ...old, wrap: sealBase({ publicKey, info, plaintext: key, seed }) })
  })
  const hashes = leaves.map((leaf) => leafHash(sha256, leaf))
  const header = encodeHeader({ core, slicesRoot: treeRoot(sha256, hashes) })
  const messageId = messageIdOf(sha256, header)
  const sealed = { ...mail.sealed, messageId, header, leaves, body }
  const auth = authOf(messageId, world.member(core.senderNode))
  return deliveryOf(sealed, auth, accept(world, messageId, core.senderNode))
}

/** Other padded bytes in the same envelope. */
export function withPadded(
  world: World,
  mail: Mail,
  padded: Uint8Array,
  changes: Partial<Core> = {},
): Delivery {
  const { core } = decodeHeader(mail.sealed.header)
  const key = new Uint8Array(32).fill(9)
  const context = encodeBodyContext(1, core.id, core.senderNode)
  const body = encryptChunks({ key, context, salt: new Uint8Array(24), plaintext: padded })
  return rewrapped(world, mail, key, body, { ...core, ...changes })
}
