// The node without sockets, disks and clocks: everything that decides, connected. What it needs from the
// world comes in as ports; compose.ts brings the real ones, tests bring others.

import { nodeLimits } from "../limits.ts"
import { BatchVerifier } from "../../protocol/batch.ts"
import { crypto } from "../../keys/crypto.ts"
import {
  type DeliveryPolicy,
  defaultDeliveryPolicy,
  parseDeliveryPolicy,
} from "../../protocol/delivery-policy.ts"
import { Directory } from "../../protocol/directory.ts"
import type { DirectoryBundle } from "../../protocol/directory-bundle.ts"
import { ChappeError } from "../../protocol/errors.ts"
import type { TrustAnchor } from "../../protocol/roster.ts"
import { Alarms } from "./alarms.ts"
import { Attachments } from "./attachments.ts"
import { BodyTransfer } from "./body-transfer.ts"
import { Controls } from "./controls.ts"
import { Correspondence } from "./correspondence.ts"
import { CustodyWait } from "./custody-wait.ts"
import { DirectoryFollower } from "./directory-follower.ts"
import { Dispatcher } from "./dispatcher.ts"
import { Enrolment } from "./enrolment.ts"
import { Evidence } from "./evidence.ts"
import { type Identity, type KeyVault, signingKeyAt } from "./identity.ts"
import { FirstContact } from "./first-contact.ts"
import { Greetings } from "./greetings.ts"
import { Inbox } from "./inbox.ts"
import { InboxWriter } from "./inbox-writer.ts"
import { Journal } from "./journal.ts"
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
import { Sessions } from "./sessions.ts"
import { Succession } from "./succession.ts"
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
  readonly evidence: Evidence
  readonly journal: Journal
  readonly attachments: Attachments
  readonly sessions: Sessions
  readonly correspondence: Correspondence
  readonly custody: CustodyWait
  readonly enrolment: Enrolment
  readonly requests: RelayRequests
  readonly greetings: Greetings
  readonly contact: FirstContact
  readonly log: Log
  readonly sources: Sources
}

/** Builds every part; nothing is read or started yet. */
export function connectNode(ports: NodePorts): NodeCore {
  const { vault, files, random, newHash, log } = ports
  const { identity } = vault
  const me = identity.name
  const clock = new NetworkClock(ports.clock)
  const now = (): number => clock.now()
  const { store, dataKey, onFailure } = ports
  const records = new Records({ store, dataKey, random, onFailure })
  const directory = new Directory(crypto, ports.anchor)
  const batches = new BatchVerifier(crypto, rememberedBatches)
  const alarms = new Alarms(records, clock, log)
  const follower = new DirectoryFollower({ directory, records, alarms, log, now })
  const links = new LinkTable(me, directory)
  const chain = new OwnChain({ identity, directory, follower, records, alarms, now })
  const prekeys = new OwnPrekeys({ me, directory, chain, records, clock, random })
  const succession = new Succession({ vault, directory, chain, alarms, clock, random })
  const kemKeys = new KemKeys(me, directory, links, records)
  const statements = new LogStatements({ identity, directory, records, random, now })
  const proofs = new Proofs(records, alarms)
  const bodies = new BodyTransfer(files, links)
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
  const controls = new Controls({
    identity,
    directory,
    links,
    outbox,
    dispatcher,
    records,
    clock,
    log,
  })
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
    askFor: (missing) => quietly(log, "gap", controls.askFor(missing)),
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
  })
  const reseal = async (messageId: Uint8Array, link: RelayLink): Promise<void> => {
    await follower.refresh(link)
    const item = await outbox.ofEnvelope(messageId)
    if (item !== undefined) await outbox.seal(item.number)
  }
  const greetings = new Greetings({ identity, directory, follower, statements, alarms, clock })
  const contact = new FirstContact({ me, directory, follower, chain, links, log })
  const witness = new Witness({ identity, directory, follower, records, alarms, clock })
  const journal = new Journal({ records, statements, links, proofs, clock, log })
  const attachments = new Attachments({ identity, files, records, clock, random, newHash })
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
  })
  const custody = new CustodyWait(outbox, links, clock)
  const enrolment = new Enrolment({ me, directory, chain, links, clock })
  const requests = new RelayRequests({
    inbox,
    evidence,
    controls,
    witness,
    follower,
    proofs,
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
    evidence,
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
    sources: { me, outbox, statements, evidence, proofs, follower },
  }
}

/** Reads what is stored, in the order in which one part needs another. `founding`: see OwnChain.load. */
export async function loadNode(
  node: NodeCore,
  bundle: DirectoryBundle,
  founding: readonly Uint8Array[] = [],
): Promise<void> {
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
  await node.journal.load()
}

/** What is due when a link comes up; each part goes on where it stopped. */
export async function linkIsUp(node: NodeCore, link: RelayLink): Promise<void> {
  const { follower, chain, prekeys, kemKeys, outbox, log, clock } = node
  const part = async (event: string, task: () => Promise<void>): Promise<void> => {
    try {
      await task()
    } catch (cause) {
      if (!(cause instanceof ChappeError)) throw cause
      log.info(`${event}-failed`, { relay: link.relay, code: cause.code })
    }
  }
  await part("directory", () => follower.refresh(link))
  await part("head", () => node.greetings.confirmHead(link.relay))
  await part("statements", () => chain.publish(link))
  await part("prekeys", () => prekeys.provide(link))
  await part("dispatch", () => node.dispatcher.linkUp(link))
  await part("receipts", () => node.receipts.linkUp(link))
  await part("kem-keys", () => kemKeys.prefetch(link, clock.now()))
  await part("seal", () => outbox.sealWaiting())
  await part("journal", () => node.journal.linkUp(link))
}

/** What time brings: keys, expiry, erasure. Runs once a minute, and at the start. */
export async function keepUp(node: NodeCore): Promise<void> {
  const { clock, alarms, directory, identity, prekeys, outbox, attachments, inbox, links } = node
  if (clock.isOff) {
    await alarms.raise("clock-off", identity.name)
    return
  }
  await alarms.clear("clock-off", identity.name)
  if (!directory.hasRoster || directory.station(identity.name) === undefined) return
  await node.succession.keepUp()
  if (signingKeyAt(identity, directory, clock.now()) !== undefined) await prekeys.keepUp()
  for (const link of links.inOrder()) {
    await node.chain.publish(link)
    await prekeys.provide(link)
    await node.kemKeys.prefetch(link, clock.now())
  }
  await outbox.sealWaiting()
  if (clock.isConfirmed) {
    await outbox.expire(clock.now())
    await outbox.forgetBodies(clock.now())
    await attachments.forgetOld(async (hash) => (await outbox.isUsed(hash)) || inbox.isUsed(hash))
  }
}

/** What is looked at every few seconds. */
export async function tick(node: NodeCore): Promise<void> {
  node.dispatcher.pump()
  node.dispatcher.pumpOverdue()
  node.receipts.pump()
  await node.inbox.tick()
  if (node.links.first() !== undefined) await node.outbox.sealWaiting(nodeLimits.sealsPerTick)
}

function deliveryPolicyOf(directory: Directory): DeliveryPolicy {
  if (!directory.hasRoster) return defaultDeliveryPolicy
  const file = directory.policyFile("deliveryPolicy")
  if (file === undefined) return defaultDeliveryPolicy
  try {
    return parseDeliveryPolicy(file)
  } catch (cause) {
    // A policy that cannot be read must not stop mail.
    if (cause instanceof ChappeError) return defaultDeliveryPolicy
    throw cause
  }
}

function quietly(log: Log, event: string, task: Promise<unknown>): void {
  task.catch((cause: unknown) => {
    if (!(cause instanceof ChappeError)) throw cause
    log.info(`${event}-failed`, { code: cause.code })
  })
}
