// A finding: something in a log that must not be there, or is missing. One is enough for exit code 3.

import type { ErrorCode } from "../protocol/errors.ts"

export type Finding = {
  readonly code: ErrorCode
  readonly origin: string
  /** The entry, where one can be named. */
  readonly index: number | null
  readonly message: string
}

export type Report = (finding: Finding) => void
