// Checkpoints (C2SP tlog-checkpoint): a log's signed size and root. docs/PROTOCOL.md, "Checkpoints".
//
//   hub1.example/traffic/2027
//   600
//   +CVNw7Mq1x55WtTlYiQVLvgZpwt+AwKCl0M+8wA7+Ng=
//
// Exactly three lines: extension lines are refused, because auditors cannot check them.

import { fromBase64, toBase64 } from "./bytes.ts"
import type { Verify } from "./crypto-ports.ts"
import { parseDecimal } from "./decimal.ts"
import { ChappeError } from "./errors.ts"
import { withCode } from "./recode.ts"
import { type SignedNote, heldSignatures, parseNote } from "./signed-note.ts"
import { hashBytes } from "./tree.ts"
import { type VerifierKey, isKeyName, noteKeyTypes } from "./verifier-key.ts"

export type Checkpoint = {
  readonly origin: string
  readonly size: number
  readonly root: Uint8Array
}

export function formatCheckpointText(checkpoint: Checkpoint): string {
  const { origin, size, root } = checkpoint
  if (!isKeyName(origin) || !Number.isSafeInteger(size) || size < 0 || root.length !== hashBytes)
    throw new RangeError("not a checkpoint")
  return `${origin}\n${size}\n${toBase64(root)}\n`
}

/** Refused with `note`. */
export function parseCheckpointText(text: string): Checkpoint {
  const lines = text.split("\n")
  const [origin = "", size = "", base64 = "", end] = lines
  if (lines.length !== 4 || end !== "" || !isKeyName(origin))
    throw new ChappeError("note", "a checkpoint does not have exactly three lines")
  return withCode("note", () => {
    const root = fromBase64(base64)
    if (root.length !== hashBytes) throw new ChappeError("note", "a root does not have 32 bytes")
    return { origin, size: parseDecimal(size), root }
  })
}

export type Cosignature = { readonly key: VerifierKey; readonly time: number }

/** The log's own key (type 01, its name is the origin) and the witnesses whose lines count. */
export type CheckpointKeys = {
  readonly log: VerifierKey
  readonly witnesses?: readonly VerifierKey[]
}

/** A checkpoint whose log line holds. `cosignatures`: of the witnesses asked about, in their lines' order. */
export type OpenedCheckpoint = Checkpoint & {
  readonly note: SignedNote
  readonly cosignatures: readonly Cosignature[]
}

/**
 * Checks the log's line and the lines of the witnesses given. Refused with `note`: malformed, another
 * origin than the key's name, no line of the log, a failing line of a known key. Too few cosignatures
 * are for a policy to judge.
 */
export function openCheckpoint(
  verify: Verify,
  bytes: Uint8Array,
  keys: CheckpointKeys,
): OpenedCheckpoint {
  const note = parseNote(bytes)
  const checkpoint = parseCheckpointText(note.text)
  if (keys.log.type !== noteKeyTypes.ed25519 || checkpoint.origin !== keys.log.name)
    throw new ChappeError("note", `the checkpoint is not one of ${keys.log.name}`)
  const held = heldSignatures(verify, note, [keys.log, ...(keys.witnesses ?? [])])
  if (!held.some((one) => one.key === keys.log))
    throw new ChappeError("note", `the checkpoint lacks the line of ${keys.log.name}`)
  const cosignatures = held.flatMap(({ key, time }) => (time === undefined ? [] : [{ key, time }]))
  return { ...checkpoint, note, cosignatures }
}
