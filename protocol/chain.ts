// Chain statements: how a member or relay names its keys. A root chain signed by offline root keys,
// and for each node or relay key a node chain. docs/PROTOCOL.md, "Chains".

import {
  type Infer,
  ascending,
  bytes,
  chosen,
  decode,
  encode,
  list,
  literal,
  nullable,
  oneOf,
  record,
  text,
  uint,
  value,
} from "./codec.ts"
import { directoryHead, lanes, time } from "./envelope.ts"
import { type KeyUse, keyUses } from "./key-id.ts"
import { limits } from "./limits.ts"
import { capabilityName, codeName, logOrigin, officerId, relayName, stationName } from "./names.ts"
import { pae } from "./pae.ts"

const publicKey = bytes(32)
const signature = bytes(64)
const incarnation = uint(0xffff_ffff)
const vkey = text(256)
const url = text(256, /^(?:wss|https|ws|http):\/\/[^\s]+$/u)

const keyWithLife = record({
  key: publicKey,
  incarnation,
  notBefore: time,
  notAfter: time,
  possession: signature,
})

const officerBody = record({
  officer: officerId,
  key: publicKey,
  capabilities: ascending(capabilityName, (capability) => capability, 0, 64),
  maxPrecedence: oneOf(lanes),
  notBefore: time,
  notAfter: time,
  possession: signature,
})
export type OfficerBody = Infer<typeof officerBody>

/** The body of each operation. */
export const chainBodies = {
  genesis: record({
    threshold: uint(limits.rootKeysMax),
    keys: list(publicKey, 1, limits.rootKeysMax),
  }),
  root: record({
    threshold: uint(limits.rootKeysMax),
    keys: list(publicKey, 1, limits.rootKeysMax),
  }),
  node: keyWithLife,
  standby: keyWithLife,
  witness: record({ vkey, possession: signature }),
  relays: record({ names: list(relayName, 1, 16) }),
  relay: record({ key: publicKey, notBefore: time, notAfter: time, possession: signature }),
  log: record({ origin: logOrigin, logVkey: vkey, promiseVkey: vkey }),
  recovery: record({ key: bytes(1_216) }),
  officer: officerBody,
  revoke: record({ keyId: bytes(16), reason: codeName }),
  link: record({ key: publicKey, notAfter: time, possession: signature }),
  prekeys: record({
    firstDay: uint(0xffff_ffff),
    suites: list(uint(0xffff), 1, 16),
    hashes: list(bytes(32), limits.prekeyPeriodDays, limits.prekeyPeriodDays),
  }),
  urls: record({ links: list(url, 1, 8), https: list(url, 1, 8) }),
} as const
export type ChainOp = keyof typeof chainBodies
export type ChainBody<Op extends ChainOp> = Infer<(typeof chainBodies)[Op]>

const chainOps = [
  "genesis",
  "root",
  "node",
  "standby",
  "witness",
  "relays",
  "relay",
  "log",
  "recovery",
  "officer",
  "revoke",
  "link",
  "prekeys",
  "urls",
] as const satisfies readonly ChainOp[]

const chainStatement = record({
  version: literal(1),
  name: stationName,
  seq: nullable(uint(0xffff_ffff)),
  prev: nullable(bytes(32)),
  op: oneOf(chainOps),
  at: time,
  head: directoryHead,
  body: value,
})
/** `seq` and `prev` are nil in `revoke` only, so that it can be signed beforehand. */
export type ChainStatement = Infer<typeof chainStatement>

export function encodeChainStatement(item: ChainStatement): Uint8Array {
  return encode(chainStatement, item)
}

export function decodeChainStatement(encoded: Uint8Array): ChainStatement {
  return decode(chainStatement, encoded, limits.statementBytesMax)
}

/** The statement's body by the layout of its operation. Refused: `not-canonical`. */
export function chainBody<Op extends ChainOp>(op: Op, statement: ChainStatement): ChainBody<Op> {
  return chosen(chainBodies, op).fromValue(statement.body, op)
}

export function chainBodyValue<Op extends ChainOp>(
  op: Op,
  body: ChainBody<Op>,
): ChainStatement["body"] {
  return chosen(chainBodies, op).toValue(body)
}

const possession = record({
  name: stationName,
  use: oneOf(keyUses),
  key: bytes(1, 2_048),
})

/** What a key signs to show that its owner holds it. */
export function possessionPae(name: string, use: KeyUse, key: Uint8Array): Uint8Array {
  return pae("possession", encode(possession, { name, use, key }))
}

export const zeroHash: Uint8Array = new Uint8Array(32)
