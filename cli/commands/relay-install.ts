// `chappe relay install`: what a new relay needs to start in a network that runs already.

import { join } from "node:path"
import { encodeDirectoryBundle } from "../../protocol/directory-bundle.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { formatTrustFile } from "../../protocol/trust-file.ts"
import { readFounding } from "../ceremony/relay-founding.ts"
import type { Command } from "../command.ts"
import { writeNew } from "../private-files.ts"
import { auditorCredential, fetchDirectory, readTrust, withAnyRelay } from "../relay-client.ts"

export const relayInstall: Command = {
  name: "relay install",
  help: "put trust and directory of a running network into a new relay's folder, once the roster names it",
  arguments: [],
  options: [
    { name: "dir", value: "DIR", needed: true, help: "the new relay's folder", offers: "folders" },
    {
      name: "trust",
      value: "T",
      needed: true,
      help: "names the network's relays and an auditor's key to read the directory with",
      offers: "files",
    },
  ],
  examples: [{ line: "chappe relay install --dir hub3 --trust trust.json", says: "then start it" }],
  async run(input, world) {
    const dir = input.needed("dir")
    const { trusted } = await readFounding(join(dir, "founding.json"))
    const trustFile = input.needed("trust")
    const trust = await readTrust(trustFile)
    const credential = await auditorCredential(world, trustFile, trust)
    const directory = await withAnyRelay(trust, (relay) =>
      fetchDirectory(relay, trust.anchor, credential),
    )
    if (directory.urls(trusted.name) === undefined)
      throw new ChappeError(
        "unknown-member",
        `the directory does not know ${trusted.name}: publish its roster with --relay first`,
      )
    const relays = [...trust.relays.filter(({ name }) => name !== trusted.name), trusted]
    const bundle = encodeDirectoryBundle({ version: 1, statements: directory.statements() })
    await writeNew(join(dir, "directory.chappe"), bundle)
    await writeNew(
      join(dir, "trust.json"),
      formatTrustFile({ anchor: trust.anchor, relays, auditor: undefined }),
    )
    world.output.result(
      { dir, relay: trusted.name, roster: directory.roster().number },
      `${dir} is ready: chappe relay start --dir ${dir}`,
    )
    return undefined
  },
}
