// Verifier keys of C2SP signed-note: `name+<8 hex of the key id>+base64(type ‖ public key)`.
// docs/PROTOCOL.md, "Signed notes".

import { concat, fromBase64, readU32, toBase64, toHex, utf8 } from "./bytes.ts"
import type { Admit, Sha256 } from "./crypto-ports.ts"
import { ChappeError } from "./errors.ts"
import { withCode } from "./recode.ts"

/** Ours: 01 Ed25519 over the text, 04 Ed25519 cosignature. 06 ML-DSA-44 cosignatures are carried, not judged. */
export const noteKeyTypes = { ed25519: 1, cosignature: 4, mlDsa44Cosignature: 6 } as const

/** `type` is the type byte; `keyId` has 4 bytes. Of types 01 and 04 only admitted keys exist. */
export type VerifierKey = {
  readonly name: string
  readonly type: number
  readonly keyId: Uint8Array
  readonly publicKey: Uint8Array
}

export const noteKeyIdBytes = 4

/** A key name is not empty and has no Unicode space and no `+`. */
export function isKeyName(name: string): boolean {
  return /^[^+\p{White_Space}\p{Cs}]+$/u.test(name)
}

/** The first 4 bytes of H(name ‖ 0A ‖ type ‖ public key). */
export function verifierKey(
  sha256: Sha256,
  name: string,
  type: number,
  publicKey: Uint8Array,
): VerifierKey {
  if (!isKeyName(name)) throw new RangeError("not a key name")
  const typed = concat(Uint8Array.of(type), publicKey)
  const keyId = sha256(concat(utf8(`${name}\n`), typed)).slice(0, noteKeyIdBytes)
  return { name, type, keyId, publicKey }
}

export function formatVerifierKey(key: VerifierKey): string {
  const typed = concat(Uint8Array.of(key.type), key.publicKey)
  return `${key.name}+${toHex(key.keyId)}+${toBase64(typed)}`
}

/** Refused with `key-form`: another spelling, a key id that does not fit, a key that is not admitted. */
export function parseVerifierKey(
  crypto: { readonly sha256: Sha256; readonly admit: Admit },
  text: string,
): VerifierKey {
  const [name = "", , base64 = "", ...more] = text.split("+")
  // The base64 part may hold plus signs of its own.
  const typed = withCode("key-form", () => fromBase64([base64, ...more].join("+")))
  const type = typed[0]
  if (type === undefined || !isKeyName(name))
    throw new ChappeError("key-form", "a verifier key is malformed")
  const key = verifierKey(crypto.sha256, name, type, typed.slice(1))
  if (formatVerifierKey(key) !== text)
    throw new ChappeError("key-form", "a verifier key does not have the id that it names")
  const ours = type === noteKeyTypes.ed25519 || type === noteKeyTypes.cosignature
  if (ours && !(key.publicKey.length === 32 && crypto.admit(key.publicKey)))
    throw new ChappeError("key-form", `the key of ${key.name} is not a safe Ed25519 key`)
  return key
}

/** Whether a note's line names this key. */
export function isNamed(
  key: VerifierKey,
  line: { readonly name: string; readonly keyId: Uint8Array },
): boolean {
  return line.name === key.name && readU32(line.keyId, 0) === readU32(key.keyId, 0)
}
