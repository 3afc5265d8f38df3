// The node's configuration file, node.toml. Every key has a default but the name; unknown keys are refused.

import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { parse } from "smol-toml"
import { ChappeError } from "../protocol/errors.ts"
import { isMemberName } from "../protocol/names.ts"

export const logLevels = ["error", "warn", "info", "debug"] as const
export type LogLevel = (typeof logLevels)[number]

export type NodeConfig = {
  readonly name: string
  readonly http: { readonly host: string; readonly port: number }
  readonly log: { readonly level: LogLevel }
}

/** Every key, with what it is for. */
export const nodeConfigTemplate = `# A member's node. Paths are relative to this file's folder. Secrets are in keys/, never here.

# The member's name, as the roster has it.
name = "FR"

[http]
# Where officers' programs and the chappe command reach this node. Loopback only: put a proxy of your own before it.
# Port 0 takes a free one; run/api.json says which.
host = "127.0.0.1"
port = 7440

[log]
# error, warn, info or debug. Log lines hold ids and codes, never content.
level = "info"
`

type Fields = Readonly<Record<string, unknown>>

function refuse(why: string): never {
  throw new ChappeError("config", `node.toml: ${why}`)
}

function tableOf(found: unknown, name: string, keys: readonly string[]): Fields {
  if (found === undefined) return {}
  if (typeof found !== "object" || found === null || Array.isArray(found))
    return refuse(`${name} is not a table`)
  const fields: Fields = { ...found }
  const unknown = Object.keys(fields).find((key) => !keys.includes(key))
  return unknown === undefined ? fields : refuse(`${name} has an unknown key ${unknown}`)
}

/** Refused: `config`, naming the key at fault. */
export function parseNodeConfig(text: string): NodeConfig {
  let parsed: unknown
  try {
    parsed = parse(text)
  } catch (cause) {
    throw new ChappeError("config", "node.toml is not TOML", { cause })
  }
  const fields = tableOf(parsed, "it", ["name", "http", "log"])
  const http = tableOf(fields["http"], "http", ["host", "port"])
  const log = tableOf(fields["log"], "log", ["level"])
  const { name } = fields
  const { host = "127.0.0.1", port = 0 } = http
  const level = logLevels.find((one) => one === (log["level"] ?? "info"))
  if (typeof name !== "string" || !isMemberName(name)) refuse("name is not a member's name")
  if (typeof host !== "string" || host === "") refuse("http.host is not text")
  if (typeof port !== "number" || !Number.isInteger(port) || port < 0 || port > 65_535)
    refuse("http.port is not 0 … 65535")
  if (level === undefined) refuse(`log.level is not one of ${logLevels.join(" ")}`)
  return { name, http: { host, port }, log: { level } }
}

/** Refused: `config`, `file-unreadable`. */
export async function readNodeConfig(directory: string): Promise<NodeConfig> {
  const path = join(directory, "node.toml")
  let text: string
  try {
    text = await readFile(path, "utf8")
  } catch (cause) {
    throw new ChappeError("file-unreadable", `${path} cannot be read`, { cause })
  }
  return parseNodeConfig(text)
}
