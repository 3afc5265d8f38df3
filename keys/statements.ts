// Signing the statements that make up the directory: rosters by custodians, chain statements by root,
// node, relay and officer keys. docs/PROTOCOL.md, "Roster" and "Chains".

import {
  type ChainBody,
  type ChainOp,
  type ChainStatement,
  chainBodyValue,
  encodeChainStatement,
  possessionPae,
} from "../protocol/chain.ts"
import type { DirectoryHead } from "../protocol/envelope.ts"
import {
  type MultiSigned,
  decodeMultiSigned,
  encodeMultiSigned,
  multiSignedId,
  withSignature,
} from "../protocol/multi-signed.ts"
import { pae } from "../protocol/pae.ts"
import { type Roster, encodeRoster } from "../protocol/roster.ts"
import { crypto } from "./crypto.ts"
import type { SigningKey } from "./signing-key.ts"

/** A signed statement with its id, by which the next one in a chain, or a roster, names it. */
export type SignedStatement = { readonly statement: Uint8Array; readonly id: Uint8Array }

type MultiSignedType = "roster" | "member"

/** Adds the lines of `keys` to a statement that may hold others already, as custodians sign one by one. */
export function addSignatures(
  type: MultiSignedType,
  statement: Uint8Array,
  keys: readonly SigningKey[],
): SignedStatement {
  return signed(type, decodeMultiSigned(statement), keys)
}

function signed(
  type: MultiSignedType,
  item: MultiSigned,
  keys: readonly SigningKey[],
): SignedStatement {
  const message = pae(type, item.body)
  const whole = keys.reduce(
    (before, key) => withSignature(before, { keyId: key.keyId, signature: key.sign(message) }),
    item,
  )
  return { statement: encodeMultiSigned(whole), id: multiSignedId(crypto, whole, type) }
}

/** `keys`: custodian keys; none leaves the roster to be signed later. */
export function signRoster(roster: Roster, keys: readonly SigningKey[]): SignedStatement {
  return signed("roster", { body: encodeRoster(roster), signatures: [] }, keys)
}

/** `seq` and `prev` are null in a revocation only. `head`: the signer's latest directory head. */
export type ChainDraft<Op extends ChainOp> = {
  readonly name: string
  readonly seq: number | null
  readonly prev: Uint8Array | null
  readonly op: Op
  readonly at: number
  readonly head: DirectoryHead
  readonly body: ChainBody<Op>
}

/** `keys`: of the use that the operation asks for; `docs/PROTOCOL.md` has the table. */
export function signChain<Op extends ChainOp>(
  draft: ChainDraft<Op>,
  keys: readonly SigningKey[],
): SignedStatement {
  const item: ChainStatement = { ...draft, version: 1, body: chainBodyValue(draft.op, draft.body) }
  return signed("member", { body: encodeChainStatement(item), signatures: [] }, keys)
}

/** The key's own signature that `name` holds it. */
export function possessionOf(name: string, key: SigningKey): Uint8Array {
  return key.sign(possessionPae(name, key.use, key.publicKey))
}
