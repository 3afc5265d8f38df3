// The next roster, drafted from the published one. Pure. Custodians look at it, then sign.

import { sha256 } from "../../keys/crypto.ts"
import { compareText, equalBytes } from "../../protocol/bytes.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { limits } from "../../protocol/limits.ts"
import { type Roster, type RosterMember, memberStatuses } from "../../protocol/roster.ts"

export type RosterChange =
  | {
      readonly kind: "add-member"
      readonly name: string
      readonly genesisId: Uint8Array
      readonly flags: RosterMember["flags"]
    }
  | { readonly kind: "add-relay"; readonly name: string; readonly genesisId: Uint8Array }
  | {
      /** The files' bytes; what is undefined stays as it is. */
      readonly kind: "policy"
      readonly witness: Uint8Array | undefined
      readonly delivery: Uint8Array | undefined
    }
  | {
      readonly kind: "status"
      readonly name: string
      readonly status: keyof typeof memberStatuses
    }

/** A roster lasts two years unless told otherwise; never less than one. */
export const rosterSeconds: number = 2 * limits.rosterSecondsMin

/** Refused: `unknown-member`; `file-exists` for a name that is taken by another genesis. */
export function draftRoster(current: Roster, at: number, change: RosterChange): Roster {
  const next: Roster = {
    ...current,
    number: current.number + 1,
    at,
    expires: Math.max(current.expires, at + rosterSeconds),
  }
  switch (change.kind) {
    case "add-member": {
      const { name: node, genesisId, flags } = change
      const added = { node, status: memberStatuses.active, genesisId, flags }
      requireFree(
        current.members.find((member) => member.node === node),
        node,
        genesisId,
      )
      const others = current.members.filter((member) => member.node !== node)
      return {
        ...next,
        members: [...others, added].toSorted((a, b) => compareText(a.node, b.node)),
      }
    }
    case "add-relay": {
      const { name, genesisId } = change
      const added = { name, status: memberStatuses.active, genesisId }
      requireFree(
        current.relays.find((relay) => relay.name === name),
        name,
        genesisId,
      )
      const others = current.relays.filter((relay) => relay.name !== name)
      return {
        ...next,
        relays: [...others, added].toSorted((a, b) => compareText(a.name, b.name)),
      }
    }
    case "policy": {
      const { witness, delivery } = change
      const policy = {
        ...current.policy,
        ...(witness !== undefined && { witnessPolicy: sha256(witness) }),
        ...(delivery !== undefined && { deliveryPolicy: sha256(delivery) }),
      }
      return { ...next, policy }
    }
    case "status": {
      const { name } = change
      const status = memberStatuses[change.status]
      const known =
        current.members.some(({ node }) => node === name) ||
        current.relays.some((relay) => relay.name === name)
      if (!known) throw new ChappeError("unknown-member", `the roster does not name ${name}`)
      return {
        ...next,
        members: current.members.map((item) => (item.node === name ? { ...item, status } : item)),
        relays: current.relays.map((item) => (item.name === name ? { ...item, status } : item)),
      }
    }
  }
}

/** A re-genesis takes a removed member's or the same name again on purpose: only by removing it first. */
function requireFree(
  taken: { readonly status: number; readonly genesisId: Uint8Array } | undefined,
  name: string,
  genesisId: Uint8Array,
): void {
  if (taken === undefined || taken.status === memberStatuses.removed) return
  if (!equalBytes(taken.genesisId, genesisId))
    throw new ChappeError("file-exists", `${name} is in the roster with other root keys`)
}
