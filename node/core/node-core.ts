// The node without sockets, disks and clocks: everything that decides, connected. What it needs from the
// world comes in as ports; compose.ts brings the real ones, tests bring others.

import { nodeLimits } from "../limits.ts"
import { BatchVerifier } from "../../protocol/batch.ts"
import { crypto } from "../../keys/crypto.ts"
import { type DeliveryPolicy, deliveryPolicyOf } from "../../protocol/delivery-policy.ts"
import { equalBytes } from "../../protocol/bytes.ts"
import { Directory } from "../../protocol/directory.ts"
import type { DirectoryBundle } from "../../protocol/directory-bundle.ts"
import { ChappeError } from "../../protocol/errors.ts"
import type { TrustAnchor } from "../../protocol/roster.ts"
import { WitnessPolicy } from "../../protocol/witness-policy.ts"
import { Alarms } from "./alarms.ts"
import { Attachments } from "./attachments.ts"
import { BodyRequests } from "./body-requests.ts"
import { BodyTransfer } from "./body-transfer.ts"
import { Controls } from "./controls.ts"
import { Correspondence } from "./correspondence.ts"
import { Courier } from "./courier.ts"
import { Cosignatures } from "./cosignatures.ts"
import { CustodyWait } from "./custody-wait.ts"
import { Deadlines } from "./deadlines.ts"
import { DirectoryFollower } from "./directory-follower.ts"
import { DiskRoom } from "./disk-room.ts"
import { Dispatcher } from "./dispatcher.ts"
import { Enrolment } from "./enrolment.ts"
import { Escalations } from "./escalations.ts"
import { Evidence } from "./evidence.ts"
import { CatchUp } from "./catch-up.ts"
import { type Identity, type KeyVault, signingKeyAt, withoutCloned } from "./identity.ts"
import { FirstContact } from "./first-contact.ts"
import { Gaps } from "./gaps.ts"
import { Greetings } from "./greetings.ts"
import { Inbox } from "./inbox.ts"
import { InboxWriter } from "./inbox-writer.ts"
import { Journal } from "./journal.ts"
import { JustGiven } from "./just-given.ts"
import { KemKeys } from "./kem-keys.ts"
import { LinkTable } from "./link-table.ts"
import { LogStatements } from "./log-statements.ts"
import { NetworkClock } from "./network-clock.ts"
import { Outbox } from "./outbox.ts"
import { OwnChain } from "./own-chain.ts"
import { OwnPrekeys } from "./own-prekeys.ts"
import type {
  BodyFiles,
  Clock,
  Log,
  NewHash,
  OfficerKeyFiles,
  Random,
  RecordStore,
  RelayLink,
} from "./ports.ts"
import { Proofs } from "./proofs.ts"
import { ReceiptBook } from "./receipt-book.ts"
import { Records } from "./records.ts"
import { RelayRequests } from "./relay-requests.ts"
import { Retention } from "./retention.ts"
import { Serial } from "./serial.ts"
import { Sessions } from "./sessions.ts"
import { Succession } from "./succession.ts"
import { TombstoneMaker } from "./tombstone-maker.ts"
import type { Sources } from "./views.ts"
import { Witness } from "./witness.ts"

export type NodePorts = {
  readonly vault: KeyVault
  readonly dataKey: Uint8Array
  readonly anchor: TrustAnchor
  readonly store: RecordStore
  readonly files: BodyFiles
  readonly officers: OfficerKeyFiles
  readonly clock: Clock
  readonly random: Random
  readonly newHash: NewHash
  readonly log: Log
  /** The disk failed: the process must end. */
  readonly onFailure: (error: ChappeError) => void
}

const rememberedBatches = 4_096

/** The parts that adapters and compose.ts reach for. */
export type NodeCore = {
  readonly me: string
  readonly identity: Identity
  readonly clock: NetworkClock
  readonly directory: Directory
  readonly alarms: Alarms
  readonly follower: DirectoryFollower
  readonly links: LinkTable
  readonly chain: OwnChain
  readonly prekeys: OwnPrekeys
  readonly succession: Succession
  readonly kemKeys: KemKeys
  readonly statements: LogStatements
  readonly proofs: Proofs
  readonly outbox: Outbox
  readonly dispatcher: Dispatcher
  readonly receipts: ReceiptBook
  readonly inbox: Inbox
  readonly catchUp: CatchUp
  readonly courier: Courier
  readonly evidence: Evidence
  readonly controls: Controls
  readonly deadlines: Deadlines
  readonly escalations: Escalations
  readonly journal: Journal
  readonly attachments: Attachments
  readonly sessions: Sessions
  readonly correspondence: Correspondence
  readonly custody: CustodyWait
  readonly enrolment: Enrolment
  readonly requests: RelayRequests
  readonly greetings: Greetings
  readonly contact: FirstContact
  readonly retention: Retention
  readonly room: DiskRoom
  readonly log: Log
  readonly sources: Sources
  /** What time brings, one round after another. */
  readonly upkeep: Serial
}

/** Builds every part; nothing is read or started yet. */
export function connectNode(ports: NodePorts): NodeCore {
  const { vault, files, random, newHash, log } = ports
  const me = vault.identity.name
  const directory = new Directory(crypto, ports.anchor)
  const witnessPolicy = new WitnessPolicy(directory)
  const clock = new NetworkClock(ports.clock, () => witnessPolicy.names)
  const now = (): number => clock.now()
  const { store, dataKey, onFailure } = ports
  const records = new Records({ store, dataKey, random, onFailure })
  const batches = new BatchVerifier(crypto, rememberedBatches)
  const alarms = new Alarms(records, clock, log)
  const identity = withoutCloned(vault.identity, (keyId) => alarms.isCloned(keyId))
  const follower = new DirectoryFollower({ directory, records, alarms, log, now })
  const links = new LinkTable(me, directory)
  const chain = new OwnChain({ identity, directory, follower, records, alarms, now })
  const prekeys = new OwnPrekeys({ me, directory, chain, records, clock, random })
  const succession = new Succession({ vault, directory, chain, alarms, clock, random })
  const kemKeys = new KemKeys(me, directory, links, records)
  const statements = new LogStatements({ identity, directory, records, random, now })
  const proofs = new Proofs(records, alarms)
  const room = new DiskRoom(files, log)
  const bodies = new BodyTransfer(files, links, room)
  const policy = (): DeliveryPolicy => deliveryPolicyOf(directory)
  const outbox = new Outbox({
    identity,
    directory,
    follower,
    kemKeys,
    records,
    clock,
    random,
    log,
  })
  const dispatcher = new Dispatcher({
    directory,
    links,
    outbox,
    records,
    statements,
    bodies,
    proofs,
    alarms,
    clock,
    log,
    policy,
    heldNumber: (relay, keyId) => greetings.heldNumber(relay, keyId),
  })
  const receipts = new ReceiptBook({
    identity,
    directory,
    kemKeys,
    links,
    statements,
    records,
    clock,
    random,
    log,
  })
  const writer = new InboxWriter(records, receipts)
  const tombstones = new TombstoneMaker({ identity, directory, clock, random })
  const given = new JustGiven(clock)
  const controls = new Controls({
    identity,
    directory,
    links,
    outbox,
    dispatcher,
    tombstones,
    given,
    records,
    clock,
    log,
  })
  const gaps = new Gaps(records, clock, (missing, attempt) =>
    quietly(log, "gap", controls.askFor(missing, attempt)),
  )
  const wanted = new BodyRequests(clock, (body, attempt) =>
    quietly(log, "body", controls.askForBody(body, attempt)),
  )
  const inbox = new Inbox({
    me,
    directory,
    follower,
    links,
    prekeys,
    bodies,
    receipts,
    writer,
    batches,
    records,
    alarms,
    clock,
    log,
    policy,
    gaps,
    wanted,
    room,
  })
  const catchUp = new CatchUp({
    me,
    directory,
    inbox,
    links,
    records,
    clock,
    log,
    askFor: (missing, attempt) => quietly(log, "catch-up", controls.askFor(missing, attempt)),
  })
  const evidence = new Evidence({
    me,
    directory,
    follower,
    links,
    outbox,
    prekeys,
    proofs,
    batches,
    records,
    clock,
    log,
    reseal: (messageId, link) => quietly(log, "reseal", reseal(messageId, link)),
    handOver: (messageId, relay) => {
      const link = links.get(relay) ?? links.first()
      if (link === undefined || given.has(link.relay, messageId)) return
      quietly(log, "hand-over", dispatcher.again(link, messageId))
    },
  })
  const reseal = async (messageId: Uint8Array, link: RelayLink): Promise<void> => {
    await follower.refresh(link)
    const item = await outbox.ofEnvelope(messageId)
    if (item !== undefined) await outbox.seal(item.number)
  }
  const escalations: Escalations = new Escalations({
    me,
    directory,
    records,
    clock,
    log,
    answer: async (to, note) => {
      if (note.name === "heard" && to === me) return await deadlines.heard(me, note.report)
      quietly(log, "note", controls.note(to, note, answers++))
    },
  })
  let answers = 0
  const deadlines = new Deadlines({
    me,
    directory,
    outbox,
    receipts,
    evidence,
    records,
    clock,
    log,
    policy,
    tell: async (desk, report, attempt) =>
      desk === me ? await escalations.take(me, report) : await controls.note(desk, report, attempt),
  })
  controls.whenNoted(async (from, note) =>
    note.name === "heard"
      ? await deadlines.heard(from, note.report)
      : await escalations.take(from, note),
  )
  const courier = new Courier({
    me,
    follower,
    outbox,
    statements,
    receipts,
    inbox,
    evidence,
    files,
    records,
    clock,
    room,
  })
  const retention = new Retention({ records, clock, log, tables: [inbox, receipts, courier] })
  const greetings = new Greetings({ identity, directory, follower, statements, alarms, clock })
  const contact = new FirstContact({ me, directory, follower, chain, links, log })
  const witness = new Witness({
    identity,
    directory,
    follower,
    records,
    statements,
    alarms,
    clock,
  })
  const journal = new Journal({ records, statements, links, proofs, clock, log })
  const attachments = new Attachments({ identity, files, records, clock, random, newHash, room })
  const sessions = new Sessions({ me, directory, files: ports.officers, clock, random })
  const correspondence = new Correspondence({
    identity,
    directory,
    inbox,
    outbox,
    attachments,
    bodies,
    files,
    batches,
    clock,
    random,
    room,
  })
  const custody = new CustodyWait(outbox, links, clock)
  const enrolment = new Enrolment({ me, directory, chain, links, clock })
  const requests = new RelayRequests({
    inbox,
    evidence,
    controls,
    witness,
    cosignatures: new Cosignatures({ directory, policy: witnessPolicy, clock }),
    follower,
    proofs,
    links,
    alarms,
    log,
  })
  return {
    identity,
    me,
    clock,
    directory,
    alarms,
    follower,
    links,
    chain,
    prekeys,
    succession,
    kemKeys,
    statements,
    proofs,
    outbox,
    dispatcher,
    receipts,
    inbox,
    catchUp,
    courier,
    evidence,
    controls,
    deadlines,
    escalations,
    journal,
    attachments,
    sessions,
    correspondence,
    custody,
    enrolment,
    requests,
    log,
    greetings,
    contact,
    retention,
    room,
    sources: { me, outbox, statements, evidence, proofs, follower },
    upkeep: new Serial(),
  }
}

/** Reads what is stored, in the order in which one part needs another. `founding`: see OwnChain.load. */
export async function loadNode(
  node: NodeCore,
  bundle: DirectoryBundle,
  founding: readonly Uint8Array[] = [],
): Promise<void> {
  await node.room.look()
  await node.alarms.load()
  node.directory.applyInOrder(bundle.statements)
  await node.follower.load()
  await node.chain.load(founding)
  await node.statements.load()
  await node.prekeys.load()
  await node.kemKeys.load()
  await node.proofs.load()
  await node.outbox.load()
  await node.receipts.load()
  await node.inbox.load()
  await node.catchUp.load()
  await node.escalations.load()
  await node.deadlines.load()
  await node.journal.load()
}

/** One part of a round: a refusal, or one damaged record, ends this part alone. A failed disk ends all. */
async function part(
  log: Log,
  event: string,
  task: () => Promise<unknown>,
  relay?: string,
): Promise<void> {
  try {
    await task()
  } catch (cause) {
    if (!(cause instanceof ChappeError)) throw cause
    if (cause.code === "storage" || cause.code === "disk-full") throw cause
    const { code } = cause
    log.info(`${event}-failed`, relay === undefined ? { code } : { relay, code })
  }
}

/** What is due when a link comes up; each part goes on where it stopped. */
export async function linkIsUp(node: NodeCore, link: RelayLink): Promise<void> {
  const { follower, chain, prekeys, kemKeys, outbox, log, clock } = node
  const { relay } = link
  await part(log, "directory", () => follower.refresh(link), relay)
  await part(log, "head", () => node.greetings.confirmHead(relay), relay)
  await part(log, "statements", () => chain.publish(link), relay)
  await part(log, "prekeys", () => prekeys.provide(link), relay)
  node.inbox.linkUp()
  node.deadlines.linkUp()
  await part(log, "dispatch", () => node.dispatcher.linkUp(link), relay)
  await part(log, "receipts", () => node.receipts.linkUp(link), relay)
  await part(log, "kem-keys", () => kemKeys.prefetch(link, clock.now()), relay)
  await part(log, "seal", () => outbox.sealWaiting(), relay)
  await part(log, "journal", () => node.journal.linkUp(link), relay)
}

/**
 * What time brings: keys, expiry, erasure. Runs once a minute, and at the start, after what is to be done
 * `before` it; one round at a time, whoever asks.
 */
export async function keepUp(
  node: NodeCore,
  before: () => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  await node.upkeep.run(async () => {
    await before()
    await keepUpOnce(node)
  })
}

async function keepUpOnce(node: NodeCore): Promise<void> {
  const { clock, directory, identity, prekeys, outbox, attachments, inbox, links, log } = node
  await watchClock(node)
  if (clock.isOff) return
  if (!directory.hasRoster || directory.station(identity.name) === undefined) return
  const now = clock.now()
  // A copy of this node learns from its first link that it is one, and must not have forked the chain before.
  const mayLink = directory.linkKeys(node.me, now).some((key) => isOneOf(key, identity.linkKeys))
  const mayExtend = links.hasBeenUp || !mayLink
  await part(log, "succession", () => node.succession.keepUp(mayExtend))
  if (mayExtend && signingKeyAt(identity, directory, now) !== undefined)
    await part(log, "own-prekeys", () => prekeys.keepUp())
  for (const link of links.inOrder()) await provideAll(node, link)
  await part(log, "seal", () => outbox.sealWaiting())
  if (!clock.isConfirmed) return
  await part(log, "expire", () => outbox.expire(clock.now()))
  await part(log, "forget-bodies", () =>
    outbox.forgetBodies(clock.now(), (messageId) => node.statements.isAwaited(messageId)),
  )
  await part(log, "escalations", () => node.escalations.forgetOld(clock.now()))
  await part(log, "retention", () => node.retention.step())
  await part(log, "attachments", () =>
    attachments.forgetOld(async (hash) => (await outbox.isUsed(hash)) || inbox.isUsed(hash)),
  )
}

/** What a relay is to have of this node, and this node of it. */
async function provideAll({ log, ...node }: NodeCore, link: RelayLink): Promise<void> {
  const { relay } = link
  await part(log, "statements", () => node.chain.publish(link), relay)
  await part(log, "prekeys", () => node.prekeys.provide(link), relay)
  await part(log, "kem-keys", () => node.kemKeys.prefetch(link, node.clock.now()), relay)
  await part(log, "receipts", () => node.receipts.useNumbers(link), relay)
}

function isOneOf(key: Uint8Array, keys: readonly Uint8Array[]): boolean {
  return keys.some((one) => equalBytes(one, key))
}

/** What is looked at every few seconds. */
export async function tick(node: NodeCore): Promise<void> {
  await watchClock(node)
  await node.room.look()
  node.dispatcher.pump()
  node.dispatcher.pumpOverdue()
  quietly(node.log, "owed", node.dispatcher.payOwed())
  node.receipts.pump()
  const { log, outbox } = node
  await part(log, "inbox", () => node.inbox.tick())
  await part(log, "catch-up", () => node.catchUp.tick())
  await part(log, "deadlines", () => node.deadlines.tick())
  if (node.links.first() !== undefined)
    await part(log, "seal", () => outbox.sealWaiting(nodeLimits.sealsPerTick))
}

async function watchClock({ clock, alarms, identity, links }: NodeCore): Promise<void> {
  const wasOff = alarms.list().some(({ kind }) => kind === "clock-off")
  if (clock.isOff === wasOff) return
  if (!clock.isOff) return await alarms.clear("clock-off", identity.name)
  await alarms.raise("clock-off", identity.name)
  // New HELLOs tell whether this clock jumped, or all did while the machine slept.
  if (clock.hasJumped) for (const link of links.inOrder()) link.end("clock")
}

function quietly(log: Log, event: string, task: Promise<unknown>): void {
  task.catch((cause: unknown) => {
    if (!(cause instanceof ChappeError)) throw cause
    log.info(`${event}-failed`, { code: cause.code })
  })
}
