// A member's chains as the relays know them now, for its root key to add to.

import { basename, join } from "node:path"
import { ChainWriter } from "../../keys/chain-writer.ts"
import type { KeyEntry } from "../../keys/key-file.ts"
import { type SigningKey, signingKey } from "../../keys/signing-key.ts"
import type { Directory } from "../../protocol/directory.ts"
import { toBase64 } from "../../protocol/bytes.ts"
import { ChappeError } from "../../protocol/errors.ts"
import type { Station } from "../../protocol/station.ts"
import type { TrustFile } from "../../protocol/trust-file.ts"
import type { Option } from "../command.ts"
import { cliLimits } from "../limits.ts"
import type { Invocation } from "../invocation.ts"
import { asOperator } from "../node-client.ts"
import { readText } from "../private-files.ts"
import {
  type Credential,
  auditorCredential,
  fetchDirectory,
  linkCredential,
  postStatement,
  readTrust,
  withAnyRelay,
} from "../relay-client.ts"
import { openKeys, passphraseOption } from "../secret.ts"
import type { World } from "../world.ts"

export const rootOptions: readonly Option[] = [
  { name: "node", value: "DIR", needed: true, help: "the node's folder", offers: "folders" },
  { name: "root", value: "K", help: "the member's root key file", offers: "files" },
  {
    name: "trust",
    value: "T",
    help: "read the directory with this trust file's auditor key, where the node's own key is gone",
    offers: "files",
  },
  passphraseOption,
]

export type MemberChain = {
  readonly name: string
  readonly dir: string
  readonly nodeEntries: readonly KeyEntry[]
  readonly directory: Directory
  readonly station: Station
  readonly chain: ChainWriter
  readonly root: SigningKey
  /** Gives statements to a relay in their order. Refused: what the relay refuses, `no-relay`. */
  readonly publish: (statements: readonly Uint8Array[]) => Promise<void>
}

/** Refused: `no-relay`, `passphrase`, `key-file`, `unknown-member`. */
export async function openMemberChain(input: Invocation, world: World): Promise<MemberChain> {
  const dir = input.needed("node")
  const name = await memberNameIn(dir)
  const nodeEntries = await openKeys(world, join(dir, "keys", "node.key"))
  const trust = await readTrust(join(dir, "trust.json"))
  const credential = await credentialFor(input, world, name, nodeEntries)
  const directory = await withAnyRelay(trust, (relay) =>
    fetchDirectory(relay, trust.anchor, credential),
  )
  const station = directory.station(name)
  if (station === undefined)
    throw new ChappeError("unknown-member", `the roster does not name ${name}`)
  const rootFile = input.needed("root")
  const entries = await openKeys(world, rootFile, input.text("passphrase-file"))
  const entry = entries.find(({ use }) => use === "member")
  if (entry === undefined) throw new ChappeError("key-file", `${rootFile} holds no root key`)
  return {
    name,
    dir,
    nodeEntries,
    directory,
    station,
    chain: new ChainWriter(station),
    root: signingKey("member", entry.secret),
    publish: (statements) => publishAll(dir, trust, statements),
  }
}

export async function memberNameIn(dir: string): Promise<string> {
  const text = await readText(join(dir, "node.toml"), cliLimits.statementFileBytesMax)
  return /^name\s*=\s*"([^"]*)"/mu.exec(text)?.[1] ?? basename(dir)
}

async function credentialFor(
  input: Invocation,
  world: World,
  name: string,
  nodeEntries: readonly KeyEntry[],
): Promise<Credential> {
  const trustFile = input.text("trust")
  if (trustFile !== undefined)
    return auditorCredential(world, trustFile, await readTrust(trustFile))
  const link = nodeEntries.findLast(({ use }) => use === "link")
  if (link === undefined) throw new ChappeError("key-file", "the node's key file has no link key")
  return linkCredential(world, name, link)
}

/** First to the member's own node, which would raise an alarm at a statement that it does not expect. */
async function publishAll(
  dir: string,
  trust: TrustFile,
  statements: readonly Uint8Array[],
): Promise<void> {
  try {
    await asOperator(dir, async (client) => {
      for (const statement of statements)
        await client.post("/v1/statements", { statement: toBase64(statement) })
    })
  } catch (error) {
    // A node that is stopped, or whose operator key has ended, learns them from the relays.
    if (!(error instanceof ChappeError)) throw error
  }
  await withAnyRelay(trust, async (relay) => {
    for (const statement of statements) await postStatement(relay, "chain", statement)
  })
}
