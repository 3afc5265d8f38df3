// Starts a relay from its folder. `chappe relay start` and tests call this.

import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { openKeyFile } from "../keys/key-file.ts"
import { utf8 } from "../protocol/bytes.ts"
import { decodeDirectoryBundle } from "../protocol/directory-bundle.ts"
import { ChappeError } from "../protocol/errors.ts"
import { parseTrustFile } from "../protocol/trust-file.ts"
import { isMissing, makeFolder, onDisk, replaceFile } from "../store/durable-files.ts"
import { openFileAttachmentStore } from "./adapters/file-attachment-store.ts"
import { openLevelRecordStore } from "./adapters/level-record-store.ts"
import { createPinoJournal } from "./adapters/pino-journal.ts"
import { openSegmentBodyStore } from "./adapters/segment-body-store.ts"
import { systemClock } from "./adapters/system-clock.ts"
import { systemRandom } from "./adapters/system-random.ts"
import { openTileLogFiles } from "./adapters/tile-log-files.ts"
import { composeRelay } from "./compose.ts"
import type { RelayPorts } from "./core/relay-core.ts"
import { type RelayConfig, readRelayConfig } from "./config.ts"
import { relayLimits } from "./limits.ts"

export type StartRelayOptions = {
  /** The relay's folder, with `relay.toml`. */
  readonly dir: string
  readonly version?: string
  /** Replaces parts of the relay's world in tests. */
  readonly ports?: Partial<RelayPorts>
}

export type RunningRelay = {
  readonly name: string
  /** `https://host:port`. */
  readonly url: string
  /** `wss://host:port`. */
  readonly linksUrl: string
  readonly linksPort: number
  readonly httpsPort: number
  /** Names of the other relays that are linked now. */
  readonly linkedRelays: () => readonly string[]
  /** Resolves with the reason when the relay cannot go on: stop it and end the process. */
  readonly failed: Promise<ChappeError>
  readonly stop: () => Promise<void>
}

/** Refused: `config`, `file-unreadable`, `passphrase`, `locked`, `port-taken`, `disk-full`, `storage`, `tampered`, `log-root`. */
export async function startRelay(options: StartRelayOptions): Promise<RunningRelay> {
  const config = await readRelayConfig(options.dir)
  const { name } = config
  const failures: ((why: ChappeError) => void)[] = []
  const failed = new Promise<ChappeError>((resolve) => failures.push(resolve))
  const anchor = parseTrustFile(await readText(config.trust)).anchor
  const bundle = decodeDirectoryBundle(await readBytes(config.directory))
  const secret = await readBytes(config.keys.secret)
  const keys = await openKeyFile(await readBytes(config.keys.file), { kind: "secret", secret })
  const https = {
    ...config.https,
    certPem: await readText(config.https.certificate),
    keyPem: await readText(config.https.key),
  }
  const ports = await openPorts(config, options.ports ?? {})
  const { journal } = ports
  const relay = await composeRelay(
    {
      name,
      anchor,
      bundle,
      keys,
      links: config.links,
      https,
      joins: config.joins,
      tokens: config.tokens,
      run: config.run,
      version: options.version ?? "0.1.0",
      failed: (why) => {
        const error = asError(why)
        journal.warn("failed", { code: error.code, why: error.message })
        for (const tell of failures) tell(error)
      },
    },
    ports,
  ).catch(async (cause: unknown) => {
    await ports.bodies.close()
    await ports.store.close()
    throw cause
  })
  const url = `https://${config.https.host}:${relay.httpsPort}`
  const linksUrl = `wss://${config.links.host}:${relay.linksPort}`
  await writeRunFile(config, { url, links: linksUrl, pid: process.pid })
  journal.info("ready", { url, links: linksUrl })
  return {
    name,
    url,
    linksUrl,
    linksPort: relay.linksPort,
    httpsPort: relay.httpsPort,
    linkedRelays: relay.linkedRelays,
    failed,
    stop: relay.stop,
  }
}

function asError(why: unknown): ChappeError {
  return why instanceof ChappeError
    ? why
    : new ChappeError("internal", why instanceof Error ? why.message : undefined, { cause: why })
}

async function openPorts(config: RelayConfig, given: Partial<RelayPorts>): Promise<RelayPorts> {
  // The database's lock comes first: nothing else is touched while another process is at work here.
  const store = given.store ?? (await openLevelRecordStore(join(config.data, "records")))
  try {
    return {
      store,
      bodies:
        given.bodies ??
        (await openSegmentBodyStore(join(config.data, "bodies"), relayLimits.segmentBytes)),
      attachments:
        given.attachments ?? (await openFileAttachmentStore(join(config.data, "attachments"))),
      logFiles:
        given.logFiles ??
        (async (prefix) => openTileLogFiles(join(config.log, ...prefix.split("/")))),
      clock: given.clock ?? systemClock,
      random: given.random ?? systemRandom,
      journal: given.journal ?? createPinoJournal(config.name, config.logLevel),
    }
  } catch (cause) {
    await store.close()
    throw cause
  }
}

async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await readFile(path))
  } catch (cause) {
    const why = isMissing(cause) ? "is missing" : "cannot be read"
    throw new ChappeError("file-unreadable", `${path} ${why}`, { cause })
  }
}

async function readText(path: string): Promise<string> {
  return new TextDecoder().decode(await readBytes(path))
}

async function writeRunFile(config: RelayConfig, facts: object): Promise<void> {
  await onDisk("writing the run file", async () => {
    await makeFolder(config.run)
    await replaceFile(join(config.run, "relay.json"), utf8(`${JSON.stringify(facts)}\n`))
  })
}
