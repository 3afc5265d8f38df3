// The delivery policy: a file whose hash stands in the roster, so that all nodes and relays of a network keep
// the same deadlines. docs/PROTOCOL.md, "Delivery policy". JSON:
//
//   {"type":"chappe/delivery-policy/v1","deadlineSeconds":{"flash":60,"immediate":300,"priority":1800,"routine":7200}}

import { fromUtf8, utf8 } from "./bytes.ts"
import { type Precedence, precedences } from "./envelope.ts"
import { ChappeError } from "./errors.ts"
import { limits } from "./limits.ts"

/** After its lane's deadline a message without a receipt is escalated, and mail held for a gap is shown. */
export type DeliveryPolicy = { readonly deadlineSeconds: Readonly<Record<Precedence, number>> }

/** Holds until a roster names a policy. */
export const defaultDeliveryPolicy: DeliveryPolicy = {
  deadlineSeconds: { flash: 60, immediate: 300, priority: 1_800, routine: 7_200 },
}

const type = "chappe/delivery-policy/v1"

function refuse(why: string): never {
  throw new ChappeError("policy", `delivery policy: ${why}`)
}

function fieldsOf(found: unknown, keys: readonly string[]): Readonly<Record<string, unknown>> {
  if (typeof found !== "object" || found === null || Array.isArray(found))
    return refuse("not an object")
  const fields: Readonly<Record<string, unknown>> = { ...found }
  const same = Object.keys(fields).length === keys.length && keys.every((key) => key in fields)
  return same ? fields : refuse(`not exactly the keys ${keys.join(" ")}`)
}

/** Refused: `policy`, naming what is at fault. */
export function parseDeliveryPolicy(bytes: Uint8Array): DeliveryPolicy {
  let parsed: unknown
  try {
    parsed = JSON.parse(fromUtf8(bytes))
  } catch (cause) {
    throw new ChappeError("policy", "delivery policy: not JSON", { cause })
  }
  const file = fieldsOf(parsed, ["type", "deadlineSeconds"])
  if (file["type"] !== type) refuse(`its type is not ${type}`)
  const deadlines = fieldsOf(file["deadlineSeconds"], precedences)
  const seconds = (lane: Precedence): number => {
    const found = deadlines[lane]
    return typeof found === "number" &&
      Number.isInteger(found) &&
      found > 0 &&
      found <= limits.lifetimeSecondsMax
      ? found
      : refuse(`the deadline of ${lane} is not 1 … ${limits.lifetimeSecondsMax} seconds`)
  }
  const deadlineSeconds = {
    flash: seconds("flash"),
    immediate: seconds("immediate"),
    priority: seconds("priority"),
    routine: seconds("routine"),
  }
  return { deadlineSeconds }
}

/** The file's bytes; their SHA-256 goes into the roster. */
export function formatDeliveryPolicy(policy: DeliveryPolicy): Uint8Array {
  return utf8(`${JSON.stringify({ type, ...policy })}\n`)
}
