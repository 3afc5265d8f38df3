// What every change of a stopped relay begins and ends with: nobody is at work there, and the others hear of it.

import type { KeyEntry } from "../../keys/key-file.ts"
import { equalBytes } from "../../protocol/bytes.ts"
import type { Directory } from "../../protocol/directory.ts"
import { ChappeError } from "../../protocol/errors.ts"
import type { TrustFile, TrustedRelay } from "../../protocol/trust-file.ts"
import type { RelayConfig } from "../../relay/config.ts"
import { directoryIn } from "../doctor/directory-checks.ts"
import { fetchDirectory, linkCredential, postStatement, withAnyRelay } from "../relay-client.ts"
import { RelayDoor } from "../relay-door.ts"
import { type World, nowSeconds } from "../world.ts"

/** Refused: `locked` while its process runs here. */
export async function requireStopped(dir: string): Promise<void> {
  const door = await RelayDoor.of(dir)
  try {
    await door.text({ method: "GET", path: "/metrics" })
  } catch (error) {
    if (error instanceof ChappeError && error.code === "relay-down") return
    throw error
  }
  throw new ChappeError("locked", `a process runs in ${dir}`)
}

/**
 * The directory that a stopped relay's next statements follow: as another relay has it now, with what this
 * folder knows beside. Only a relay that is alone goes by its folder: an old copy's next place in the chain is
 * one that was used. Refused: `key-expired` without a link key to ask with, `no-relay` when none answers,
 * `chain-fork` when folder and network exclude each other.
 */
export async function currentDirectory(
  world: World,
  relay: {
    readonly config: Pick<RelayConfig, "name" | "directory">
    readonly trust: TrustFile
    readonly entries: readonly KeyEntry[]
  },
): Promise<Directory> {
  const { trust, entries } = relay
  const { name, directory: file } = relay.config
  const known = await directoryIn(file, trust)
  const others = trust.relays.filter((other) => other.name !== name)
  if (others.length === 0) return known
  const valid = known.linkKeys(name, nowSeconds(world))
  const link = entries.find(
    ({ use, publicKey }) => use === "link" && valid.some((key) => equalBytes(key, publicKey)),
  )
  if (link === undefined)
    throw new ChappeError("key-expired", `${name} has no link key to ask another relay with`)
  const credential = linkCredential(world, name, link)
  const found = await withAnyRelay({ ...trust, relays: others }, async (other) =>
    fetchDirectory(other, trust.anchor, credential),
  )
  found.applyInOrder(known.statements())
  return found
}

/** The other relays that took all of it; they pass it on. */
export async function tellOthers(
  world: World,
  others: readonly TrustedRelay[],
  statements: readonly Uint8Array[],
): Promise<readonly string[]> {
  const told: string[] = []
  for (const relay of others) {
    try {
      for (const statement of statements) await postStatement(relay, "chain", statement)
      told.push(relay.name)
    } catch (error) {
      if (!(error instanceof ChappeError)) throw error
      world.output.say(`${relay.name}: ${error.message}`)
    }
  }
  return told
}
