// Formats inside formats: a fault of the inner one is reported under the outer one's code.

import { ChappeError, type ErrorCode } from "./errors.ts"

/** Runs `decode`; whatever ChappeError it throws becomes one with `code`, the first as its cause. */
export function withCode<T>(code: ErrorCode, decode: () => T): T {
  try {
    return decode()
  } catch (cause) {
    if (!(cause instanceof ChappeError) || cause.code === code) throw cause
    throw new ChappeError(code, cause.message, { cause })
  }
}
