// Between the JSON of the officers' interface and the values that documents hold.

import { toBase64 } from "../../protocol/bytes.ts"
import type { Value } from "../../protocol/codec.ts"
import { ChappeError } from "../../protocol/errors.ts"

export type Json =
  null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/** Refused: `document` for what the subset cannot say, as fractions. */
export function valueOfJson(json: Json): Value {
  if (typeof json === "number") {
    if (!Number.isInteger(json) || json < -(2 ** 31) || json > 2 ** 32 - 1)
      throw new ChappeError("document", "numbers are integers below 2^32; write others as text")
    return json
  }
  if (json === null || typeof json !== "object") return json
  if (isList(json)) return json.map(valueOfJson)
  return new Map(Object.entries(json).map(([key, item]) => [key, valueOfJson(item)]))
}

/** Bytes become base64 text. */
export function jsonOfValue(value: Value): Json {
  if (value instanceof Uint8Array) return toBase64(value)
  if (value instanceof Map) return jsonOfMap(value)
  if (isValueList(value)) return value.map(jsonOfValue)
  if (value === null || typeof value !== "object") return value
  throw new RangeError("not a value")
}

export function jsonOfMap(map: ReadonlyMap<string, Value>): Json {
  return Object.fromEntries([...map].map(([key, item]) => [key, jsonOfValue(item)]))
}

function isList(json: Json): json is readonly Json[] {
  return Array.isArray(json)
}

function isValueList(value: Value): value is readonly Value[] {
  return Array.isArray(value)
}

/** What a JSON parser gives. Refused: `usage` for what is no JSON. */
export function jsonOf(found: unknown): Json {
  if (found === null || typeof found === "boolean" || typeof found === "number") return found
  if (typeof found === "string") return found
  if (Array.isArray(found)) return found.map(jsonOf)
  if (typeof found !== "object") throw new ChappeError("usage", "this is no JSON")
  return Object.fromEntries(Object.entries(found).map(([key, item]) => [key, jsonOf(item)]))
}
