// The roster: who is a member, which relays and auditors count, and the policy. Signed by the
// custodians, m of n, under TUF's root rules. docs/PROTOCOL.md, "Roster".

import { equalBytes } from "./bytes.ts"
import {
  type Infer,
  ascending,
  bytes,
  decode,
  encode,
  list,
  literal,
  oneOf,
  record,
  uint,
} from "./codec.ts"
import type { Crypto } from "./crypto-ports.ts"
import { time } from "./envelope.ts"
import { ChappeError } from "./errors.ts"
import { limits } from "./limits.ts"
import {
  type MultiSigned,
  type SigningSet,
  decodeMultiSigned,
  meetsThreshold,
  multiSignedId,
} from "./multi-signed.ts"
import { memberName, relayName } from "./names.ts"

/** 0 active, 1 suspended, 2 removed. */
export const memberStatuses = { active: 0, suspended: 1, removed: 2 } as const
const status = oneOf([0, 1, 2] as const)

export const memberFlags = ["desk", "partner", "silver"] as const

/** `threshold` distinct custodians out of `keys` sign each roster. */
export const custodianSet = record({
  threshold: uint(limits.custodiansMax),
  keys: list(bytes(32), 1, limits.custodiansMax),
})
export type CustodianSet = Infer<typeof custodianSet>

const rosterMember = record({
  node: memberName,
  status,
  genesisId: bytes(32),
  flags: ascending(oneOf(memberFlags), (flag) => flag, 0, memberFlags.length),
})
export type RosterMember = Infer<typeof rosterMember>

const rosterRelay = record({ name: relayName, status, genesisId: bytes(32) })
export type RosterRelay = Infer<typeof rosterRelay>

const roster = record({
  version: literal(1),
  number: uint(0xffff_ffff),
  at: time,
  expires: time,
  custodians: custodianSet,
  members: ascending(rosterMember, (member) => member.node, 0, limits.membersMax),
  relays: ascending(rosterRelay, (relay) => relay.name, 1, limits.membersMax),
  auditors: ascending(
    record({ name: relayName, key: bytes(32) }),
    (auditor) => auditor.name,
    0,
    64,
  ),
  policy: record({
    minSuite: uint(0xffff),
    suites: list(record({ suite: uint(0xffff), notAfter: time }), 0, 16),
    maxLifetime: uint(limits.lifetimeSecondsMax),
    witnessPolicy: bytes(32),
    retentionPolicy: bytes(32),
    deliveryPolicy: bytes(32),
  }),
})
/** `number` counts the rosters from 1; `version` is the layout's. */
export type Roster = Infer<typeof roster>

export function encodeRoster(item: Roster): Uint8Array {
  return encode(roster, item)
}

/** Refused: `size`, `not-canonical`, `roster` for a threshold that its keys cannot meet or too short a life. */
export function decodeRoster(encoded: Uint8Array): Roster {
  const item = decode(roster, encoded, limits.statementBytesMax)
  const { threshold, keys } = item.custodians
  if (threshold < 1 || threshold > keys.length)
    throw new ChappeError("roster", "the custodians' threshold cannot be met")
  if (keys.some((key, i) => keys.slice(0, i).some((other) => equalBytes(key, other))))
    throw new ChappeError("roster", "a custodian's key stands twice")
  if (item.expires - item.at < limits.rosterSecondsMin)
    throw new ChappeError("roster", "a roster lasts a year at least")
  if (item.number < 1) throw new ChappeError("roster", "rosters are numbered from 1")
  return item
}

/** Where trust starts: a roster known by number and id, with its custodians. */
export type TrustAnchor = {
  readonly custodians: CustodianSet
  readonly number: number
  readonly rosterId: Uint8Array
}

export type SignedRoster = {
  readonly id: Uint8Array
  readonly roster: Roster
  readonly statement: Uint8Array
}

export function custodianSigners(set: CustodianSet): SigningSet {
  return { use: "custodian", threshold: set.threshold, keys: set.keys }
}

function signedByItself(crypto: Crypto, signed: MultiSigned, item: Roster): void {
  if (!item.custodians.keys.every((key) => crypto.admit(key)))
    throw new ChappeError("key-form", "a custodian's key is not admitted")
  if (!meetsThreshold(crypto, signed, "roster", custodianSigners(item.custodians)))
    throw new ChappeError("roster", "too few of the new custodians signed")
}

/** The first roster that a verifier takes: exactly the one its trust anchor names. */
export function anchorRoster(
  crypto: Crypto,
  statement: Uint8Array,
  anchor: TrustAnchor,
): SignedRoster {
  const signed = decodeMultiSigned(statement)
  const id = multiSignedId(crypto, signed, "roster")
  const item = decodeRoster(signed.body)
  if (item.number !== anchor.number || !equalBytes(id, anchor.rosterId))
    throw new ChappeError("roster", "the roster is not the one that the trust anchor names")
  if (!meetsThreshold(crypto, signed, "roster", custodianSigners(anchor.custodians)))
    throw new ChappeError("roster", "too few of the trusted custodians signed")
  signedByItself(crypto, signed, item)
  return { id, roster: item, statement }
}

/**
 * The roster after `current` (TUF's root rules): number one higher, the threshold of the current
 * custodians and of its own. Refused: `roster`, `signature`, `key-form`.
 */
export function nextRoster(
  crypto: Crypto,
  statement: Uint8Array,
  current: SignedRoster,
): SignedRoster {
  const signed = decodeMultiSigned(statement)
  const item = decodeRoster(signed.body)
  if (item.number !== current.roster.number + 1)
    throw new ChappeError(
      "roster",
      `roster ${item.number} does not follow roster ${current.roster.number}`,
    )
  if (!meetsThreshold(crypto, signed, "roster", custodianSigners(current.roster.custodians)))
    throw new ChappeError("roster", "too few of the current custodians signed")
  signedByItself(crypto, signed, item)
  return { id: multiSignedId(crypto, signed, "roster"), roster: item, statement }
}
