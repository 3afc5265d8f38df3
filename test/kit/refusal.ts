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

/** The code of the ChappeError that a promise ends with; undefined when it resolves. */
export async function refusalOf(promise: Promise<unknown>): Promise<string | undefined> {
  try {
    await promise
    return undefined
  } catch (error) {
    if (error instanceof ChappeError) return error.code
    throw error
  }
}
