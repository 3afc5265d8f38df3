// Controls: signed requests between nodes that are no messages: gap, body, note, probe.
// docs/PROTOCOL.md, "Controls". Acknowledged cumulatively by n, never receipted.

import { type Infer, bytes, decode, encode, literal, oneOf, record, uint, value } from "./codec.ts"
import { lanes, time } from "./envelope.ts"
import { limits } from "./limits.ts"
import { memberName } from "./names.ts"
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
