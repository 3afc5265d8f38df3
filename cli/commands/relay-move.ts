// `chappe relay move`: a relay at another address. Run in the new place with the process stopped.

import { join, resolve } from "node:path"
import { encodeDirectoryBundle } from "../../protocol/directory-bundle.ts"
import { formatTrustFile } from "../../protocol/trust-file.ts"
import { readRelayConfig } from "../../relay/config.ts"
import { addressStatements } from "../ceremony/relay-address.ts"
import { currentDirectory, requireStopped, tellOthers } from "../ceremony/relay-change.ts"
import { httpsCertificateFor } from "../ceremony/relay-founding.ts"
import { withListeners } from "../ceremony/relay-listeners.ts"
import type { Command } from "../command.ts"
import { cliLimits } from "../limits.ts"
import { readText, replaceFile } from "../private-files.ts"
import { readTrust } from "../relay-client.ts"
import { openKeys } from "../secret.ts"
import { type World, nowSeconds } from "../world.ts"

const ports = { min: 1, max: 65_535 } as const

export const relayMove: Command = {
  name: "relay move",
  help: "give a relay that was copied to another host its new address; nodes and relays follow",
  arguments: [],
  options: [
    {
      name: "dir",
      value: "DIR",
      needed: true,
      help: "its folder, in the new place",
      offers: "folders",
    },
    { name: "host", value: "HOST", needed: true, help: "the name or address others reach it by" },
    { name: "bind", value: "ADDRESS", help: "the address to listen on; unchanged unless told" },
    { name: "links-port", value: "7443", help: "for nodes and relays; unchanged unless told" },
    { name: "https-port", value: "8443", help: "for auditors and first contact; likewise" },
    { name: "keep-certificate", help: "keys/https.pem is good for the new name already" },
  ],
  examples: [
    {
      line: "chappe relay move --dir hub1 --host hub1.new.example",
      says: "then chappe relay start --dir hub1, and destroy the old copy",
    },
  ],
  async run(input, world) {
    const dir = resolve(input.needed("dir"))
    await requireStopped(dir)
    const config = await readRelayConfig(dir)
    const { name } = config
    const host = input.needed("host")
    const linksPort = input.integer("links-port", ports) ?? config.links.port
    const httpsPort = input.integer("https-port", ports) ?? config.https.port
    const urls = { links: [`wss://${host}:${linksPort}`], https: [`https://${host}:${httpsPort}`] }
    const trustFile = join(dir, "trust.json")
    const trust = await readTrust(trustFile)
    const entries = await openKeys(world, config.keys.file)
    const directory = await currentDirectory(world, { config, trust, entries })
    const at = nowSeconds(world)
    const statements = addressStatements({ name, directory, entries, urls, at })
    for (const statement of statements) directory.apply("chain", statement)

    // Nothing was changed so far. What the relay starts with comes first: it logs the statements itself.
    const bundle = encodeDirectoryBundle({ version: 1, statements: directory.statements() })
    await replaceFile(config.directory, bundle)
    const toml = join(dir, "relay.toml")
    const text = await readText(toml, cliLimits.statementFileBytesMax)
    const listeners = { bind: input.text("bind"), linksPort, httpsPort }
    await replaceFile(toml, withListeners(text, listeners))
    const certificate = input.flag("keep-certificate")
      ? await readText(config.https.certificate, cliLimits.keyFileBytesMax)
      : await newCertificate(world, { name, host, files: config.https })
    const relays = trust.relays.map((relay) =>
      relay.name === name ? { name, url: urls.https[0] ?? "", certificate } : relay,
    )
    await replaceFile(trustFile, formatTrustFile({ ...trust, relays }))

    const others = trust.relays.filter((relay) => relay.name !== name)
    const told = await tellOthers(world, others, statements)
    world.output.result(
      { relay: name, ...urls, told },
      [
        `${name} is at ${urls.links[0] ?? ""} from now on${told.length === 0 ? "" : `; ${told.join(" and ")} passes it on to all nodes`}.`,
        ...(told.length === 0 && others.length > 0
          ? ["No other relay answered: run this again when one does, or nodes will not find it."]
          : []),
        `Now: chappe relay start --dir ${dir}. Destroy the old copy: two relays with one log key are a fork.`,
      ].join("\n"),
    )
    return undefined
  },
}

async function newCertificate(
  world: World,
  place: {
    readonly name: string
    readonly host: string
    readonly files: { readonly certificate: string; readonly key: string }
  },
): Promise<string> {
  const { certPem, keyPem } = httpsCertificateFor(world, place.name, place.host)
  await replaceFile(place.files.key, keyPem)
  await replaceFile(place.files.certificate, certPem)
  return certPem
}
