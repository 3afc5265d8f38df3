// Bodies of C2SP tlog-witness add-checkpoint, over HTTP and over links alike. docs/PROTOCOL.md, "Witness protocol".
//
//   old 512
//   <base64 hash>        0 … 63 consistency hashes from the old size to the checkpoint's
//                        one empty line
//   <the checkpoint>

import { concat, fromUtf8, utf8 } from "./bytes.ts"
import { parseDecimal } from "./decimal.ts"
import { ChappeError } from "./errors.ts"
import { formatHashLines, parseHashLines, splitAtEmptyLine } from "./hash-lines.ts"
import { limits } from "./limits.ts"

/** `old`: the size that the witness cosigned last, as the log believes. `checkpoint`: the note, verbatim. */
export type AddCheckpoint = {
  readonly old: number
  readonly path: readonly Uint8Array[]
  readonly checkpoint: Uint8Array
}

export function encodeAddCheckpoint(request: AddCheckpoint): Uint8Array {
  if (!Number.isSafeInteger(request.old) || request.old < 0) throw new RangeError("old size")
  return concat(utf8(`old ${request.old}\n${formatHashLines(request.path)}\n`), request.checkpoint)
}

/** Refused with `not-canonical` (the witness's 400). The checkpoint is not opened. */
export function parseAddCheckpoint(body: Uint8Array): AddCheckpoint {
  if (body.length > 2 * limits.noteBytesMax)
    throw new ChappeError("not-canonical", `a witness request of ${body.length} bytes`)
  const { head, note } = splitAtEmptyLine(body)
  const [first = "", ...hashes] = fromUtf8(head).split("\n")
  if (!first.startsWith("old ")) throw new ChappeError("not-canonical", "the old size is missing")
  return {
    old: parseDecimal(first.slice("old ".length)),
    path: parseHashLines(hashes),
    checkpoint: note.slice(),
  }
}

// Body of a 409 answer: the size last cosigned.

export function encodeWitnessSize(size: number): Uint8Array {
  return utf8(`${size}\n`)
}

/** Refused with `not-canonical`. */
export function parseWitnessSize(body: Uint8Array): number {
  const text = fromUtf8(body.subarray(0, 32))
  if (!text.endsWith("\n")) throw new ChappeError("not-canonical", "not a size line")
  return parseDecimal(text.slice(0, -1))
}
