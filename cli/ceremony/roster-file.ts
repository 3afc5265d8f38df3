// A roster in a file: a multi-signed statement, to which each custodian adds a line.

import { crypto } from "../../keys/crypto.ts"
import { fingerprintHex, fingerprintWords } from "../../keys/fingerprint.ts"
import { toHex } from "../../protocol/bytes.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { countSigners, decodeMultiSigned, multiSignedId } from "../../protocol/multi-signed.ts"
import { type Roster, decodeRoster, memberStatuses } from "../../protocol/roster.ts"
import { formatTime } from "../duration.ts"
import type { JsonObject } from "../json.ts"
import { cliLimits } from "../limits.ts"
import type { Output } from "../output.ts"
import { readBytes } from "../private-files.ts"

export type RosterFile = {
  readonly statement: Uint8Array
  readonly id: Uint8Array
  readonly roster: Roster
  /** How many of its own custodians signed; a line that does not hold is refused. */
  readonly signers: number
}

/** Refused: `file-unreadable`, `roster`, `signature`. */
export async function readRosterFile(path: string): Promise<RosterFile> {
  return rosterOf(await readBytes(path, cliLimits.statementFileBytesMax))
}

export function rosterOf(statement: Uint8Array): RosterFile {
  const signed = decodeMultiSigned(statement)
  const roster = decodeRoster(signed.body)
  const set = { use: "custodian", keys: roster.custodians.keys } as const
  return {
    statement,
    id: multiSignedId(crypto, signed, "roster"),
    roster,
    signers: countSigners(crypto, signed, "roster", set),
  }
}

function statusName(status: number): string {
  const found = Object.entries(memberStatuses).find(([, number]) => number === status)
  if (found === undefined) throw new ChappeError("roster", `unknown status ${status}`)
  return found[0]
}

export function rosterObject({ roster, id, signers }: RosterFile): JsonObject {
  return {
    number: roster.number,
    id: toHex(id),
    at: roster.at,
    expires: roster.expires,
    signatures: signers,
    custodians: {
      threshold: roster.custodians.threshold,
      keys: roster.custodians.keys.map(toHex),
    },
    members: roster.members.map(({ node, status, genesisId, flags }) => ({
      name: node,
      status: statusName(status),
      genesis: toHex(genesisId),
      flags: [...flags],
    })),
    relays: roster.relays.map(({ name, status, genesisId }) => ({
      name,
      status: statusName(status),
      genesis: toHex(genesisId),
    })),
    auditors: roster.auditors.map(({ name, key }) => ({ name, key: toHex(key) })),
    policy: {
      minSuite: roster.policy.minSuite,
      maxLifetime: roster.policy.maxLifetime,
      witnessPolicy: toHex(roster.policy.witnessPolicy),
      retentionPolicy: toHex(roster.policy.retentionPolicy),
      deliveryPolicy: toHex(roster.policy.deliveryPolicy),
    },
  }
}

/** What a custodian reads before signing: the words are compared over the telephone. */
export function rosterText(output: Output, file: RosterFile): string {
  const { roster, id, signers } = file
  const fingerprint = id.slice(0, 16)
  return [
    output.style("bold", `Roster ${roster.number}`),
    `  ${signers} of ${roster.custodians.threshold} needed signatures, ${roster.custodians.keys.length} custodians`,
    `  from ${formatTime(roster.at)} to ${formatTime(roster.expires)}`,
    `  fingerprint ${fingerprintHex(fingerprint)}`,
    `  in words    ${fingerprintWords(fingerprint)}`,
    "",
    output.table([
      ...roster.members.map(({ node, status, flags, genesisId }) => [
        `  member  ${node}`,
        statusName(status),
        flags.join(" "),
        toHex(genesisId).slice(0, 16),
      ]),
      ...roster.relays.map(({ name, status, genesisId }) => [
        `  relay   ${name}`,
        statusName(status),
        "",
        toHex(genesisId).slice(0, 16),
      ]),
      ...roster.auditors.map(({ name }) => [`  auditor ${name}`, "", "", ""]),
    ]),
  ].join("\n")
}
