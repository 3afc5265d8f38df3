// Proof files (C2SP tlog-proof): that an entry stands in a log, for checking offline. docs/PROTOCOL.md, "Proof files".
//
//   c2sp.org/tlog-proof@v1
//   extra <base64>       may be absent; not authenticated, so we write none and ignore it
//   index 299
//   <base64 hash>        0 … 63, from the leaf's sibling up
//                        one empty line
//   <the checkpoint>

import { concat, fromBase64, fromUtf8, utf8 } from "./bytes.ts"
import { type CheckpointKeys, type OpenedCheckpoint, openCheckpoint } from "./checkpoint.ts"
import type { Sha256, Verify } from "./crypto-ports.ts"
import { parseDecimal } from "./decimal.ts"
import { ChappeError } from "./errors.ts"
import { formatHashLines, parseHashLines, splitAtEmptyLine } from "./hash-lines.ts"
import { limits } from "./limits.ts"
import { withCode } from "./recode.ts"
import { parseNote } from "./signed-note.ts"
import { leafHash, verifyInclusion } from "./tree.ts"

/** `checkpoint`: the note, verbatim. */
export type TlogProof = {
  readonly index: number
  readonly path: readonly Uint8Array[]
  readonly checkpoint: Uint8Array
}

const title = "c2sp.org/tlog-proof@v1"

export function encodeTlogProof(proof: TlogProof): Uint8Array {
  if (!Number.isSafeInteger(proof.index) || proof.index < 0) throw new RangeError("index")
  return concat(
    utf8(`${title}\nindex ${proof.index}\n${formatHashLines(proof.path)}\n`),
    proof.checkpoint,
  )
}

/** Refused with `proof`. The checkpoint is only checked to be a note. */
export function parseTlogProof(bytes: Uint8Array): TlogProof {
  if (bytes.length > 2 * limits.noteBytesMax)
    throw new ChappeError("proof", `a proof file of ${bytes.length} bytes`)
  return withCode("proof", () => {
    const { head, note } = splitAtEmptyLine(bytes)
    const lines = fromUtf8(head).split("\n")
    if (lines.shift() !== title) throw new ChappeError("proof", "not a proof file")
    if (lines[0]?.startsWith("extra ") === true)
      fromBase64((lines.shift() ?? "").slice("extra ".length))
    const place = lines.shift() ?? ""
    if (!place.startsWith("index ")) throw new ChappeError("proof", "the index is missing")
    parseNote(note)
    return {
      index: parseDecimal(place.slice("index ".length)),
      path: parseHashLines(lines),
      checkpoint: note.slice(),
    }
  })
}

/**
 * Opens the proof's own checkpoint and checks that `entry` stands at its index. Refused with `note` or
 * `proof`. Whether enough witnesses cosigned is for a policy to judge.
 */
export function openTlogProof(
  crypto: { readonly sha256: Sha256; readonly verify: Verify },
  proof: TlogProof,
  entry: Uint8Array,
  keys: CheckpointKeys,
): OpenedCheckpoint {
  const checkpoint = openCheckpoint(crypto.verify, proof.checkpoint, keys)
  const included = verifyInclusion({
    sha256: crypto.sha256,
    index: proof.index,
    size: checkpoint.size,
    leaf: leafHash(crypto.sha256, entry),
    path: proof.path,
    root: checkpoint.root,
  })
  if (!included)
    throw new ChappeError("proof", `the entry is not proved to stand at ${proof.index}`)
  return checkpoint
}
