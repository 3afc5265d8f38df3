// Connects a node: its folder, its records, its links, its officers' interface. Only wiring; what it
// decides stands in core/.

import { existsSync } from "node:fs"
import { mkdir, open, readFile, rename, rm } from "node:fs/promises"
import { join } from "node:path"
import { assertKnownAnswers } from "../keys/known-answers.ts"
import { decodeDirectoryBundle } from "../protocol/directory-bundle.ts"
import { ChappeError } from "../protocol/errors.ts"
import { decodeJoinRequest } from "../protocol/join-request.ts"
import { parseTrustFile } from "../protocol/trust-file.ts"
import { openFileBodyFiles } from "./adapters/file-body-files.ts"
import { backupRoute } from "./adapters/http-backup-route.ts"
import { courierRoutes } from "./adapters/http-courier-routes.ts"
import { deskRoutes } from "./adapters/http-desk-routes.ts"
import { mailRoutes } from "./adapters/http-mail-routes.ts"
import { type HttpServer, makeHttpServer } from "./adapters/http-server.ts"
import { HttpsRelay } from "./adapters/https-relay.ts"
import { FileKeyVault, fileOfficerKeys } from "./adapters/key-vault.ts"
import { openLevelRecordStore, recordsPath } from "./adapters/level-record-store.ts"
import { nodeMetrics } from "./adapters/metrics.ts"
import { pinoLog } from "./adapters/pino-log.ts"
import { connectTls } from "./adapters/relay-dialler.ts"
import { RelayDiallers } from "./adapters/relay-diallers.ts"
import { Rounds } from "./adapters/rounds.ts"
import { systemClock } from "./adapters/system-clock.ts"
import { systemHash } from "./adapters/system-hash.ts"
import { systemRandom } from "./adapters/system-random.ts"
import { softwareVersion } from "./adapters/software-version.ts"
import { type NodeConfig, readNodeConfig } from "./config.ts"
import { type NodeCore, connectNode, keepUp, linkIsUp, loadNode, tick } from "./core/node-core.ts"
import type { Clock, Log, Random } from "./core/ports.ts"
import { measure, statusView } from "./core/status.ts"
import { nodeLimits } from "./limits.ts"

const nothing = (): void => undefined

export type NodeOptions = {
  /** The node's folder. */
  readonly dir: string
  readonly clock?: Clock
  readonly random?: Random
  readonly log?: Log
}

export type RunningNode = {
  /** Of the officers' interface. */
  readonly url: string
  /** Resolves when the disk or the programme failed: the process must end and be started again. */
  readonly failed: Promise<ChappeError>
  stop(): Promise<void>
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8")
  } catch (cause) {
    throw new ChappeError("file-unreadable", `${path} cannot be read`, { cause })
  }
}

async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await readFile(path))
  } catch (cause) {
    throw new ChappeError("file-unreadable", `${path} cannot be read`, { cause })
  }
}

/** Of a member that joined by an invitation; a lab's nodes have theirs in the bundle. */
async function foundingStatements(dir: string): Promise<readonly Uint8Array[]> {
  const path = join(dir, "join.request")
  return existsSync(path) ? decodeJoinRequest(await readBytes(path)).statements : []
}

/**
 * Resolves when the node answers its officers. Refused: `config`, `file-unreadable`, `key-file`,
 * `passphrase`, `locked`, `port-taken`, `disk-full`, `storage`, `tampered`.
 */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  const { dir, clock = systemClock, random = systemRandom } = options
  assertKnownAnswers()
  const config = await readNodeConfig(dir)
  const log = options.log ?? pinoLog({ name: config.name, level: config.log.level })
  const trust = parseTrustFile(await readText(join(dir, "trust.json")))
  const bundle = decodeDirectoryBundle(await readBytes(join(dir, "directory.chappe")))
  const vault = await FileKeyVault.open(dir, config.name, random)
  let fail: (error: ChappeError) => void = nothing
  const failed = new Promise<ChappeError>((resolve) => (fail = resolve))
  const data = join(dir, "data")
  const store = await openLevelRecordStore(recordsPath(data))
  const closing: (() => Promise<void> | void)[] = [() => store.close()]
  const stop = async (): Promise<void> => {
    for (const close of closing.splice(0).toReversed()) await close()
  }
  try {
    const node = connectNode({
      vault,
      dataKey: vault.dataKey,
      anchor: trust.anchor,
      store,
      files: await openFileBodyFiles(join(data, "bodies"), random),
      officers: fileOfficerKeys(dir),
      clock,
      random,
      newHash: systemHash,
      log,
      onFailure: fail,
    })
    await loadNode(node, bundle, await foundingStatements(dir))
    const rounds = new Rounds(clock, log, fail)
    closing.push(() => {
      node.dispatcher.stop()
      return rounds.stop()
    })
    const keep = (): Promise<void> => keepUp(node, () => adoptPrekeys(node, vault))
    await rounds.once("keep-up", keep)
    const linkSecret = (): Uint8Array => vault.newestLinkSecret()
    const doors = trust.relays.map(
      (relay) => new HttpsRelay(relay, { me: config.name, clock, random, linkSecret }),
    )
    const diallers = relayDiallers(node, vault, { clock, random, log })
    closing.push(() => diallers.stop())
    const server = await officersInterface(node, config, diallers)
    courierRoutes(server, node)
    backupRoute(server, { sessions: node.sessions, journal: node.journal, store })
    closing.push(() => server.close())
    const url = await listen(server, config)
    rounds.start("tick", nodeLimits.overdueCheckMs, () => tick(node))
    rounds.start("keep-up", nodeLimits.upkeepMs, keep)
    rounds.start("journal", nodeLimits.journalAnchorMs, () => node.journal.anchor())
    rounds.start("first-contact", nodeLimits.directoryPollMs, async () => {
      const wasNamed = node.contact.isNamed
      await node.contact.make(doors)
      if (!wasNamed && node.contact.isNamed) await keep()
      diallers.dialAll()
    })
    diallers.dialAll()
    closing.push(await announce(dir, url))
    log.info("ready", { url })
    return { url, failed, stop }
  } catch (cause) {
    await stop()
    throw cause
  }
}

/** Seeds handed over at the founding go into the records, and off this disk's key folder. */
async function adoptPrekeys(node: NodeCore, vault: FileKeyVault): Promise<void> {
  if (!node.contact.isNamed) return
  const handed = await vault.handedPeriods()
  if (handed.length === 0) return
  await node.prekeys.adopt(handed)
  await vault.forgetHandedPeriods()
}

function relayDiallers(
  node: NodeCore,
  vault: FileKeyVault,
  ports: { readonly clock: Clock; readonly random: Random; readonly log: Log },
): RelayDiallers {
  const { me, directory, clock, links, greetings, requests, log } = node
  return new RelayDiallers({
    directory,
    clock,
    links,
    vault,
    options: {
      me,
      connect: connectTls,
      hello: (relay, exporter) => greetings.say(relay, exporter),
      confirm: (relay, hello, exporter) => greetings.hear(relay, hello, exporter),
      handle: (link, message) => requests.answer(link, message),
      up: (link) => {
        log.info("link-up", { relay: link.relay })
        links.up(link)
        linkIsUp(node, link).catch((cause: unknown) => {
          if (!(cause instanceof ChappeError)) throw cause
        })
      },
      down: (link) => {
        log.info("link-down", { relay: link.relay })
        links.down(link)
      },
      ...ports,
    },
  })
}

async function officersInterface(
  node: NodeCore,
  config: NodeConfig,
  diallers: RelayDiallers,
): Promise<HttpServer> {
  const { sessions, clock, log, journal, directory, enrolment } = node
  const server = await makeHttpServer({ sessions, clock, log })
  mailRoutes(server, node)
  deskRoutes(server, {
    me: config.name,
    directory,
    sessions,
    journal,
    enrolment,
    clock,
    metrics: nodeMetrics(() => measure(node)),
    version: softwareVersion,
    isReady: () => node.contact.isNamed,
    status: () => statusView(node, diallers.states()),
  })
  return server
}

async function listen(server: HttpServer, { http }: NodeConfig): Promise<string> {
  try {
    return await server.listen({ host: http.host, port: http.port })
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined
    if (code === "EADDRINUSE" || code === "EACCES")
      throw new ChappeError("port-taken", `port ${http.port} on ${http.host}`, { cause })
    throw cause
  }
}

/** `run/api.json` says where the interface is, as long as it is. */
async function announce(dir: string, url: string): Promise<() => Promise<void>> {
  const run = join(dir, "run")
  const path = join(run, "api.json")
  await mkdir(run, { recursive: true, mode: 0o700 })
  await rm(`${path}.new`, { force: true })
  const handle = await open(`${path}.new`, "wx", 0o600)
  try {
    await handle.writeFile(`${JSON.stringify({ url, pid: process.pid })}\n`)
  } finally {
    await handle.close()
  }
  await rename(`${path}.new`, path)
  return () => rm(path, { force: true })
}
