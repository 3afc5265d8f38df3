// Signed notes (C2SP signed-note): a text that many may sign. docs/PROTOCOL.md, "Signed notes".
//
//   This is an example message.
//
//   — example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
//
// The text ends at the last empty line. A line is "— name base64(keyId[4] ‖ payload)", the dash U+2014.

import { concat, fromBase64, fromUtf8, toBase64, utf8 } from "./bytes.ts"
import { cosignatureTime, makeCosignature } from "./cosignature.ts"
import type { Verify } from "./crypto-ports.ts"
import { ChappeError } from "./errors.ts"
import { limits } from "./limits.ts"
import { withCode } from "./recode.ts"
import {
  type VerifierKey,
  isKeyName,
  isNamed,
  noteKeyIdBytes,
  noteKeyTypes,
} from "./verifier-key.ts"

/** One line below the text. `payload`: the signature, for cosignatures `u64 time ‖ signature`. */
export type NoteSignature = {
  readonly name: string
  readonly keyId: Uint8Array
  readonly payload: Uint8Array
}

/** `text` ends with a newline and holds everything that is signed. */
export type SignedNote = {
  readonly text: string
  readonly signatures: readonly NoteSignature[]
}

/** Refused with `note`. */
export function parseNote(bytes: Uint8Array): SignedNote {
  if (bytes.length > limits.noteBytesMax)
    throw new ChappeError("note", `a note of ${bytes.length} bytes`)
  const whole = withCode("note", () => fromUtf8(bytes))
  // Everything below 0x20 but the newline is refused, tabs and carriage returns too.
  if (bytes.some((byte) => byte < 0x20 && byte !== 0x0a))
    throw new ChappeError("note", "a note holds control characters")
  const at = whole.lastIndexOf("\n\n")
  if (at < 0) throw new ChappeError("note", "a note has no empty line before its signatures")
  return {
    text: whole.slice(0, at + 1),
    signatures: parseSignatureLines(whole.slice(at + 2)),
  }
}

/** 1 … 100 signature lines, as a witness answers them too. Refused with `note`. */
export function parseSignatureLines(text: string): readonly NoteSignature[] {
  const lines = text.split("\n")
  if (lines.pop() !== "" || lines.length === 0 || lines.length > limits.noteLinesMax)
    throw new ChappeError("note", "a note does not have 1 to 100 whole signature lines")
  return lines.map(parseSignatureLine)
}

function parseSignatureLine(line: string): NoteSignature {
  const [dash, name = "", base64 = "", ...more] = line.split(" ")
  if (dash !== "—" || !isKeyName(name) || more.length > 0)
    throw new ChappeError("note", "a signature line is malformed")
  const bytes = withCode("note", () => fromBase64(base64))
  if (bytes.length <= noteKeyIdBytes)
    throw new ChappeError("note", "a signature line holds no signature")
  return { name, keyId: bytes.slice(0, noteKeyIdBytes), payload: bytes.slice(noteKeyIdBytes) }
}

export function formatSignatureLine(signature: NoteSignature): string {
  return `— ${signature.name} ${toBase64(concat(signature.keyId, signature.payload))}\n`
}

export function formatNote(note: SignedNote): Uint8Array {
  if (!note.text.endsWith("\n")) throw new RangeError("a note's text ends with a newline")
  if (note.signatures.length === 0 || note.signatures.length > limits.noteLinesMax)
    throw new RangeError(`${note.signatures.length} signature lines`)
  return utf8(`${note.text}\n${note.signatures.map(formatSignatureLine).join("")}`)
}

/** The line of a type 01 key. `sign` signs with the private half of `key`. */
export function signNote(
  key: VerifierKey,
  text: string,
  sign: (message: Uint8Array) => Uint8Array,
): NoteSignature {
  if (key.type !== noteKeyTypes.ed25519) throw new RangeError(`key of type ${key.type}`)
  return { name: key.name, keyId: key.keyId, payload: sign(utf8(text)) }
}

/** The line of a type 04 key. `time` in seconds since 1970. */
export function cosignNote(
  key: VerifierKey,
  text: string,
  time: number,
  sign: (message: Uint8Array) => Uint8Array,
): NoteSignature {
  if (key.type !== noteKeyTypes.cosignature) throw new RangeError(`key of type ${key.type}`)
  return { name: key.name, keyId: key.keyId, payload: makeCosignature({ text, time, sign }) }
}

/** A signature that holds. `time`: of a cosignature, in seconds since 1970. */
export type HeldSignature = {
  readonly key: VerifierKey
  readonly time: number | undefined
}

/**
 * The signatures of `keys` on a note, each key once (with its newest time). Lines of other keys, and
 * of key types that we do not judge, are ignored. One failing line of a known key refuses the whole
 * note: `note`.
 */
export function heldSignatures(
  verify: Verify,
  note: SignedNote,
  keys: readonly VerifierKey[],
): readonly HeldSignature[] {
  const text = utf8(note.text)
  const held = new Map<VerifierKey, HeldSignature>()
  for (const line of note.signatures) {
    for (const key of keys) {
      if (!isNamed(key, line)) continue
      const one = judge(verify, note.text, text, key, line.payload)
      if (one === "unknown") continue
      if (one === "fails")
        throw new ChappeError("note", `the signature of ${key.name} does not hold`)
      const before = held.get(key)?.time
      if (before === undefined || (one.time ?? 0) > before) held.set(key, one)
    }
  }
  return [...held.values()]
}

function judge(
  verify: Verify,
  text: string,
  textBytes: Uint8Array,
  key: VerifierKey,
  payload: Uint8Array,
): HeldSignature | "unknown" | "fails" {
  if (key.type === noteKeyTypes.ed25519)
    return verify(key.publicKey, textBytes, payload) ? { key, time: undefined } : "fails"
  if (key.type !== noteKeyTypes.cosignature) return "unknown"
  const time = cosignatureTime({ verify, publicKey: key.publicKey, text, payload })
  return time === undefined ? "fails" : { key, time }
}
