// JSON from files and from a node: parsed once, typed as what it can be.

import { ChappeError } from "../protocol/errors.ts"

export type Json =
  null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }
export type JsonObject = Readonly<Record<string, Json>>

function isJson(found: unknown): found is Json {
  if (found === null) return true
  if (typeof found === "object")
    return (Array.isArray(found) ? found : Object.values(found)).every(isJson)
  return typeof found === "string" || typeof found === "number" || typeof found === "boolean"
}

/** Refused: `not-canonical`. */
export function parseJson(text: string, what: string): Json {
  try {
    const found: unknown = JSON.parse(text)
    if (isJson(found)) return found
  } catch (cause) {
    throw new ChappeError("not-canonical", `${what} is not JSON`, { cause })
  }
  throw new ChappeError("not-canonical", `${what} is not JSON`)
}

export function isJsonObject(found: Json | undefined): found is JsonObject {
  return typeof found === "object" && found !== null && !Array.isArray(found)
}

export function textField(item: JsonObject, key: string): string {
  const found = item[key]
  return typeof found === "string" ? found : ""
}

export function numberField(item: JsonObject, key: string): number {
  const found = item[key]
  return typeof found === "number" ? found : 0
}

export function listField(item: JsonObject, key: string): readonly Json[] {
  const found = item[key]
  return Array.isArray(found) ? (found as readonly Json[]) : []
}

export function objectsField(item: JsonObject, key: string): readonly JsonObject[] {
  return listField(item, key).filter((one) => isJsonObject(one))
}

export function wordsField(item: JsonObject, key: string): readonly string[] {
  return listField(item, key).filter((one) => typeof one === "string")
}

/** A structured document from a file. Whole numbers only, −2³¹ … 2³²−1. Refused: `document`, naming the place. */
export function parseDocument(text: string): JsonObject {
  let found: Json
  try {
    found = parseJson(text, "the document")
  } catch (cause) {
    throw new ChappeError("document", "it is not JSON", { cause })
  }
  if (!isJsonObject(found)) throw new ChappeError("document", "it is not a JSON object")
  requireIntegers(found, "document")
  return found
}

function requireIntegers(item: Json, place: string): void {
  if (typeof item === "number") {
    if (!Number.isInteger(item) || item < -(2 ** 31) || item > 2 ** 32 - 1)
      throw new ChappeError(
        "document",
        `${place} is not a whole number from -2147483648 to 4294967295; write amounts as text`,
      )
    return
  }
  if (typeof item !== "object" || item === null) return
  for (const [key, inner] of Object.entries(item)) requireIntegers(inner, `${place}.${key}`)
}
