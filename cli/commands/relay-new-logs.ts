// `chappe relay new-logs`: a relay whose disk was lost begins new logs under new keys, named by its root.

import { join, resolve } from "node:path"
import { ChainWriter } from "../../keys/chain-writer.ts"
import { newLog } from "../../keys/founding.ts"
import { signingKey } from "../../keys/signing-key.ts"
import { encodeDirectoryBundle } from "../../protocol/directory-bundle.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { readRelayConfig } from "../../relay/config.ts"
import { currentDirectory, requireStopped, tellOthers } from "../ceremony/relay-change.ts"
import type { Command } from "../command.ts"
import { replaceFile, requireEmptyFolder } from "../private-files.ts"
import { readTrust } from "../relay-client.ts"
import { openKeys, passphraseOption, rewriteKeys } from "../secret.ts"
import { type World, nowSeconds } from "../world.ts"

export const relayNewLogs: Command = {
  name: "relay new-logs",
  help: "name new logs with new keys for a relay whose disk was lost; data/ and log/ must be empty",
  arguments: [],
  options: [
    { name: "dir", value: "DIR", needed: true, help: "the relay's folder", offers: "folders" },
    { name: "root", value: "K", needed: true, help: "the relay's root key file", offers: "files" },
    passphraseOption,
  ],
  examples: [
    {
      line: "chappe relay new-logs --dir hub1 --root root/root.key",
      says: "then chappe relay start --dir hub1; nodes hand in again what was not delivered",
    },
  ],
  async run(input, world) {
    const dir = resolve(input.needed("dir"))
    await requireStopped(dir)
    const { name, logs, told } = await beginNewLogs(world, dir, {
      keyFile: input.needed("root"),
      passphraseFile: input.text("passphrase-file"),
    })
    world.output.result(
      { relay: name, logs, told },
      [
        `${name} begins ${logs.join(" and ")}${told.length === 0 ? "" : `; ${told.join(" and ")} passes it on to all nodes`}.`,
        `Now: chappe relay start --dir ${dir}. Nodes hand in again what was not delivered.`,
      ].join("\n"),
    )
    return undefined
  },
}

/** New logs under new keys, which the relay's root signs for; who of the other relays knows. */
export async function beginNewLogs(
  world: World,
  dir: string,
  by: { readonly keyFile: string; readonly passphraseFile: string | undefined },
): Promise<{
  readonly name: string
  readonly logs: readonly string[]
  readonly told: readonly string[]
}> {
  const config = await readRelayConfig(dir)
  const { name } = config
  // The relay must not be able to go on with what is left of the old logs.
  await requireEmptyFolder(config.data)
  await requireEmptyFolder(config.log)
  const trust = await readTrust(join(dir, "trust.json"))
  const entries = await openKeys(world, config.keys.file)
  const directory = await currentDirectory(world, { config, trust, entries })
  const station = directory.station(name)
  if (station === undefined)
    throw new ChappeError("unknown-member", `the roster does not name ${name}`)
  const { keyFile, passphraseFile } = by
  const root = (await openKeys(world, keyFile, passphraseFile)).find(({ use }) => use === "member")
  if (root === undefined) throw new ChappeError("key-file", `${keyFile} holds no root key`)
  const at = nowSeconds(world)
  const chain = new ChainWriter(station)
  const named = nextOrigins(name, station.logs, at).map((origin) => newLog(origin, world.random))
  const statements = named.map(
    ({ body }) =>
      chain.append("log", body, { at, keys: [signingKey("member", root.secret)] }).statement,
  )
  for (const statement of statements) directory.apply("chain", statement)

  // Keys and what the relay starts with are on disk before anybody hears of it.
  const all = [...entries, ...named.flatMap((log) => log.entries)]
  await rewriteKeys(world, { keyFile: config.keys.file, passphraseFile: undefined }, all)
  const bundle = encodeDirectoryBundle({ version: 1, statements: directory.statements() })
  await replaceFile(config.directory, bundle)
  const others = trust.relays.filter((relay) => relay.name !== name)
  const told = await tellOthers(world, others, statements)
  return { name, logs: named.map(({ body }) => body.origin), told }
}

/** `hub1/directory.2` and `hub1/traffic/2027.2` after the first ones. */
function nextOrigins(
  name: string,
  logs: readonly { readonly origin: string }[],
  at: number,
): readonly string[] {
  const numbers = logs.map(({ origin }) => Number(/\.(?<n>\d+)$/u.exec(origin)?.groups?.["n"] ?? 1))
  const next = 1 + Math.max(1, ...numbers)
  const year = new Date(at * 1_000).getUTCFullYear()
  return [`${name}/directory.${next}`, `${name}/traffic/${year}.${next}`]
}
