// Controls: signed requests between nodes that are no messages: gap, body, note, probe.
// docs/PROTOCOL.md, "Controls". Acknowledged cumulatively by n, never receipted.

import {
  type Infer,
  type Tagged,
  bytes,
  decode,
  encode,
  list,
  literal,
  nullable,
  oneOf,
  record,
  tagged,
  uint,
  value,
} from "./codec.ts"
import { lanes, messageIdentity, time } from "./envelope.ts"
import { limits } from "./limits.ts"
import { memberName, relayName } from "./names.ts"
import { pae } from "./pae.ts"

const control = record({
  version: literal(1),
  from: memberName,
  to: memberName,
  n: uint(0xffff_ffff),
  at: time,
  op: oneOf(["gap", "body", "note", "probe"] as const),
  body: value,
})
export type Control = Infer<typeof control>

export function encodeControl(item: Control): Uint8Array {
  return encode(control, item)
}

export function decodeControl(encoded: Uint8Array): Control {
  return decode(control, encoded, limits.leafBytesMax)
}

const signedControl = record({
  control: bytes(1, limits.leafBytesMax),
  keyId: bytes(16),
  signature: bytes(64),
})
/** A control as it travels: the statement's bytes and the node key's direct signature over its PAE. */
export type SignedControl = Infer<typeof signedControl>

export function encodeSignedControl(item: SignedControl): Uint8Array {
  return encode(signedControl, item)
}

export function decodeSignedControl(encoded: Uint8Array): SignedControl {
  return decode(signedControl, encoded, 2 * limits.leafBytesMax)
}

export function controlPae(encoded: Uint8Array): Uint8Array {
  return pae("control", encoded)
}

/** Body of `gap`: the asker lacks channel numbers first … last of this incarnation and lane. */
export const gapBody = record({
  incarnation: uint(0xffff_ffff),
  lane: oneOf(lanes),
  first: uint(0xffff_ffff),
  last: uint(0xffff_ffff),
})

/** Body of `probe`, a node's echo: the relay that asked, and what it drew at random. */
export const probeBody = record({ relay: relayName, nonce: bytes(32) })

/** Body of `body`: no relay gives the asker this attachment of that message. */
export const wantedBody = record({ messageId: bytes(32), hash: bytes(32) })

export const missedOutcomes = ["delivered", "rejected", "expired"] as const
export type MissedOutcome = (typeof missedOutcomes)[number]

const missedReport = record({
  kind: literal(1),
  id: messageIdentity,
  messageId: nullable(bytes(32)),
  recipient: memberName,
  lane: oneOf(lanes),
  created: time,
  deadline: time,
  expires: time,
  relays: list(relayName, 0, limits.reportedRelaysMax),
  outcome: nullable(record({ step: oneOf(missedOutcomes), at: time })),
})
const notes = {
  missed: missedReport,
  heard: record({ kind: literal(2), report: bytes(32) }),
} as const
/** Body of `note`. */
export const noteBody = tagged(notes)
export type Note = Tagged<typeof notes>
/** A note that is a report; the same bytes. */
export const missedNote = tagged({ missed: missedReport } as const)
/**
 * A sender's node tells the desk that a recipient has not signed for a message at its lane's deadline.
 * `messageId` nil: no key was at hand to seal it. `relays`: which had custody. `outcome`: what became of
 * it in the end. `heard` answers with the hash of the report's body.
 */
export type MissedReport = Infer<typeof missedNote>

export function encodeNote(item: Note): Uint8Array {
  return encode(noteBody, item)
}
