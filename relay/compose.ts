// Connects the relay's core to sockets, files and the operator's door; decides nothing. Only when the core has
// recovered anybody is listened to.

import { makeLinkCertificate } from "../keys/link-certificate.ts"
import { type HttpsParts, listenForHttps } from "./adapters/https-listener.ts"
import { JoinRequests } from "./adapters/join-requests.ts"
import { type CertificatePem, listenForLinks } from "./adapters/link-listener.ts"
import { openOperatorDoor } from "./adapters/operator-door.ts"
import { createPrometheusMetrics } from "./adapters/prometheus-metrics.ts"
import { type DialledRelay, dialRelays } from "./adapters/relay-dialler.ts"
import { startTasks } from "./core/housekeeping.ts"
import type { PinnedPeer } from "./core/introductions.ts"
import {
  type RelayCore,
  type RelayCoreSetup,
  type RelayPorts,
  openRelayCore,
} from "./core/relay-core.ts"
import { relayLimits } from "./limits.ts"

export type RelaySetup = RelayCoreSetup & {
  readonly links: { readonly host: string; readonly port: number }
  readonly https: { readonly host: string; readonly port: number } & CertificatePem
  readonly joins: string
  readonly tokens: string
  /** Where the operator's door is. */
  readonly run: string
}

export type ComposedRelay = {
  readonly linksPort: number
  readonly httpsPort: number
  /** Names of the other relays that are linked now. */
  readonly linkedRelays: () => readonly string[]
  readonly stop: () => Promise<void>
}

/** Refused: `roster`, `key-expired`, `tampered`, `log-root`, `storage`, `port-taken`. */
export async function composeRelay(setup: RelaySetup, ports: RelayPorts): Promise<ComposedRelay> {
  const { name } = setup
  const { clock, random, journal } = ports
  const metrics = createPrometheusMetrics({
    depths: () => core.gauge.all(),
    links: () => core.links.all().length,
    own: () => core.overview.own(),
    logs: () => core.keeping.figures(),
  })
  const core: RelayCore = await openRelayCore(setup, ports, metrics)
  const { directory, keyring, network, links, statements, access, draining, overview, linkParts } =
    core

  // ---- Listeners
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
          : { name: owner.name, role: owner.role === "relay" ? "relay" : "node", linkKey: key }
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
  let isReady = false
  const httpsParts: HttpsParts = {
    directory,
    network,
    statements,
    joins,
    access,
    journal,
    logAt: core.logAt,
    isReady: () => isReady && !core.hasFailed() && core.damaged().length === 0,
    metrics: metrics.text,
    version: setup.version,
  }
  const httpsListener = await listenForHttps(httpsParts, setup.https).catch(
    async (cause: unknown) => {
      await linkListener.close()
      throw cause
    },
  )
  const door = await openOperatorDoor(
    {
      journal,
      facts: async () => overview.facts(),
      member: async (member) => overview.member(member),
      probe: async (member) => core.probes.probe(member),
      drain: async (isOn) => {
        await (isOn ? draining.begin() : draining.end())
        return overview.drain()
      },
      metrics: async () => metrics.operatorText(await overview.facts()),
    },
    setup.run,
  ).catch(async (cause: unknown) => {
    await httpsListener.close()
    await linkListener.close()
    throw cause
  })
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

  const tasks = startTasks({ clock, journal, failed: core.failed }, [
    ...core.tasks,
    { name: "joins", everyMs: relayLimits.sweepMs, run: async () => joins.applyNamed() },
    {
      name: "certificate",
      everyMs: 3_600_000,
      run: async () => {
        own = certificate()
        linkListener.renew(own)
      },
    },
  ])
  isReady = true

  return {
    linksPort: linkListener.port,
    httpsPort: httpsListener.port,
    linkedRelays: () => links.all("relay").map((peer) => peer.name),
    stop: async () => {
      isReady = false
      stopDialling()
      tasks.stop()
      core.hangUp()
      await door.close()
      await httpsListener.close()
      await linkListener.close()
      await tasks.idle()
      await core.close()
    },
  }
}
