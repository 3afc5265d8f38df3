// How a database was left by a clean stop: its log's number and length. A log that a disk cut short afterwards
// looks like one that a power cut tore; this tells the two apart. Removed when the database is opened.
//
//   records.end   u64 log number ‖ u64 bytes ‖ SHA-256("chappe end" ‖ both)

import { sha256 } from "../keys/crypto.ts"
import { concat, equalBytes, readU64, u64, utf8 } from "../protocol/bytes.ts"
import { ChappeError } from "../protocol/errors.ts"

export type CleanEnd = { readonly log: number; readonly bytes: number }

const context = utf8("chappe end")

export function encodeEnd({ log, bytes }: CleanEnd): Uint8Array {
  const both = concat(u64(log), u64(bytes))
  return concat(both, sha256(concat(context, both)))
}

/** Undefined when it is not what was written. */
export function decodeEnd(encoded: Uint8Array): CleanEnd | undefined {
  try {
    const end = { log: readU64(encoded, 0), bytes: readU64(encoded, 8) }
    return equalBytes(encodeEnd(end), encoded) ? end : undefined
  } catch (cause) {
    if (cause instanceof ChappeError) return undefined
    throw cause
  }
}
