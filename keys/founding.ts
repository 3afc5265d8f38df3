// Founding a member or a relay: its first keys, and the statements that name them. docs/PROTOCOL.md, "Joining".
// Pure: randomness and time come in, key files' entries and statements go out. The root key belongs offline.

import { emptyBytes } from "../protocol/bytes.ts"
import { capabilitiesOf, type Role } from "../protocol/capability.ts"
import type { ChainBody } from "../protocol/chain.ts"
import { typedKeyHash } from "../protocol/key-id.ts"
import { limits } from "../protocol/limits.ts"
import { promiseKeyName } from "../protocol/promise.ts"
import { formatVerifierKey, noteKeyTypes, verifierKey } from "../protocol/verifier-key.ts"
import { ChainWriter, newRootChain } from "./chain-writer.ts"
import { sha256 } from "./crypto.ts"
import { generateKeyPair } from "./ed25519.ts"
import type { Random } from "./hedge.ts"
import type { KeyEntry, SecretUse } from "./key-file.ts"
import { dayOf, newPrekeyPeriod, publicKeysOf } from "./prekey-period.ts"
import { type SigningKey, signingKey } from "./signing-key.ts"
import { possessionOf } from "./statements.ts"

/** A key with the entry that goes into its key file. */
type NewKey = { readonly key: SigningKey; readonly entry: KeyEntry }

export function newSigningKey(use: SigningKey["use"], random: Random): NewKey {
  const secret = random(32)
  const key = signingKey(use, secret)
  return { key, entry: { use, publicKey: key.publicKey, secret } }
}

function newNoteKey(use: SecretUse, name: string, type: number, random: Random) {
  const secret = random(32)
  const { publicKey } = generateKeyPair(secret)
  const vkey = formatVerifierKey(verifierKey(sha256, name, type, publicKey))
  return { entry: { use, publicKey, secret }, vkey }
}

/** What a new member or relay has besides its key files. `statements`: its genesis first. */
type Founded = {
  readonly genesisId: Uint8Array
  readonly statements: readonly Uint8Array[]
  readonly root: readonly KeyEntry[]
}

/** Validity of keys made at `at`: from a clock's tolerance earlier on. */
export function lifeFrom(
  at: number,
  seconds: number,
): { readonly notBefore: number; readonly notAfter: number } {
  const notBefore = at - limits.clockSkewSecondsMax
  return { notBefore, notAfter: notBefore + seconds }
}

const yearSeconds = 365 * limits.secondsPerDay

/** A member's new witness key, and the body of the statement that names it. */
export function newWitnessKey(
  member: string,
  random: Random,
): { readonly entry: KeyEntry; readonly body: ChainBody<"witness"> } {
  const { entry, vkey } = newNoteKey("witness", member, noteKeyTypes.cosignature, random)
  const possession = possessionOf(member, signingKey("witness", entry.secret))
  return { entry, body: { vkey, possession } }
}

/** An officer to be enrolled by the root. `officer`: the part after the slash. */
export type NewOfficer = { readonly officer: string; readonly roles: readonly Role[] }

/** An officer's new key, and the body of the statement that enrols it. */
export function newOfficer(
  member: string,
  { officer, roles }: NewOfficer,
  at: number,
  random: Random,
): { readonly entry: KeyEntry; readonly body: ChainBody<"officer"> } {
  const { key, entry } = newSigningKey("officer", random)
  const body: ChainBody<"officer"> = {
    officer: `${member}/${officer}`,
    key: key.publicKey,
    capabilities: capabilitiesOf(roles),
    maxPrecedence: 3,
    ...lifeFrom(at, limits.officerKeySecondsMax),
    possession: possessionOf(member, key),
  }
  return { entry, body }
}

/** Entries of each key file, as `chappe lab init` and `chappe join` write them. */
export type FoundedMember = Founded & {
  readonly node: readonly KeyEntry[]
  readonly standby: readonly KeyEntry[]
  /** For each period the KEM key of its first day, and the seed: handed to the node, then erased. */
  readonly prekeys: readonly KeyEntry[]
  readonly prekeyPublicKeys: readonly Uint8Array[]
  readonly officers: readonly { readonly officer: string; readonly entries: readonly KeyEntry[] }[]
}

/** A member with one root key, its first node key, a standby key, homes, officers and 56 days of prekeys. */
export function foundMember(input: {
  readonly name: string
  readonly homes: readonly string[]
  readonly officers: readonly NewOfficer[]
  readonly at: number
  readonly random: Random
}): FoundedMember {
  const { name, homes, at, random } = input
  const root = newSigningKey("member", random)
  const node = newSigningKey("node", random)
  const link = newSigningKey("link", random)
  const standby = newSigningKey("node", random)
  const witness = newWitnessKey(name, random)

  const chain = new ChainWriter(newRootChain(name))
  const byRoot = { at, keys: [root.key] }
  const genesis = chain.append("genesis", { threshold: 1, keys: [root.key.publicKey] }, byRoot)
  const nodeLife = lifeFrom(at, limits.nodeKeySecondsMax)
  const naming = chain.append(
    "node",
    {
      key: node.key.publicKey,
      incarnation: 1,
      ...nodeLife,
      possession: possessionOf(name, node.key),
    },
    byRoot,
  )
  const statements = [
    genesis,
    naming,
    chain.append(
      "standby",
      {
        key: standby.key.publicKey,
        incarnation: 2,
        ...lifeFrom(at, yearSeconds),
        possession: possessionOf(name, standby.key),
      },
      byRoot,
    ),
    chain.append("witness", witness.body, byRoot),
    chain.append("relays", { names: homes }, byRoot),
  ]
  const officers = input.officers.map((one) => {
    const { entry, body } = newOfficer(name, one, at, random)
    statements.push(chain.append("officer", body, byRoot))
    return { officer: one.officer, entries: [entry] }
  })

  const nodeChain = new ChainWriter({ name, seq: -1, head: naming.id })
  const byNode = { at, keys: [node.key] }
  const linkBody = { key: link.key.publicKey, possession: possessionOf(name, link.key) }
  statements.push(nodeChain.append("link", { ...linkBody, notAfter: nodeLife.notAfter }, byNode))
  const periods = [0, limits.prekeyPeriodDays].map((ahead) => newPrekeys(dayOf(at) + ahead, random))
  for (const { body } of periods) statements.push(nodeChain.append("prekeys", body, byNode))

  const symmetric = (use: "hedge" | "data"): KeyEntry => ({
    use,
    publicKey: emptyBytes,
    secret: random(32),
  })
  return {
    genesisId: genesis.id,
    statements: statements.map(({ statement }) => statement),
    root: [root.entry],
    node: [node.entry, link.entry, witness.entry, symmetric("hedge"), symmetric("data")],
    standby: [standby.entry],
    prekeys: periods.map(({ entry }) => entry),
    prekeyPublicKeys: periods.flatMap(({ publicKeys }) => publicKeys),
    officers,
  }
}

function newPrekeys(firstDay: number, random: Random) {
  const seed = random(32)
  const publicKeys = publicKeysOf(newPrekeyPeriod(firstDay, seed))
  const hashes = publicKeys.map((key) => typedKeyHash(sha256, "prekey", key))
  const entry: KeyEntry = {
    use: "prekey",
    publicKey: publicKeys[0] ?? emptyBytes,
    secret: seed,
  }
  return { entry, publicKeys, body: { firstDay, suites: [1], hashes } }
}

/** A log's new keys, and the body of the statement that names it. */
export function newLog(
  origin: string,
  random: Random,
): { readonly entries: readonly KeyEntry[]; readonly body: ChainBody<"log"> } {
  const log = newNoteKey("log", origin, noteKeyTypes.ed25519, random)
  const promise = newNoteKey("promise", promiseKeyName(origin), noteKeyTypes.ed25519, random)
  const body = { origin, logVkey: log.vkey, promiseVkey: promise.vkey }
  return { entries: [log.entry, promise.entry], body }
}

export type FoundedRelay = Founded & { readonly relay: readonly KeyEntry[] }

/** 90-day keys that overlap by 14 days: five of them last more than a year. */
const relayKeyEveryDays = 76
const relayKeys = 5

/**
 * A relay with a year of staggered keys, each with its link key, and its two logs. The later keys' own
 * statements are dated at the beginning of that key's life.
 */
export function foundRelay(input: {
  readonly name: string
  readonly links: readonly string[]
  readonly https: readonly string[]
  readonly logYear: number
  readonly at: number
  readonly random: Random
}): FoundedRelay {
  const { name, at, random } = input
  const root = newSigningKey("member", random)
  const chain = new ChainWriter(newRootChain(name))
  const byRoot = { at, keys: [root.key] }
  const genesis = chain.append("genesis", { threshold: 1, keys: [root.key.publicKey] }, byRoot)
  const statements = [genesis]
  const ofKeys: (typeof genesis)[] = []
  const keys: KeyEntry[] = []
  const linkKeys: KeyEntry[] = []
  for (let i = 0; i < relayKeys; i++) {
    const start = at + i * relayKeyEveryDays * limits.secondsPerDay
    const life = lifeFrom(start, limits.nodeKeySecondsMax)
    const relay = newSigningKey("relay", random)
    const link = newSigningKey("link", random)
    const possession = possessionOf(name, relay.key)
    const naming = chain.append("relay", { key: relay.key.publicKey, ...life, possession }, byRoot)
    statements.push(naming)
    const keyChain = new ChainWriter({ name, seq: -1, head: naming.id })
    const byRelay = { at: start, keys: [relay.key] }
    const linkBody = { key: link.key.publicKey, possession: possessionOf(name, link.key) }
    ofKeys.push(
      keyChain.append("link", { ...linkBody, notAfter: life.notAfter }, byRelay),
      keyChain.append("urls", { links: input.links, https: input.https }, byRelay),
    )
    keys.push(relay.entry)
    linkKeys.push(link.entry)
  }
  const logKeys: KeyEntry[] = []
  for (const origin of [`${name}/directory`, `${name}/traffic/${input.logYear}`]) {
    const { entries, body } = newLog(origin, random)
    statements.push(chain.append("log", body, byRoot))
    logKeys.push(...entries)
  }
  return {
    genesisId: genesis.id,
    statements: [...statements, ...ofKeys].map(({ statement }) => statement),
    root: [root.entry],
    relay: [...keys, ...linkKeys, ...logKeys],
  }
}
