// The relay without sockets, disks and clocks: everything that decides, connected. What it needs from the
// world comes in as ports; compose.ts brings the real ones, tests bring others. The order is that of
// recovery: what is stored is read and checked, and the logs are brought to where the last commit left them.

import { crypto } from "../../keys/crypto.ts"
import type { KeyEntry } from "../../keys/key-file.ts"
import { BatchVerifier } from "../../protocol/batch.ts"
import { toHex } from "../../protocol/bytes.ts"
import type { DirectoryBundle } from "../../protocol/directory-bundle.ts"
import { Directory } from "../../protocol/directory.ts"
import { statementOf } from "../../protocol/directory-tail.ts"
import { decodeEntry } from "../../protocol/entry.ts"
import { ChappeError } from "../../protocol/errors.ts"
import type { TrustAnchor } from "../../protocol/roster.ts"
import { WitnessPolicy } from "../../protocol/witness-policy.ts"
import { relayLimits } from "../limits.ts"
import { AccessRecord } from "./auditor-access.ts"
import { AttachmentDesk } from "./attachment-desk.ts"
import { BodyMoving } from "./body-moving.ts"
import { Committer } from "./committer.ts"
import { Damage } from "./damage.ts"
import { CosignedHeads } from "./cosigned-heads.ts"
import { Controls } from "./controls.ts"
import { Delivery, queueOf } from "./delivery.ts"
import { DiskForecast } from "./disk-forecast.ts"
import { Draining, loadDraining } from "./draining.ts"
import { Exchange } from "./exchange.ts"
import { Expiry } from "./expiry.ts"
import { Following } from "./following.ts"
import { Forwards } from "./forwards.ts"
import type { Task } from "./housekeeping.ts"
import { Introductions } from "./introductions.ts"
import { Keyring } from "./keyring.ts"
import { Links } from "./links.ts"
import { LogStart } from "./log-start.ts"
import { LogKeeping } from "./log-keeping.ts"
import { Logs, entryKey } from "./logs.ts"
import { Mail } from "./mail.ts"
import { NetworkClock } from "./network-clock.ts"
import { Overview } from "./overview.ts"
import type { PeerLink } from "./peer-link.ts"
import type { LinkParts } from "./peer-session.ts"
import { Probes } from "./probes.ts"
import { PeerWatch } from "./peer-watch.ts"
import type {
  AttachmentStore,
  BodyStore,
  Clock,
  Journal,
  LogFiles,
  Metrics,
  Random,
  RecordStore,
} from "./ports.ts"
import { PublishedLog } from "./published-log.ts"
import { Publisher } from "./publisher.ts"
import { QueueGauge } from "./queue-gauge.ts"
import { ReceiptDesk } from "./receipt-desk.ts"
import { holdingRecord } from "./records.ts"
import { Rollback } from "./rollback.ts"
import { Retargeting } from "./retargeting.ts"
import { Routes } from "./routes.ts"
import { Scrub } from "./scrub.ts"
import { StatementDesk } from "./statement-desk.ts"
import { Submits } from "./submits.ts"
import { afterPrefix, openRecord, recordKey } from "./tables.ts"
import { Witnessing } from "./witnessing.ts"

/** The relay's world: everything that a test may replace. */
export type RelayPorts = {
  readonly store: RecordStore
  readonly bodies: BodyStore
  readonly attachments: AttachmentStore
  /** The files of the log with this prefix, `directory` or `traffic/2027`. */
  readonly logFiles: (prefix: string) => Promise<LogFiles>
  readonly clock: Clock
  readonly random: Random
  readonly journal: Journal
}

export type RelayCoreSetup = {
  readonly name: string
  readonly anchor: TrustAnchor
  readonly bundle: DirectoryBundle
  readonly keys: readonly KeyEntry[]
  readonly version: string
  /** Called once when the relay cannot go on. */
  readonly failed: (why: unknown) => void
}

/** The parts that adapters and compose.ts reach for. */
export type RelayCore = {
  readonly name: string
  readonly directory: Directory
  readonly keyring: Keyring
  readonly network: NetworkClock
  readonly links: Links
  readonly gauge: QueueGauge
  readonly keeping: LogKeeping
  readonly statements: StatementDesk
  readonly access: AccessRecord
  readonly draining: Draining
  readonly probes: Probes
  readonly overview: Overview
  readonly linkParts: LinkParts
  /** One of the own logs, by what follows the relay's name; undefined for one that never was. */
  readonly logAt: (prefix: string) => Promise<PublishedLog | undefined>
  /** What goes on by itself. */
  readonly tasks: readonly Task[]
  readonly hasFailed: () => boolean
  /** Files of the logs that are damaged. */
  readonly damaged: () => readonly string[]
  /** Tells `setup.failed`, once. */
  readonly failed: (why: unknown) => void
  /** Ends deliveries and links. */
  readonly hangUp: () => void
  /** Last writes, then the stores. To be called when no task runs any more. */
  readonly close: () => Promise<void>
}

const pageRows = 1_024

/** Refused: `roster`, `key-expired`, `tampered`, `log-root`, `storage`. */
export async function openRelayCore(
  setup: RelayCoreSetup,
  ports: RelayPorts,
  metrics: Metrics,
): Promise<RelayCore> {
  const { name, keys } = setup
  const { store, bodies, attachments, clock, random, journal } = ports
  await Rollback.requireNone(store)

  const directory = new Directory(crypto, setup.anchor)
  directory.applyInOrder(setup.bundle.statements)
  const keyring = new Keyring(name, directory, keys)
  const policy = new WitnessPolicy(directory)
  const network = new NetworkClock(clock, () => policy.names)
  const logs = await Logs.open(store, keyring, network.now)
  const links = new Links(() => clock.monotonicMs())
  const watch = new PeerWatch(() => clock.monotonicMs())
  const routes = new Routes({
    self: name,
    directory,
    links,
    isDraining: () => draining.since !== undefined,
  })
  const gauge = await QueueGauge.count(store)
  await bodies.retain(await holdings(store))
  let hasFailed = false
  const failed = (why: unknown): void => {
    if (hasFailed) return
    hasFailed = true
    setup.failed(why)
  }
  const committer = new Committer({
    name,
    store,
    bodies,
    logs,
    keyring,
    network,
    clock,
    random,
    metrics,
    failed,
  })
  const deliveries = new Map<string, Delivery>()
  const mail: Mail = new Mail({
    gauge,
    attachments,
    notify: (queue) => deliveries.get(queue)?.wake(),
    unreferenced: (hash) => {
      committer
        .commit(async (draft) => {
          await mail.sweepAttachment(draft, hash)
          return () => undefined
        })
        .catch((cause: unknown) => {
          journal.warn("attachment", { id: toHex(hash), why: String(cause) })
        })
    },
  })
  const statements = new StatementDesk({
    directory,
    committer,
    links,
    store,
    metrics,
    journal,
    begun: async () => logStart.begun(),
  })
  const following = new Following({
    directory,
    store,
    committer,
    statements,
    clock,
    journal,
    begun: async () => logStart.begun(),
  })
  await restoreDirectory(store, logs, statements)
  await following.restore()
  await statements.restoreForks()

  // ---- Logs, up to where the last commit left them
  const cosignedHeads = new CosignedHeads({
    policy,
    network,
    links,
    journal,
    nowMs: () => clock.monotonicMs(),
    witnessed: () => undefined,
  })
  const witnessing: Witnessing = new Witnessing({
    links,
    directory,
    metrics,
    journal,
    heads: cosignedHeads,
    cosigned: (publisher, witness) => {
      keeping.cosigned(publisher, witness)
    },
  })
  // The directory log has one place, whatever its number: the log before it went with its disk.
  const prefixOf = (origin: string): string =>
    origin.slice(name.length + 1).replace(/^directory\.\d+$/u, "directory")
  const keeping = await LogKeeping.open({
    logs,
    keyring,
    committer,
    network,
    following,
    clock,
    journal,
    openPublisher: async (own) =>
      Publisher.open({
        own,
        files: await ports.logFiles(prefixOf(own.origin)),
        store,
        committer,
        metrics,
        journal,
        keepsEntries: own.origin === logs.directory.own.origin,
      }),
    published: (publisher) => {
      witnessing.showAll(publisher)
    },
  })
  const logOf = (origin: string): PublishedLog | undefined =>
    [keeping.directory, keeping.traffic].find((log) => log.origin === origin)
  const rollback = new Rollback({ directory, committer, logs, clock, logOf, journal, failed })
  const logStart: LogStart = new LogStart({
    logs,
    links,
    witnessing,
    rollback,
    peers: () => [
      ...directory.activeRelays().filter((relay) => relay !== name),
      ...directory
        .activeMembers()
        .map(({ node }) => node)
        .filter((member) => routes.isHome(name, member)),
    ],
    clock,
    journal,
    released: () => {
      Promise.all([keeping.beginShard(), logKnown()]).catch((cause: unknown) => {
        // A log that is ahead of the clock waits for it; a failed store has ended the relay.
        journal.warn("logs-go-on", { why: String(cause) })
      })
    },
  })
  /** What the bundle has and the log lacks. */
  const logKnown = async (): Promise<void> => {
    const known = directory.statements()
    for (let at = 0; at < known.length; at += pageRows) {
      const page = known.slice(at, at + pageRows)
      await Promise.all(page.map(async (item) => statements.take(item)))
    }
  }
  try {
    if (!logs.isHeld) await logKnown()
    await keeping.tend()
  } catch (cause) {
    // A log that is ahead of the clock waits for it; mail that was taken goes on.
    if (!(cause instanceof ChappeError) || cause.code !== "clock") throw cause
    journal.warn("clock", { why: cause.message })
  }

  // ---- Desks
  let freeBytes = await bodies.freeBytes()
  const hasRoom = (): boolean => freeBytes > relayLimits.diskReserveBytes
  const disk = new DiskForecast()
  const batches = new BatchVerifier(crypto, relayLimits.verifiedBatchesMax)
  const draining: Draining = new Draining(
    { self: name, directory, store, committer, mail, gauge, routes, links, network, clock },
    await loadDraining(store),
  )
  const desks = { directory, batches, logs, network, committer, mail, routes }
  const probes = new Probes({ self: name, directory, links, network, clock, random })
  const exchange = new Exchange({
    submits: new Submits({ ...desks, clock, gauge, attachments, draining, hasRoom }),
    forwards: new Forwards({
      ...desks,
      attachments,
      hasRoom,
      reach: async (origin, size) => following.reach(origin, size),
    }),
    receipts: new ReceiptDesk({ ...desks, gauge, hasRoom }),
    controls: new Controls({ ...desks, links, gauge, hasRoom }),
    links,
    draining,
    probes,
    attachments: new AttachmentDesk({ attachments, store, committer, network, hasRoom }),
    statements,
    following,
    rollback,
    witnessing,
    logStart,
    logOf,
    metrics,
    journal,
  })
  const introductions = new Introductions({
    name,
    directory,
    keyring,
    network,
    committer,
    logs,
    head: () => keeping.directory.head,
    watch,
    isAlive: async (peer) => (await links.get(peer)?.isAlive(relayLimits.cloneProbeMs)) === true,
    metrics,
    journal,
  })
  const damage = new Damage({
    bodies,
    attachments,
    committer,
    mail,
    routes,
    metrics,
    journal,
  })
  const moving = new BodyMoving({ store, bodies, committer })
  const scrub = new Scrub({
    store,
    damage,
    logs: () => [keeping.directory, keeping.traffic],
    clock,
    journal,
  })
  const delivering = {
    damage,
    store,
    attachments,
    committer,
    mail,
    routes,
    directory,
    batches,
    network,
    links,
    watch,
    clock,
    metrics,
    journal,
  }
  const overview: Overview = new Overview({
    name,
    version: setup.version,
    directory,
    store,
    gauge,
    links,
    watch,
    network,
    clock,
    disk,
    draining,
    freeBytes: () => freeBytes,
    hasRoom,
    scrubbed: () => scrub.findings,
    logs: () => keeping.figures(),
    logWaits: () => logs.waits(network.now),
    deliveryOf: (queue) => deliveries.get(queue),
  })

  // ---- Links
  const up = (link: PeerLink): void => {
    links.add(link)
    watch.up(link)
    deliveries.get(queueOf(link))?.stop()
    const delivery = new Delivery(delivering, link)
    deliveries.set(queueOf(link), delivery)
    metrics.count("chappe_relay_links_total", { role: link.role })
    journal.info("link-up", { peer: link.name })
    delivery.wake()
    draining.tell(link)
    for (const publisher of keeping.publishers()) witnessing.show(link, publisher)
    cosignedHeads.show(link)
    void logStart.linked(link)
  }
  const down = (link: PeerLink): void => {
    if (!links.remove(link)) return
    watch.down(link)
    deliveries.get(queueOf(link))?.stop()
    deliveries.delete(queueOf(link))
    journal.info("link-down", { peer: link.name })
  }
  const linkParts: LinkParts = {
    introductions,
    clock,
    journal,
    handler: async (peer, message) => exchange.answer(peer, message),
    up,
    down,
    refused: (peer, code) => {
      watch.refused(peer, code)
    },
  }
  const access = new AccessRecord({ directory, committer, logs, network, random, journal })

  // ---- What goes on by itself
  /** Links whose key or station counts no more: revoked, ended, forked, removed. */
  const cutStrangers = (): void => {
    if (network.isOff) return
    for (const peer of links.all()) {
      const owner = directory.linkOwner(peer.linkKey, network.now)
      const isActive = peer.role === "node" || directory.activeRelays().includes(peer.name)
      if (owner?.name === peer.name && isActive) continue
      journal.warn("link-cut", { peer: peer.name, code: "unknown-key" })
      peer.close("unknown-key")
    }
  }
  const expiry = new Expiry({ ...desks, store, metrics })
  const retargeting = new Retargeting({ store, committer, mail, gauge, routes, links })
  const sweep = async (): Promise<void> => {
    freeBytes = await bodies.freeBytes()
    disk.take(clock.monotonicMs(), freeBytes)
    cutStrangers()
    for (const delivery of deliveries.values()) delivery.tend()
    await retargeting.sweep()
    await draining.sweep()
  }
  const tasks: readonly Task[] = [
    {
      name: "logs",
      everyMs: 250,
      run: async () => {
        logStart.tend()
        await keeping.tend()
      },
    },
    {
      name: "clock",
      everyMs: relayLimits.sweepMs,
      run: async () => {
        const doubtful = network.doubtful()
        if (doubtful.length === 0) return
        journal.warn("clock", { offset: network.offset, peers: doubtful.join(" ") })
        // New HELLOs tell whether this clock jumped, or all did while the machine slept.
        for (const peer of doubtful) links.get(peer)?.close("clock")
      },
    },
    { name: "sweep", everyMs: relayLimits.sweepMs, run: sweep },
    { name: "expiry", everyMs: relayLimits.expiryMs, run: async () => expiry.sweep() },
    {
      name: "heads",
      everyMs: relayLimits.headsSeconds * 1_000,
      run: async () => keeping.noteHeads(),
    },
    {
      name: "traffic-head",
      everyMs: relayLimits.trafficHeadSeconds * 1_000,
      run: async () => keeping.noteTraffic(),
    },
    { name: "scrub", everyMs: relayLimits.scrubStepMs, run: async () => scrub.step() },
    {
      name: "compact",
      everyMs: relayLimits.compactEveryMs,
      run: async () => {
        await moving.run()
        await store.compact()
      },
    },
    { name: "access", everyMs: 60_000, run: async () => access.flush() },
  ]
  /** What was promised is published before the process goes. */
  const lastWrites = async (): Promise<void> => {
    try {
      await access.flush()
      await keeping.tend()
    } catch (cause) {
      if (!(cause instanceof ChappeError)) throw cause
      journal.warn("stopping", { code: cause.code, why: cause.message })
    }
  }

  return {
    name,
    directory,
    keyring,
    network,
    links,
    gauge,
    keeping,
    statements,
    access,
    draining,
    probes,
    overview,
    linkParts,
    logAt: async (prefix) => {
      const origin = prefix === "directory" ? logs.directory.own.origin : `${name}/${prefix}`
      const current = logOf(origin)
      if (current !== undefined || directory.log(origin) === undefined) return current
      // A shard of an earlier year: its files are all there is to know.
      const head = { size: 0, root: new Uint8Array(32) }
      return new PublishedLog(origin, await ports.logFiles(prefix), head, new Uint8Array(0))
    },
    tasks,
    hasFailed: () => hasFailed,
    damaged: () => scrub.findings.damaged,
    failed,
    hangUp: () => {
      for (const delivery of deliveries.values()) delivery.stop()
      for (const peer of links.all()) peer.close("done")
    },
    close: async () => {
      if (!hasFailed) await lastWrites()
      await committer.idle()
      await bodies.close()
      await store.close()
    },
  }
}

/** Where the bodies stand that are in custody. */
async function holdings(store: RecordStore) {
  const prefix = recordKey("holding")
  const locations = []
  let gte = prefix
  for (;;) {
    const records = await store.range({ gte, lt: afterPrefix(prefix), limit: pageRows })
    for (const { key, value } of records)
      locations.push(holdingRecord.decode(openRecord(key, value)))
    const last = records.at(-1)
    if (last === undefined || records.length < pageRows) return locations
    gte = Uint8Array.of(...last.key, 0)
  }
}

/** What stands in the own directory log, in its order. Refused: `tampered` for a gap. */
async function restoreDirectory(
  store: RecordStore,
  logs: Logs,
  statements: StatementDesk,
): Promise<void> {
  const { own, size } = logs.directory
  for (let from = 0; from < size; from += pageRows) {
    const to = Math.min(size, from + pageRows)
    const records = await store.range({
      gte: entryKey(own.origin, from),
      lt: entryKey(own.origin, to),
      limit: pageRows,
    })
    if (records.length !== to - from)
      throw new ChappeError("tampered", `${own.origin} lacks entries between ${from} and ${to}`)
    records.forEach(({ key, value }, i) => {
      const item = statementOf(decodeEntry(openRecord(key, value)), from + i)
      if (item !== undefined) statements.restore(item, own.origin)
    })
  }
}
