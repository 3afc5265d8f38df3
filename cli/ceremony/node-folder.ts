// A node's folder, as `chappe lab init` and `chappe join` write it.

import { join } from "node:path"
import type { FoundedMember, NewOfficer } from "../../keys/founding.ts"
import { nodeConfigTemplate } from "../../node/config.ts"
import type { Role } from "../../protocol/capability.ts"
import { type TrustFile, formatTrustFile } from "../../protocol/trust-file.ts"
import { makeFolder, syncFolder, writeNew } from "../private-files.ts"
import { writeKeysWithSecret } from "../secret.ts"
import type { World } from "../world.ts"

/** The officers that every new node has; a desk's duty officer also decides. */
export function firstOfficers(isDesk: boolean): readonly NewOfficer[] {
  const duty: readonly Role[] = isDesk
    ? ["officer", "releaser", "decider"]
    : ["officer", "releaser"]
  return [
    { officer: "duty", roles: duty },
    { officer: "supervisor", roles: ["supervisor"] },
    { officer: "auditor", roles: ["auditor"] },
    { officer: "operator", roles: ["operator"] },
  ]
}

/** The node's template with this name and port in it. */
export function nodeConfigText(options: {
  readonly name: string
  readonly httpPort: number
}): string {
  return nodeConfigTemplate
    .replace(/^name = .*$/mu, `name = "${options.name}"`)
    .replace(/^port = .*$/mu, `port = ${options.httpPort}`)
}

/** Everything but the root key, which does not belong on this machine. Refused: `file-exists`. */
export async function writeNode(
  world: World,
  dir: string,
  founded: FoundedMember,
  files: {
    readonly config: string
    readonly trust: TrustFile
    readonly directory: Uint8Array
  },
): Promise<void> {
  await writeNew(join(dir, "node.toml"), files.config)
  await writeNew(join(dir, "trust.json"), formatTrustFile(files.trust))
  await writeNew(join(dir, "directory.chappe"), files.directory)
  await writeKeysWithSecret(world, join(dir, "keys/node.key"), founded.node)
  await writeKeysWithSecret(world, join(dir, "keys/standby.key"), founded.standby)
  await writeKeysWithSecret(world, join(dir, "keys/prekeys.key"), founded.prekeys)
  for (const { officer, entries } of founded.officers)
    await writeKeysWithSecret(world, join(dir, `officers/${officer}.key`), entries)
  for (const folder of ["data", "run"]) await makeFolder(join(dir, folder))
  await syncFolder(dir)
}
