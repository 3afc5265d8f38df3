// A trust file (`trust.json`): where somebody's trust starts. Nodes, relays and auditors each have one.
// docs/PROTOCOL.md, "Trust file". JSON, because people compare it by eye and put it under version control.

import { fromHex, toHex } from "./bytes.ts"
import { ChappeError } from "./errors.ts"
import { limits } from "./limits.ts"
import { isRelayName } from "./names.ts"
import type { TrustAnchor } from "./roster.ts"

/** A relay's HTTPS listener; `certificate` in PEM is the only one accepted there. */
export type TrustedRelay = {
  readonly name: string
  readonly url: string
  readonly certificate: string
}

/** The auditor's key that the roster names; paths are relative to the trust file. */
export type AuditorFiles = {
  readonly name: string
  readonly keyFile: string
  readonly secretFile: string
}

export type TrustFile = {
  readonly anchor: TrustAnchor
  readonly relays: readonly TrustedRelay[]
  readonly auditor: AuditorFiles | undefined
}

const type = "chappe/trust/v1"

type Fields = Readonly<Record<string, unknown>>

function refuse(why: string): never {
  throw new ChappeError("config", `trust file: ${why}`)
}

function fieldsOf(found: unknown, what: string, known: readonly string[]): Fields {
  if (typeof found !== "object" || found === null || Array.isArray(found))
    return refuse(`${what} is not an object`)
  const fields: Fields = { ...found }
  const unknown = Object.keys(fields).find((key) => !known.includes(key))
  return unknown === undefined ? fields : refuse(`${what} has an unknown key ${unknown}`)
}

function textOf(fields: Fields, key: string): string {
  const found = fields[key]
  return typeof found === "string" && found !== "" ? found : refuse(`${key} is not text`)
}

function countOf(fields: Fields, key: string): number {
  const found = fields[key]
  return typeof found === "number" && Number.isInteger(found) && found > 0 && found <= 0xffff_ffff
    ? found
    : refuse(`${key} is not a positive integer`)
}

function listOf(found: unknown, key: string, most: number): readonly unknown[] {
  return Array.isArray(found) && found.length <= most
    ? (found as readonly unknown[])
    : refuse(`${key} is not a list of up to ${most}`)
}

function hashOf(found: unknown, key: string): Uint8Array {
  if (typeof found !== "string" || !/^[0-9a-f]{64}$/u.test(found))
    return refuse(`${key} is not 64 hex digits`)
  return fromHex(found)
}

function anchorOf(custodians: unknown, roster: unknown): TrustAnchor {
  const set = fieldsOf(custodians, "custodians", ["threshold", "keys"])
  const known = fieldsOf(roster, "roster", ["number", "id"])
  const keys = listOf(set["keys"], "custodians.keys", limits.custodiansMax).map((key) =>
    hashOf(key, "a custodian's key"),
  )
  const threshold = countOf(set, "threshold")
  if (threshold > keys.length) refuse("the custodians' threshold cannot be met")
  return {
    custodians: { threshold, keys },
    number: countOf(known, "number"),
    rosterId: hashOf(known["id"], "roster.id"),
  }
}

function relayOf(found: unknown): TrustedRelay {
  const fields = fieldsOf(found, "a relay", ["name", "url", "certificate"])
  const name = textOf(fields, "name")
  const url = textOf(fields, "url")
  if (!isRelayName(name)) refuse("a relay's name does not have its form")
  if (!urlForm.test(url)) refuse(`the url of ${name} does not begin with https://`)
  return { name, url, certificate: textOf(fields, "certificate") }
}

const urlForm = /^https:\/\/[^\s/]+$/u

function auditorOf(found: unknown): AuditorFiles {
  const fields = fieldsOf(found, "auditor", ["name", "keyFile", "secretFile"])
  return {
    name: textOf(fields, "name"),
    keyFile: textOf(fields, "keyFile"),
    secretFile: textOf(fields, "secretFile"),
  }
}

/** Refused: `config`, naming the key at fault. */
export function parseTrustFile(text: string): TrustFile {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (cause) {
    throw new ChappeError("config", "trust file: not JSON", { cause })
  }
  const known = ["type", "custodians", "roster", "relays", "auditor"]
  const fields = fieldsOf(parsed, "it", known)
  if (fields["type"] !== type) refuse(`its type is not ${type}`)
  const { auditor } = fields
  return {
    anchor: anchorOf(fields["custodians"], fields["roster"]),
    relays: listOf(fields["relays"] ?? [], "relays", limits.membersMax).map(relayOf),
    auditor: auditor === undefined ? undefined : auditorOf(auditor),
  }
}

/** Indented JSON with a final newline; `parseTrustFile` gives it back. */
export function formatTrustFile({ anchor, relays, auditor }: TrustFile): string {
  const { threshold, keys } = anchor.custodians
  const file = {
    type,
    custodians: { threshold, keys: keys.map(toHex) },
    roster: { number: anchor.number, id: toHex(anchor.rosterId) },
    relays,
    auditor,
  }
  return `${JSON.stringify(file, undefined, 2)}\n`
}
