// The middle part of add-checkpoint bodies and proof files: base64 hashes, one a line, then an empty line.

import { fromBase64, toBase64 } from "./bytes.ts"
import { ChappeError } from "./errors.ts"
import { limits } from "./limits.ts"
import { hashBytes } from "./tree.ts"

export function formatHashLines(hashes: readonly Uint8Array[]): string {
  if (hashes.length > limits.proofHashesMax) throw new RangeError(`${hashes.length} hashes`)
  return hashes.map((hash) => `${toBase64(hash)}\n`).join("")
}

/** 0 … 63 hashes of 32 bytes; anything else is refused with `not-canonical`. */
export function parseHashLines(lines: readonly string[]): readonly Uint8Array[] {
  if (lines.length > limits.proofHashesMax)
    throw new ChappeError("not-canonical", `${lines.length} hashes`)
  return lines.map((line) => {
    const hash = fromBase64(line)
    if (hash.length !== hashBytes)
      throw new ChappeError("not-canonical", "a hash does not have 32 bytes")
    return hash
  })
}

/**
 * Splits a file into the lines before its first empty line and the bytes after that, which are a note
 * and stay as they are.
 */
export function splitAtEmptyLine(bytes: Uint8Array): {
  readonly head: Uint8Array
  readonly note: Uint8Array
} {
  for (let at = 0; at + 1 < bytes.length && at < headBytesMax; at++)
    if (bytes[at] === newline && bytes[at + 1] === newline)
      return { head: bytes.subarray(0, at), note: bytes.subarray(at + 2) }
  throw new ChappeError("not-canonical", "there is no empty line before the checkpoint")
}

const newline = 0x0a
/** 63 hash lines of 45 bytes, and the lines before them with `extra` at most as large as a note. */
const headBytesMax = limits.proofHashesMax * 45 + limits.noteBytesMax
