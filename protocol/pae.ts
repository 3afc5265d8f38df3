// DSSE pre-authentication encoding (secure-systems-lab/dsse, protocol.md): what every signature covers.
// One type string per purpose, so that no statement can pass for one of another kind.

import { concat, utf8 } from "./bytes.ts"
import type { Sha256 } from "./crypto-ports.ts"

export const statementTypes = [
  "envelope",
  "content",
  "receipt",
  "control",
  "batch",
  "roster",
  "member",
  "possession",
  "room",
  "hello",
  "entry",
] as const
export type StatementType = (typeof statementTypes)[number]

function typeName(type: StatementType): string {
  const suffix = type === "entry" ? "" : "+msgpack"
  return `application/vnd.chappe.${type}.v1${suffix}`
}

/** `"DSSEv1" SP len(type) SP type SP len(body) SP body`, lengths in decimal. */
export function pae(type: StatementType, body: Uint8Array): Uint8Array {
  const name = typeName(type)
  return concat(utf8(`DSSEv1 ${name.length} ${name} ${body.length} `), body)
}

/** SHA-256 of the PAE, 32 bytes: a statement's name. For an envelope's header it is the messageId. */
export function statementId(sha256: Sha256, type: StatementType, body: Uint8Array): Uint8Array {
  return sha256(pae(type, body))
}
