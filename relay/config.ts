// A relay's configuration, `relay.toml`. Every key is documented in the template, which `chappe` writes.

import { readFile } from "node:fs/promises"
import { join, resolve } from "node:path"
import { TomlError, parse } from "smol-toml"
import { ChappeError } from "../protocol/errors.ts"
import { isRelayName } from "../protocol/names.ts"

export type ListenerConfig = { readonly host: string; readonly port: number }

/** Paths are absolute. */
export type RelayConfig = {
  readonly name: string
  readonly links: ListenerConfig
  readonly https: ListenerConfig & { readonly certificate: string; readonly key: string }
  readonly keys: { readonly file: string; readonly secret: string }
  readonly trust: string
  readonly directory: string
  readonly data: string
  readonly log: string
  readonly joins: string
  readonly tokens: string
  readonly run: string
  readonly logLevel: string
}

/** The text of a new `relay.toml`. */
export function relayConfigTemplate(options: {
  readonly name: string
  readonly linksPort: number
  readonly httpsPort: number
  readonly host?: string
}): string {
  const { name, linksPort, httpsPort, host = "127.0.0.1" } = options
  return `# A Chappe relay. Paths are relative to this file's folder.

# The relay's name in the roster; the origins of its logs begin with it. It can never change.
name = "${name}"

# How much it writes to standard error, as JSON lines: "warn", "info" or "silent".
# No line holds content, subjects or names of files.
log_level = "info"

[links]
# Where nodes and other relays connect: TLS 1.3, pinned keys only. Strangers are dropped before HTTP.
# The address must be the one that the relay's "urls" statement names. Port 0 takes a free one.
host = "${host}"
port = ${linksPort}

[https]
# Logs for auditors and joining members, statements, and /livez /readyz /metrics /version.
host = "${host}"
port = ${httpsPort}
# An ordinary certificate and its key, PEM. Renew them as you do for web servers, then restart.
certificate = "keys/https.pem"
key = "keys/https-key.pem"

[keys]
# The relay's signing keys, and the secret (32 bytes) that opens the file. Lost with them: the relay's identity;
# its root key, which is kept offline, names new ones. Neither belongs in a backup.
file = "keys/relay.key"
secret = "keys/relay.secret"

[paths]
# Where trust starts: custodians and the first roster. Public; changed by hand only.
trust = "trust.json"
# The directory to begin with. Read at each start; what is newer is in the directory log.
directory = "directory.chappe"
# Everything that is in custody. Lost with it: mail that was not delivered yet, which the senders' nodes send again.
# Never restore it from a backup: a log that goes back is proof against the relay. Start a new shard instead.
data = "data"
# Both logs as tlog-tiles files. Lost with them: the relay's proof that it logged what it promised.
log = "log"
# Join requests that wait for the custodians, and the invitations' tokens (hashes only).
joins = "joins"
tokens = "tokens"
# Which process runs here and where it listens. May be deleted while it is stopped.
run = "run"
`
}

/** Reads `relay.toml` in a relay's folder. Refused: `file-unreadable`, `config`. */
export async function readRelayConfig(dir: string): Promise<RelayConfig> {
  const path = join(dir, "relay.toml")
  let text: string
  try {
    text = await readFile(path, "utf8")
  } catch (cause) {
    throw new ChappeError("file-unreadable", `${path} cannot be read`, { cause })
  }
  return parseRelayConfig(text, dir)
}

type Fields = ReadonlyMap<string, unknown>

function refuse(why: string): never {
  throw new ChappeError("config", `relay.toml: ${why}`)
}

function fieldsOf(found: unknown, what: string, known: readonly string[]): Fields {
  if (typeof found !== "object" || found === null) return refuse(`${what} is missing`)
  const fields = new Map(Object.entries(found))
  const unknown = [...fields.keys()].find((key) => !known.includes(key))
  return unknown === undefined ? fields : refuse(`${what} has an unknown key ${unknown}`)
}

function textIn(fields: Fields, key: string): string {
  const found = fields.get(key)
  return typeof found === "string" && found !== "" ? found : refuse(`${key} is not text`)
}

function portIn(fields: Fields): number {
  const found = fields.get("port")
  return typeof found === "number" && Number.isInteger(found) && found >= 0 && found <= 65_535
    ? found
    : refuse("port is not 0 … 65535")
}

/** Refused: `config`, naming the key. */
export function parseRelayConfig(text: string, dir: string): RelayConfig {
  let parsed: unknown
  try {
    parsed = parse(text)
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause
    throw new ChappeError("config", `relay.toml: line ${cause.line} is not TOML`, { cause })
  }
  const top = ["name", "log_level", "links", "https", "keys", "paths"]
  const fields = fieldsOf(parsed, "it", top)
  const links = fieldsOf(fields.get("links"), "[links]", ["host", "port"])
  const https = fieldsOf(fields.get("https"), "[https]", ["host", "port", "certificate", "key"])
  const keys = fieldsOf(fields.get("keys"), "[keys]", ["file", "secret"])
  const names = ["trust", "directory", "data", "log", "joins", "tokens", "run"]
  const paths = fieldsOf(fields.get("paths"), "[paths]", names)
  const name = textIn(fields, "name")
  if (!isRelayName(name)) refuse(`${name} is not a relay's name`)
  const logLevel = textIn(fields, "log_level")
  if (!["warn", "info", "silent"].includes(logLevel)) refuse("log_level is not one of its words")
  const path = (table: Fields, key: string): string => resolve(dir, textIn(table, key))
  return {
    name,
    logLevel,
    links: { host: textIn(links, "host"), port: portIn(links) },
    https: {
      host: textIn(https, "host"),
      port: portIn(https),
      certificate: path(https, "certificate"),
      key: path(https, "key"),
    },
    keys: { file: path(keys, "file"), secret: path(keys, "secret") },
    trust: path(paths, "trust"),
    directory: path(paths, "directory"),
    data: path(paths, "data"),
    log: path(paths, "log"),
    joins: path(paths, "joins"),
    tokens: path(paths, "tokens"),
    run: path(paths, "run"),
  }
}
