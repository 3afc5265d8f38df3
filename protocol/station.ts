// A station is a member's node or a relay as its chains describe it: the state that the directory
// folds from root and node chain statements. docs/PROTOCOL.md, "Chains".

import { equalBytes, toHex } from "./bytes.ts"
import {
  type ChainBody,
  type ChainStatement,
  type OfficerBody,
  chainBody,
  possessionPae,
  zeroHash,
} from "./chain.ts"
import type { Crypto } from "./crypto-ports.ts"
import { ChappeError } from "./errors.ts"
import { type KeyUse, keyId } from "./key-id.ts"
import { limits } from "./limits.ts"
import { type MultiSigned, type SigningSet, countSigners, meetsThreshold } from "./multi-signed.ts"
import { promiseKeyName } from "./promise.ts"
import { noteKeyTypes, parseVerifierKey } from "./verifier-key.ts"

/** A key that a chain names. `named` is the hex id of the statement that names it. */
export type NamedKey = {
  readonly key: Uint8Array
  readonly keyId: Uint8Array
  readonly notBefore: number
  readonly notAfter: number
  readonly named: string
}

/** A node, standby or relay key with the chain that hangs on it. */
export type StationKey = Omit<NamedKey, "notAfter"> & {
  readonly kind: "node" | "standby" | "relay"
  /** A standby key's life shrinks to a node key's when it is activated. */
  notAfter: number
  readonly incarnation: number
  /** Hex id of its first node-chain statement: that activates a standby key. */
  activated: string | undefined
  seq: number
  head: Uint8Array
  readonly ids: string[]
  forked: boolean
  readonly links: NamedKey[]
  readonly prekeys: (ChainBody<"prekeys"> & { readonly named: string })[]
  urls: ChainBody<"urls"> | undefined
}

export type OfficerKey = NamedKey & {
  readonly officer: string
  readonly capabilities: readonly string[]
  readonly maxPrecedence: number
  /** 0 by the root, one more for each enrolment by an officer. */
  readonly depth: number
}

export type LogNames = ChainBody<"log"> & { readonly named: string }

export type Station = {
  readonly name: string
  readonly role: "member" | "relay"
  threshold: number
  rootKeys: readonly Uint8Array[]
  seq: number
  head: Uint8Array
  readonly ids: string[]
  frozen: boolean
  readonly keys: StationKey[]
  readonly officers: OfficerKey[]
  readonly witnesses: { readonly vkey: string; readonly named: string }[]
  readonly logs: LogNames[]
  homes: readonly string[]
  recovery: Uint8Array | undefined
}

export function newStation(name: string, role: Station["role"]): Station {
  return {
    name,
    role,
    threshold: 0,
    rootKeys: [],
    seq: -1,
    head: zeroHash,
    ids: [],
    frozen: false,
    keys: [],
    officers: [],
    witnesses: [],
    logs: [],
    homes: [],
    recovery: undefined,
  }
}

type Context = {
  readonly crypto: Crypto
  readonly signed: MultiSigned
  readonly id: Uint8Array
  /** Whether the station has revoked this key, as far as is known. */
  readonly isRevoked: (keyId: Uint8Array) => boolean
}

function refuse(why: string): never {
  throw new ChappeError("statement", why)
}

function admitted({ crypto }: Context, key: Uint8Array): void {
  if (!crypto.admit(key)) throw new ChappeError("key-form", "a named key is not admitted")
}

function possessed(
  { crypto }: Context,
  named: {
    readonly name: string
    readonly use: KeyUse
    readonly key: Uint8Array
    readonly possession: Uint8Array
  },
): void {
  if (!crypto.verify(named.key, possessionPae(named.name, named.use, named.key), named.possession))
    throw new ChappeError("possession")
}

function lifetime(notBefore: number, notAfter: number, secondsMax: number): void {
  if (notAfter <= notBefore || notAfter - notBefore > secondsMax)
    refuse("a key's life is out of bounds")
}

/** The highest incarnation of the keys in use; 0 for none. A standby key is in use once its own chain begins. */
export function incarnationOf(station: Station): number {
  const inUse = station.keys.filter(
    ({ kind, activated }) => kind !== "standby" || activated !== undefined,
  )
  return Math.max(0, ...inUse.map(({ incarnation }) => incarnation))
}

export function rootSigners(station: Station): SigningSet {
  return { use: "member", threshold: station.threshold, keys: station.rootKeys }
}

/** Whether the root keys signed; decides which chain an `officer` statement belongs to. */
export function isRootSigned(crypto: Crypto, station: Station, signed: MultiSigned): boolean {
  return (
    station.rootKeys.length > 0 && meetsThreshold(crypto, signed, "member", rootSigners(station))
  )
}

/**
 * The next statement of a root chain. Its place is checked by the directory; here its signatures and body.
 * Refused: `statement`, `signature`, `possession`, `key-form`.
 */
export function extendRootChain(context: Context, station: Station, item: ChainStatement): void {
  const { crypto, signed, id } = context
  const named = toHex(id)
  if (item.op === "genesis") applyGenesis(context, station, chainBody("genesis", item))
  else if (!isRootSigned(crypto, station, signed)) refuse("too few root keys signed")
  switch (item.op) {
    case "genesis":
      break
    case "root": {
      const body = chainBody("root", item)
      rootKeysOf(context, body)
      if (!meetsThreshold(crypto, signed, "member", { use: "member", ...body }))
        refuse("too few of the new root keys signed")
      station.threshold = body.threshold
      station.rootKeys = body.keys
      break
    }
    case "node":
    case "standby": {
      if (station.role !== "member") refuse("relays have no node keys")
      const body = chainBody(item.op, item)
      const current = incarnationOf(station)
      if (item.op === "node" && body.incarnation < Math.max(1, current))
        refuse("the incarnation has ended")
      if (item.op === "standby" && body.incarnation !== current + 1)
        refuse("a standby key is of the next incarnation")
      const lifeMax = item.op === "node" ? limits.nodeKeySecondsMax : limits.standbyKeySecondsMax
      lifetime(body.notBefore, body.notAfter, lifeMax)
      stationKey(context, station, { ...body, kind: item.op, use: "node", named })
      break
    }
    case "relay": {
      if (station.role !== "relay") refuse("members have no relay keys")
      const body = chainBody("relay", item)
      lifetime(body.notBefore, body.notAfter, limits.nodeKeySecondsMax)
      stationKey(context, station, { ...body, incarnation: 0, kind: "relay", use: "relay", named })
      break
    }
    case "witness": {
      const body = chainBody("witness", item)
      const { publicKey } = noteKey(context, body.vkey, station.name, noteKeyTypes.cosignature)
      const { possession } = body
      possessed(context, { name: station.name, use: "witness", key: publicKey, possession })
      station.witnesses.push({ vkey: body.vkey, named })
      break
    }
    case "relays":
      if (station.role !== "member") refuse("relays have no homes")
      station.homes = chainBody("relays", item).names
      break
    case "log": {
      if (station.role !== "relay") refuse("members have no logs")
      const body = chainBody("log", item)
      if (!body.origin.startsWith(`${station.name}/`)) refuse("a log is named after its relay")
      noteKey(context, body.logVkey, body.origin, noteKeyTypes.ed25519)
      noteKey(context, body.promiseVkey, promiseKeyName(body.origin), noteKeyTypes.ed25519)
      station.logs.push({ ...body, named })
      break
    }
    case "recovery":
      station.recovery = chainBody("recovery", item).key
      break
    case "officer":
      station.officers.push(officerKey(context, station, chainBody("officer", item), 0))
      break
    case "revoke":
    case "link":
    case "prekeys":
    case "urls":
      refuse(`${item.op} does not belong in a root chain`)
  }
}

function noteKey(
  { crypto }: Context,
  vkey: string,
  name: string,
  type: number,
): { readonly publicKey: Uint8Array } {
  const key = parseVerifierKey(crypto, vkey)
  if (key.name !== name || key.type !== type)
    refuse(`a verifier key is not ${name}'s, type ${type}`)
  return key
}

function rootKeysOf(context: Context, body: ChainBody<"root">): void {
  for (const key of body.keys) admitted(context, key)
  if (body.threshold < 1 || body.threshold > body.keys.length)
    refuse("the root threshold cannot be met")
  if (body.keys.some((key, i) => body.keys.slice(0, i).some((other) => equalBytes(key, other))))
    refuse("a root key stands twice")
}

function applyGenesis(context: Context, station: Station, body: ChainBody<"genesis">): void {
  rootKeysOf(context, body)
  if (!meetsThreshold(context.crypto, context.signed, "member", { use: "member", ...body }))
    refuse("too few root keys signed the genesis")
  station.threshold = body.threshold
  station.rootKeys = body.keys
}

function stationKey(
  context: Context,
  station: Station,
  named: {
    readonly key: Uint8Array
    readonly incarnation: number
    readonly notBefore: number
    readonly notAfter: number
    readonly possession: Uint8Array
    readonly kind: StationKey["kind"]
    readonly use: KeyUse
    readonly named: string
  },
): void {
  admitted(context, named.key)
  possessed(context, { ...named, name: station.name })
  if (station.keys.some(({ key }) => equalBytes(key, named.key))) refuse("the key was named before")
  station.keys.push({
    key: named.key,
    keyId: keyId(context.crypto.sha256, named.use, named.key),
    notBefore: named.notBefore,
    notAfter: named.notAfter,
    named: named.named,
    kind: named.kind,
    incarnation: named.incarnation,
    activated: undefined,
    seq: -1,
    head: context.id,
    ids: [],
    forked: false,
    links: [],
    prekeys: [],
    urls: undefined,
  })
}

function officerKey(
  context: Context,
  station: Station,
  body: OfficerBody,
  depth: number,
): OfficerKey {
  if (station.role !== "member") refuse("relays have no officers")
  if (!body.officer.startsWith(`${station.name}/`)) refuse("an officer is named after the member")
  lifetime(body.notBefore, body.notAfter, limits.officerKeySecondsMax)
  admitted(context, body.key)
  possessed(context, { ...body, name: station.name, use: "officer" })
  return {
    key: body.key,
    keyId: keyId(context.crypto.sha256, "officer", body.key),
    notBefore: body.notBefore,
    notAfter: body.notAfter,
    named: toHex(context.id),
    officer: body.officer,
    capabilities: body.capabilities,
    maxPrecedence: body.maxPrecedence,
    depth,
  }
}

/** The station key that signed a node-chain statement. */
export function chainKeyOf(station: Station, signed: MultiSigned): StationKey | undefined {
  return station.keys.find(({ keyId: id }) =>
    signed.signatures.some((line) => equalBytes(line.keyId, id)),
  )
}

export function isSignedByStationKey(
  crypto: Crypto,
  station: Station,
  key: StationKey,
  signed: MultiSigned,
): boolean {
  const use = station.role === "member" ? "node" : "relay"
  return countSigners(crypto, signed, "member", { use, keys: [key.key] }) === 1
}

/** The next statement of a node chain: its signature was checked by the directory. */
export function extendNodeChain(
  context: Context,
  station: Station,
  key: StationKey,
  item: ChainStatement,
): void {
  const named = toHex(context.id)
  const activates = key.kind === "standby" && key.activated === undefined
  if (activates && key.incarnation <= incarnationOf(station))
    refuse("the standby key's incarnation has begun without it")
  switch (item.op) {
    case "link": {
      const body = chainBody("link", item)
      lifetime(item.at, body.notAfter, limits.nodeKeySecondsMax)
      admitted(context, body.key)
      possessed(context, { ...body, name: station.name, use: "link" })
      const id = keyId(context.crypto.sha256, "link", body.key)
      key.links.push({ key: body.key, keyId: id, notBefore: 0, notAfter: body.notAfter, named })
      break
    }
    case "prekeys":
      if (station.role !== "member") refuse("relays have no prekeys")
      key.prekeys.push({ ...chainBody("prekeys", item), named })
      break
    case "urls":
      if (station.role !== "relay") refuse("members have no urls")
      key.urls = chainBody("urls", item)
      break
    case "officer":
      station.officers.push(enrolledOfficer(context, station, item))
      break
    case "genesis":
    case "root":
    case "node":
    case "standby":
    case "witness":
    case "relays":
    case "relay":
    case "log":
    case "recovery":
    case "revoke":
      refuse(`${item.op} does not belong in a node chain`)
  }
  key.activated ??= named
  if (activates) key.notAfter = Math.min(key.notAfter, item.at + limits.nodeKeySecondsMax)
}

/** An officer enrolled by another, who must hold `enrol/officer` and every capability given. */
function enrolledOfficer(context: Context, station: Station, item: ChainStatement): OfficerKey {
  const { crypto, signed } = context
  const body = chainBody("officer", item)
  const enroller = station.officers.find(
    (officer) =>
      officer.capabilities.includes("enrol/officer") &&
      officer.notBefore <= item.at &&
      item.at <= officer.notAfter &&
      !context.isRevoked(officer.keyId) &&
      countSigners(crypto, signed, "member", { use: "officer", keys: [officer.key] }) === 1,
  )
  if (enroller === undefined) refuse("no officer who may enrol signed")
  const excess = body.capabilities.find((given) => !enroller.capabilities.includes(given))
  if (excess !== undefined || body.maxPrecedence > enroller.maxPrecedence)
    throw new ChappeError("capability", `the enroller does not hold ${excess ?? "that precedence"}`)
  if (enroller.depth >= limits.delegationDepthMax) refuse("the delegation is too deep")
  return officerKey(context, station, body, enroller.depth + 1)
}
