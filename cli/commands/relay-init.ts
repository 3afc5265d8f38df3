import { join, resolve } from "node:path"
import { fingerprintHex, fingerprintWords } from "../../keys/fingerprint.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { isRelayName } from "../../protocol/names.ts"
import { toHex } from "../../protocol/bytes.ts"
import { foundingFile, newRelay, writeRelay } from "../ceremony/relay-founding.ts"
import type { Command } from "../command.ts"
import { requireEmptyFolder, writeNew } from "../private-files.ts"
import { writeKeysWithSecret } from "../secret.ts"

const ports = { min: 1, max: 65_535 } as const

export const relayInit: Command = {
  name: "relay init",
  help: "make a relay's folder, keys and founding file; the custodians' roster comes after",
  arguments: [],
  options: [
    { name: "dir", value: "DIR", needed: true, help: "a new or empty folder", offers: "folders" },
    { name: "name", value: "NAME", needed: true, help: "such as hub1.example; its logs bear it" },
    { name: "host", value: "HOST", needed: true, help: "the name or address others reach it by" },
    { name: "bind", value: "ADDRESS", help: "the address to listen on; all unless told otherwise" },
    { name: "links-port", value: "7443", help: "for nodes and relays" },
    { name: "https-port", value: "8443", help: "for auditors and first contact" },
  ],
  examples: [
    {
      line: "chappe relay init --dir hub1 --name hub1.example --host hub1.example",
      says: "then give hub1/founding.json to the custodians",
    },
  ],
  async run(input, world) {
    const name = input.needed("name")
    if (!isRelayName(name))
      throw new ChappeError("usage", `${name} is not a relay's name: a-z, 0-9, dot and hyphen`)
    const dir = resolve(input.needed("dir"))
    await requireEmptyFolder(dir)
    const relay = newRelay(world, {
      name,
      host: input.needed("host"),
      bind: input.text("bind") ?? "0.0.0.0",
      linksPort: input.integer("links-port", ports) ?? 7_443,
      httpsPort: input.integer("https-port", ports) ?? 8_443,
    })
    await writeRelay(world, dir, relay)
    await writeKeysWithSecret(world, join(dir, "root", "root.key"), relay.founded.root)
    await writeNew(join(dir, "founding.json"), foundingFile(relay))
    const genesis = relay.founded.genesisId
    const fingerprint = genesis.slice(0, 16)
    world.output.result(
      { name, dir, genesis: toHex(genesis), founding: join(dir, "founding.json") },
      [
        `Relay ${name} is in ${dir}. Give ${join(dir, "founding.json")} to the custodians.`,
        `  fingerprint ${fingerprintHex(fingerprint)}`,
        `  in words    ${fingerprintWords(fingerprint)}`,
        `Move ${join(dir, "root")} to a place that is offline: whoever has it can replace the relay's keys.`,
      ].join("\n"),
    )
    return undefined
  },
}
