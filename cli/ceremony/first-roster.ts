// A new network's first roster. Pure.

import { sha256 } from "../../keys/crypto.ts"
import { compareText } from "../../protocol/bytes.ts"
import { limits } from "../../protocol/limits.ts"
import { type CustodianSet, type Roster, memberStatuses } from "../../protocol/roster.ts"
import { type PolicyFiles, firstPolicies } from "./first-policies.ts"
import { rosterSeconds } from "./roster-draft.ts"

type Named = { readonly name: string; readonly genesisId: Uint8Array }

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return compareText(a.name, b.name)
}

/** The policies are the first ones; `desk` is flagged among the members. */
export function firstRoster(input: {
  readonly at: number
  readonly custodians: CustodianSet
  readonly members: readonly Named[]
  readonly desk: string | undefined
  readonly relays: readonly Named[]
  readonly auditors: readonly { readonly name: string; readonly key: Uint8Array }[]
}): Roster {
  const { at, custodians, desk } = input
  const status = memberStatuses.active
  const policies: PolicyFiles = firstPolicies()
  return {
    version: 1,
    number: 1,
    at,
    expires: at + rosterSeconds,
    custodians,
    members: input.members.toSorted(byName).map(({ name, genesisId }) => ({
      node: name,
      status,
      genesisId,
      flags: name === desk ? (["desk"] as const) : [],
    })),
    relays: input.relays.toSorted(byName).map((relay) => ({ ...relay, status })),
    auditors: input.auditors.toSorted(byName),
    policy: {
      minSuite: 1,
      suites: [],
      maxLifetime: limits.lifetimeSecondsMax,
      witnessPolicy: sha256(policies.witness),
      retentionPolicy: sha256(policies.retention),
      deliveryPolicy: sha256(policies.delivery),
    },
  }
}
