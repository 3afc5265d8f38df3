// The policy files that a first roster names by their hashes.

import { utf8 } from "../../protocol/bytes.ts"
import { defaultDeliveryPolicy, formatDeliveryPolicy } from "../../protocol/delivery-policy.ts"

export type PolicyFiles = {
  readonly witness: Uint8Array
  readonly retention: Uint8Array
  readonly delivery: Uint8Array
}

/** No quorum until there are members to witness; entry bundles of ten years; the usual deadlines. */
export function firstPolicies(): PolicyFiles {
  const retention = { type: "chappe/retention-policy/v1", trafficBundleYears: 10 }
  return {
    witness: utf8("quorum none\n"),
    retention: utf8(`${JSON.stringify(retention)}\n`),
    delivery: formatDeliveryPolicy(defaultDeliveryPolicy),
  }
}
