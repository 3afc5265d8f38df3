// Bytes: joining, comparing, spelling. Every spelling is strict: one value, one text.

import { ChappeError } from "./errors.ts"

const encoder = new TextEncoder()
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

export const emptyBytes: Uint8Array = new Uint8Array(0)

/** Joins parts into one new array. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const part of parts) length += part.length
  const joined = new Uint8Array(length)
  let offset = 0
  for (const part of parts) {
    joined.set(part, offset)
    offset += part.length
  }
  return joined
}

/** Compares public values; not constant-time, so never for secrets. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

/** Lexicographic order by bytes; a prefix comes first. Negative, zero or positive. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length)
  for (let i = 0; i < shared; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0)
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

/** Order of two texts by their UTF-8 bytes (which is the order of their code points). */
export function compareText(a: string, b: string): number {
  return compareBytes(utf8(a), utf8(b))
}

/** Below this the encoder's call costs more than a loop. */
const shortText = 64

export function utf8(text: string): Uint8Array {
  if (text.length > shortText) return encoder.encode(text)
  const bytes = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit >= 0x80) return encoder.encode(text)
    bytes[i] = unit
  }
  return bytes
}

/** Strict UTF-8; anything else is refused with `not-canonical`. */
export function fromUtf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch (cause) {
    throw new ChappeError("not-canonical", "text is not valid UTF-8", { cause })
  }
}

/** Bytes as a text, one character each: the shortest name for a map. */
export function toName(bytes: Uint8Array): string {
  // A spread would go through the array's iterator, which costs an object a byte.
  const name: string = Reflect.apply(String.fromCharCode, undefined, bytes)
  return name
}

const hexPairs = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"))

export function toHex(bytes: Uint8Array): string {
  let text = ""
  for (const byte of bytes) text += hexPairs[byte] ?? ""
  return text
}

/** Lower-case hex of an even length; anything else is refused with `not-canonical`. */
export function fromHex(text: string): Uint8Array {
  if (!/^(?:[0-9a-f]{2})*$/u.test(text))
    throw new ChappeError("not-canonical", "not lower-case hex")
  const bytes = new Uint8Array(text.length / 2)
  for (let i = 0; i < bytes.length; i++)
    bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16)
  return bytes
}

const base64Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
const base64Values = new Map(base64Alphabet.split("").map((letter, value) => [letter, value]))

/** Standard alphabet with padding (RFC 4648 section 4). */
export function toBase64(bytes: Uint8Array): string {
  let text = ""
  for (let i = 0; i < bytes.length; i += 3) {
    const left = bytes.length - i
    const a = bytes[i] ?? 0
    const b = bytes[i + 1] ?? 0
    const c = bytes[i + 2] ?? 0
    text += base64Alphabet.charAt(a >> 2) + base64Alphabet.charAt(((a & 3) << 4) | (b >> 4))
    text += left > 1 ? base64Alphabet.charAt(((b & 15) << 2) | (c >> 6)) : "="
    text += left > 2 ? base64Alphabet.charAt(c & 63) : "="
  }
  return text
}

/** Canonical base64 only: padding present, zero tail bits. Else `not-canonical`. */
export function fromBase64(text: string): Uint8Array {
  const unpadded = text.replace(/={1,2}$/u, "")
  const bytes = new Uint8Array(Math.floor((unpadded.length * 3) / 4))
  let buffer = 0
  let bits = 0
  let at = 0
  for (const letter of unpadded) {
    const value = base64Values.get(letter)
    if (value === undefined) throw new ChappeError("not-canonical", "not base64")
    buffer = ((buffer << 6) | value) & 0xffff
    bits += 6
    if (bits >= 8) {
      bits -= 8
      bytes[at++] = (buffer >> bits) & 0xff
    }
  }
  if (text.length % 4 !== 0 || toBase64(bytes) !== text)
    throw new ChappeError("not-canonical", "base64 is not canonical")
  return bytes
}

/** Big-endian u16 of an integer 0 … 65,535. */
export function u16(value: number): Uint8Array {
  if (!Number.isInteger(value) || value < 0 || value > 0xffff) throw new RangeError("u16")
  return Uint8Array.of(value >> 8, value & 0xff)
}

/** Big-endian u32 of an integer 0 … 2³²−1. */
export function u32(value: number): Uint8Array {
  if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) throw new RangeError("u32")
  return Uint8Array.of(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff)
}

/** Big-endian u64 of an integer 0 … 2⁵³−1. */
export function u64(value: number): Uint8Array {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError("u64")
  return concat(u32(Math.floor(value / 2 ** 32)), u32(value % 2 ** 32))
}

export function readU16(bytes: Uint8Array, offset: number): number {
  if (offset + 2 > bytes.length) throw new ChappeError("size", "a field is cut short")
  return (bytes[offset] ?? 0) * 256 + (bytes[offset + 1] ?? 0)
}

export function readU32(bytes: Uint8Array, offset: number): number {
  return readU16(bytes, offset) * 65_536 + readU16(bytes, offset + 2)
}

/** Refused with `size` beyond 2⁵³−1: no Chappe counter gets there. */
export function readU64(bytes: Uint8Array, offset: number): number {
  const high = readU32(bytes, offset)
  const low = readU32(bytes, offset + 4)
  if (high >= 2 ** 21) throw new ChappeError("size", "a 64-bit number is larger than 2^53-1")
  return high * 2 ** 32 + low
}
