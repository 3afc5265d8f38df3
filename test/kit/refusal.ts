// What a call is refused with, so that tests name the code and not a sentence.

import { ChappeError } from "../../protocol/errors.ts"

/** The code of the ChappeError that `call` throws; undefined when it throws nothing. */
export function codeOf(call: () => unknown): string | undefined {
  try {
    call()
    return undefined
  } catch (error) {
    if (error instanceof ChappeError) return error.code
    throw error
  }
}
