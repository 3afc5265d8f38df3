// A finding: something in a log that must not be there, or is missing. One is enough for exit code 3.

import type { ChappeError, ErrorCode } from "../protocol/errors.ts"

export type Finding = {
  readonly code: ErrorCode
  readonly origin: string
  /** The entry, where one can be named. */
  readonly index: number | null
  readonly message: string
}

/** Takes down what `error` says about the log `origin`, or about one entry of it. */
export type Report = (error: ChappeError, origin: string, index: number | null) => void
