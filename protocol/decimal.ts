// Numbers in text formats: decimal, one spelling each.

import { ChappeError } from "./errors.ts"

const form = /^(?:0|[1-9][0-9]{0,15})$/u

/** 0 … 2⁵³−1 without sign or leading zeros; anything else is refused with `not-canonical`. */
export function parseDecimal(text: string): number {
  const value = Number(text)
  if (!form.test(text) || !Number.isSafeInteger(value))
    throw new ChappeError("not-canonical", "a number is not in plain decimal form")
  return value
}
