// What a new member hands to a relay with its invitation's token, for the custodians to judge.
// docs/PROTOCOL.md, "Joining". The chain statements count only once a roster names the genesis.

import { type Infer, bytes, decode, encode, list, literal, record } from "./codec.ts"
import { limits } from "./limits.ts"
import { memberName } from "./names.ts"

const joinRequest = record({
  version: literal(1),
  name: memberName,
  statements: list(bytes(1, limits.statementBytesMax), 1, 64),
  prekeys: list(bytes(1_216), 0, 3 * limits.prekeyPeriodDays),
})
/** `statements`: the member's chain statements, its genesis first. `prekeys`: the KEM keys they publish. */
export type JoinRequest = Infer<typeof joinRequest>

export function encodeJoinRequest(item: JoinRequest): Uint8Array {
  return encode(joinRequest, item)
}

export function decodeJoinRequest(encoded: Uint8Array): JoinRequest {
  return decode(joinRequest, encoded, limits.joinRequestBytesMax)
}
