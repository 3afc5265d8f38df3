// The delivery policy: a file whose hash stands in the roster, so that all nodes and relays of a network keep
// the same deadlines. docs/PROTOCOL.md, "Delivery policy". JSON:
//
//   {"type":"chappe/delivery-policy/v1","deadlineSeconds":{"flash":60,"immediate":300,"priority":1800,"routine":7200}}
//
// and, where a network wants them, "quotas":{"messagesPerMinute":6000,"bytesPerMinute":1073741824} for each member.

import { fromUtf8, utf8 } from "./bytes.ts"
import type { Directory } from "./directory.ts"
import { type Precedence, precedences } from "./envelope.ts"
import { ChappeError } from "./errors.ts"
import { limits } from "./limits.ts"

/** What one member may hand over to one relay within a minute. */
export type Quotas = { readonly messagesPerMinute: number; readonly bytesPerMinute: number }

/**
 * `deadlineSeconds`: after its lane's deadline a message without a receipt is escalated, and mail held for a
 * gap is shown. `quotas`: without them only what waits is bounded.
 */
export type DeliveryPolicy = {
  readonly deadlineSeconds: Readonly<Record<Precedence, number>>
  readonly quotas?: Quotas
}

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
  const hasQuotas = typeof parsed === "object" && parsed !== null && "quotas" in parsed
  const keys = ["type", "deadlineSeconds", ...(hasQuotas ? ["quotas"] : [])]
  const file = fieldsOf(parsed, keys)
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
  return { deadlineSeconds, ...(hasQuotas && { quotas: quotasOf(file["quotas"]) }) }
}

function quotasOf(found: unknown): Quotas {
  const fields = fieldsOf(found, ["messagesPerMinute", "bytesPerMinute"])
  const positive = (name: string): number => {
    const value = fields[name]
    return typeof value === "number" && Number.isSafeInteger(value) && value > 0
      ? value
      : refuse(`${name} is not a positive integer`)
  }
  return {
    messagesPerMinute: positive("messagesPerMinute"),
    bytesPerMinute: positive("bytesPerMinute"),
  }
}

/** By file, for it is asked at every submit: the bytes that a directory keeps never change. */
const parsed = new WeakMap<Uint8Array, DeliveryPolicy>()

/** What the roster names, where its file is known and holds; the default otherwise. */
export function deliveryPolicyOf(directory: Directory): DeliveryPolicy {
  if (!directory.hasRoster) return defaultDeliveryPolicy
  const file = directory.policyFile("deliveryPolicy")
  if (file === undefined) return defaultDeliveryPolicy
  const policy = parsed.get(file) ?? policyIn(file)
  parsed.set(file, policy)
  return policy
}

function policyIn(file: Uint8Array): DeliveryPolicy {
  try {
    return parseDeliveryPolicy(file)
  } catch (cause) {
    // Custodians signed the hash of a file that is none: deadlines must still be kept.
    if (cause instanceof ChappeError) return defaultDeliveryPolicy
    throw cause
  }
}

/** The file's bytes; their SHA-256 goes into the roster. */
export function formatDeliveryPolicy(policy: DeliveryPolicy): Uint8Array {
  return utf8(`${JSON.stringify({ type, ...policy })}\n`)
}
