// Connects the relay's parts; decides nothing. The order is that of recovery: what is stored is read and
// checked, the logs are brought to where the last commit left them, and only then anybody is listened to.

import type { KeyEntry } from "../keys/key-file.ts"
import { crypto } from "../keys/crypto.ts"
import { makeLinkCertificate } from "../keys/link-certificate.ts"
import { BatchVerifier } from "../protocol/batch.ts"
import { toHex } from "../protocol/bytes.ts"
import type { DirectoryBundle } from "../protocol/directory-bundle.ts"
import { Directory } from "../protocol/directory.ts"
import { statementOf } from "../protocol/directory-tail.ts"
import { decodeEntry } from "../protocol/entry.ts"
import { ChappeError } from "../protocol/errors.ts"
import type { TrustAnchor } from "../protocol/roster.ts"
import { type HttpsParts, listenForHttps } from "./adapters/https-listener.ts"
import { JoinRequests } from "./adapters/join-requests.ts"
import { type CertificatePem, listenForLinks } from "./adapters/link-listener.ts"
import type { LinkParts } from "./adapters/link-socket.ts"
import { createPrometheusMetrics } from "./adapters/prometheus-metrics.ts"
import { type DialledRelay, dialRelays } from "./adapters/relay-dialler.ts"
import { AccessRecord } from "./core/auditor-access.ts"
import { AttachmentDesk } from "./core/attachment-desk.ts"
import { Committer } from "./core/committer.ts"
import { Controls } from "./core/controls.ts"
import { Delivery, queueOf } from "./core/delivery.ts"
import { Exchange } from "./core/exchange.ts"
import { Expiry } from "./core/expiry.ts"
import { Following } from "./core/following.ts"
import { Forwards } from "./core/forwards.ts"
import { startTasks } from "./core/housekeeping.ts"
import { Introductions, type PinnedPeer } from "./core/introductions.ts"
import { Keyring } from "./core/keyring.ts"
import { Links } from "./core/links.ts"
import { LogKeeping } from "./core/log-keeping.ts"
import { Logs, entryKey } from "./core/logs.ts"
import { Mail } from "./core/mail.ts"
import { NetworkClock } from "./core/network-clock.ts"
import type { PeerLink } from "./core/peer-link.ts"
import type {
  AttachmentStore,
  BodyStore,
  Clock,
  Journal,
  LogFiles,
  Random,
  RecordStore,
} from "./core/ports.ts"
import { PublishedLog } from "./core/published-log.ts"
import { Publisher } from "./core/publisher.ts"
import { QueueGauge } from "./core/queue-gauge.ts"
import { ReceiptDesk } from "./core/receipt-desk.ts"
import { holdingRecord } from "./core/records.ts"
import { Retargeting } from "./core/retargeting.ts"
import { Routes } from "./core/routes.ts"
import { StatementDesk } from "./core/statement-desk.ts"
import { Submits } from "./core/submits.ts"
import { afterPrefix, openRecord, recordKey } from "./core/tables.ts"
import { Witnessing } from "./core/witnessing.ts"
import { relayLimits } from "./limits.ts"

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

export type RelaySetup = {
  readonly name: string
  readonly anchor: TrustAnchor
  readonly bundle: DirectoryBundle
  readonly keys: readonly KeyEntry[]
  readonly links: { readonly host: string; readonly port: number }
  readonly https: { readonly host: string; readonly port: number } & CertificatePem
  readonly joins: string
  readonly tokens: string
  readonly version: string
  /** Called once when the relay cannot go on. */
  readonly failed: (why: unknown) => void
}

export type ComposedRelay = {
  readonly linksPort: number
  readonly httpsPort: number
  /** Names of the other relays that are linked now. */
  readonly linkedRelays: () => readonly string[]
  readonly stop: () => Promise<void>
}

const pageRows = 1_024

/** Refused: `roster`, `key-expired`, `tampered`, `log-root`, `storage`, `port-taken`. */
export async function composeRelay(setup: RelaySetup, ports: RelayPorts): Promise<ComposedRelay> {
  const { name, keys } = setup
  const { store, bodies, attachments, clock, random, journal } = ports

  const directory = new Directory(crypto, setup.anchor)
  directory.applyInOrder(setup.bundle.statements)
  const keyring = new Keyring(name, directory, keys)
  const network = new NetworkClock(clock)
  const logs = await Logs.open(store, keyring, network.now)
  const links = new Links(() => clock.monotonicMs())
  const routes = new Routes(name, directory, links)
  const gauge = await QueueGauge.count(store)
  await bodies.retain(await holdings(store))
  const metrics = createPrometheusMetrics({
    depths: () => gauge.all(),
    links: () => links.all().length,
  })
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
  const statements = new StatementDesk({ directory, committer, links, store, metrics, journal })
  const following = new Following({ directory, store, committer, statements, clock, journal })
  await restoreDirectory(store, logs, statements)
  await following.restore()

  // ---- Logs, up to where the last commit left them
  const witnessing: Witnessing = new Witnessing({
    links,
    directory,
    metrics,
    journal,
    cosigned: (publisher) => {
      keeping.cosigned(publisher)
    },
  })
  const prefixOf = (origin: string): string => origin.slice(name.length + 1)
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
        keepsEntries: own.origin === logs.directory.own.origin,
      }),
    published: (publisher) => {
      witnessing.showAll(publisher)
    },
  })
  const logOf = (origin: string): PublishedLog | undefined =>
    [keeping.directory, keeping.traffic].find((log) => log.origin === origin)
  try {
    const known = directory.statements()
    for (let at = 0; at < known.length; at += pageRows) {
      const page = known.slice(at, at + pageRows)
      await Promise.all(page.map(async (item) => statements.take(item)))
    }
    await keeping.tend()
  } catch (cause) {
    // A log that is ahead of the clock waits for it; mail that was taken goes on.
    if (!(cause instanceof ChappeError) || cause.code !== "clock") throw cause
    journal.warn("clock", { why: cause.message })
  }

  // ---- Desks
  let freeBytes = await bodies.freeBytes()
  const hasRoom = (): boolean => freeBytes > relayLimits.diskReserveBytes
  const batches = new BatchVerifier(crypto, relayLimits.verifiedBatchesMax)
  const desks = { directory, batches, logs, network, committer, mail, routes }
  const exchange = new Exchange({
    submits: new Submits({ ...desks, gauge, attachments, hasRoom }),
    forwards: new Forwards({
      ...desks,
      attachments,
      hasRoom,
      reach: async (origin, size) => following.reach(origin, size),
    }),
    receipts: new ReceiptDesk(desks),
    controls: new Controls({ ...desks, links }),
    attachments: new AttachmentDesk({ attachments, store, committer, network, hasRoom }),
    statements,
    following,
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
    metrics,
    journal,
  })
  const delivering = {
    store,
    bodies,
    attachments,
    committer,
    mail,
    routes,
    clock,
    metrics,
    journal,
  }

  // ---- Links
  const up = (link: PeerLink): void => {
    links.add(link)
    deliveries.get(queueOf(link))?.stop()
    const delivery = new Delivery(delivering, link)
    deliveries.set(queueOf(link), delivery)
    metrics.count("chappe_relay_links_total", { role: link.role })
    journal.info("link-up", { peer: link.name })
    delivery.wake()
    for (const publisher of keeping.publishers()) witnessing.show(link, publisher)
  }
  const down = (link: PeerLink): void => {
    if (!links.remove(link)) return
    deliveries.get(queueOf(link))?.stop()
    deliveries.delete(queueOf(link))
    if (link.role === "relay") network.forget(link.name)
    journal.info("link-down", { peer: link.name })
  }
  const linkParts: LinkParts = {
    introductions,
    clock,
    journal,
    handler: async (peer, message) => exchange.answer(peer, message),
    up,
    down,
  }
  const certificate = (): CertificatePem =>
    makeLinkCertificate({
      name,
      seed: keyring.linkSeed(network.now),
      serial: random(16),
      notBefore: network.now,
    })
  let own = certificate()
  const linkListener = await listenForLinks(
    {
      ...linkParts,
      metrics,
      ownerOf: (key): PinnedPeer | undefined => {
        const owner = directory.linkOwner(key, network.now)
        return owner === undefined
          ? undefined
          : { name: owner.name, role: owner.role === "relay" ? "relay" : "node" }
      },
    },
    { ...setup.links, ...own },
  )
  const joins = new JoinRequests({
    joins: setup.joins,
    tokens: setup.tokens,
    directory,
    statements,
    journal,
  })
  const access = new AccessRecord({ directory, committer, network, random, journal })
  let isReady = false
  const httpsParts: HttpsParts = {
    directory,
    network,
    statements,
    joins,
    access,
    journal,
    logAt: async (prefix) => {
      const origin = `${name}/${prefix}`
      const current = logOf(origin)
      if (current !== undefined || directory.log(origin) === undefined) return current
      // A shard of an earlier year: its files are all there is to know.
      const head = { size: 0, root: new Uint8Array(32) }
      return new PublishedLog(origin, await ports.logFiles(prefix), head, new Uint8Array(0))
    },
    isReady: () => isReady && !hasFailed,
    metrics: metrics.text,
    version: setup.version,
  }
  const httpsListener = await listenForHttps(httpsParts, setup.https).catch(
    async (cause: unknown) => {
      await linkListener.close()
      throw cause
    },
  )
  const stopDialling = dialRelays({
    ...linkParts,
    isLinked: (relay) => links.isLinked(relay),
    certificate: () => own,
    relays: () =>
      directory
        .activeRelays()
        .filter((relay) => relay > name)
        .map((relay): DialledRelay => ({
          name: relay,
          urls: directory.urls(relay)?.links ?? [],
          linkKeys: directory.linkKeys(relay, network.now),
        })),
  })

  // ---- What goes on by itself
  const expiry = new Expiry({ ...desks, store, metrics })
  const retargeting = new Retargeting({ store, committer, mail, gauge, routes, links })
  const tasks = startTasks({ clock, journal, failed }, [
    { name: "logs", everyMs: 250, run: async () => keeping.tend() },
    {
      name: "sweep",
      everyMs: relayLimits.sweepMs,
      run: async () => {
        freeBytes = await bodies.freeBytes()
        await joins.applyNamed()
        await retargeting.sweep(directory.activeRelays())
        while (await expiry.sweep()) journal.info("sweep", {})
      },
    },
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
    { name: "access", everyMs: 60_000, run: async () => access.flush() },
    {
      name: "certificate",
      everyMs: 3_600_000,
      run: async () => {
        own = certificate()
        linkListener.renew(own)
      },
    },
  ])
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
  isReady = true

  return {
    linksPort: linkListener.port,
    httpsPort: httpsListener.port,
    linkedRelays: () => links.all("relay").map((peer) => peer.name),
    stop: async () => {
      isReady = false
      stopDialling()
      tasks.stop()
      for (const delivery of deliveries.values()) delivery.stop()
      for (const peer of links.all()) peer.close("done")
      await httpsListener.close()
      await linkListener.close()
      await tasks.idle()
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
