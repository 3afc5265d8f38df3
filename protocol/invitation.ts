// An invitation: all that a new member or a returning process needs to make first contact.
// docs/PROTOCOL.md, "Invitation". The token is good once.

import { type Infer, bytes, decode, encode, list, literal, record, text, uint } from "./codec.ts"
import { limits } from "./limits.ts"
import { relayName } from "./names.ts"
import { custodianSet } from "./roster.ts"

const invitation = record({
  version: literal(1),
  custodians: custodianSet,
  rosterNumber: uint(0xffff_ffff),
  rosterId: bytes(32),
  relay: relayName,
  urls: list(text(256), 1, 8),
  certificate: bytes(1, 2_048),
  linkKey: bytes(32),
  token: bytes(32),
})
/** `urls`: the relay's HTTPS listener; `certificate`: that listener's, in DER. `linkKey`: its key on the links listener. */
export type Invitation = Infer<typeof invitation>

export function encodeInvitation(item: Invitation): Uint8Array {
  return encode(invitation, item)
}

export function decodeInvitation(encoded: Uint8Array): Invitation {
  return decode(invitation, encoded, limits.headerBytesMax)
}
