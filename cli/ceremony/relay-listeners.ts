// Where a relay listens, changed in its `relay.toml`; the operator's own comments and settings stay.

import { ChappeError } from "../../protocol/errors.ts"

export type Listeners = {
  readonly bind: string | undefined
  readonly linksPort: number
  readonly httpsPort: number
}

/** Refused: `config` where [links] or [https] lacks its host or port. */
export function withListeners(text: string, { bind, linksPort, httpsPort }: Listeners): string {
  const ports: Readonly<Record<string, number>> = { links: linksPort, https: httpsPort }
  let section = ""
  const changed = new Set<string>()
  const lines = text.split("\n").map((line) => {
    section = /^\s*\[(?<name>[^\]]+)\]/u.exec(line)?.groups?.["name"] ?? section
    const port = ports[section]
    if (port === undefined) return line
    if (/^\s*port\s*=/u.test(line)) {
      changed.add(`${section} port`)
      return `port = ${port}`
    }
    if (/^\s*host\s*=/u.test(line)) {
      changed.add(`${section} host`)
      return bind === undefined ? line : `host = ${JSON.stringify(bind)}`
    }
    return line
  })
  if (changed.size !== 4)
    throw new ChappeError("config", "relay.toml: [links] and [https] need host and port")
  return lines.join("\n")
}
