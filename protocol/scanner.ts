// The scanner accepts or refuses MessagePack bytes before any decoder sees them: one value, one encoding.
// Subset and bounds: docs/PROTOCOL.md, "Encoding". It copies nothing
// and reads no byte more than three times.

import { compareBytes, readU16, readU32 } from "./bytes.ts"
import { ChappeError } from "./errors.ts"
import { limits } from "./limits.ts"

function refuse(why: string): never {
  throw new ChappeError("not-canonical", why)
}

/** Refuses bytes that are not exactly one value of the canonical subset (`not-canonical`). */
export function scan(bytes: Uint8Array): void {
  const scanner = new Scanner(bytes)
  scanner.value(1)
  if (scanner.offset !== bytes.length) refuse("bytes are left over")
}

class Scanner {
  offset = 0
  #values = 0
  readonly #bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  value(depth: number): void {
    if (depth > limits.depthMax) refuse("nested too deeply")
    if (++this.#values > limits.valuesMax) refuse("too many values")
    const tag = this.#byte()
    if (tag <= 0x7f || tag >= 0xe0) return
    if (tag <= 0x8f) return this.#map(tag & 0x0f, depth)
    if (tag <= 0x9f) return this.#array(tag & 0x0f, depth)
    if (tag <= 0xbf) return this.#string(tag & 0x1f)
    switch (tag) {
      case 0xc0:
      case 0xc2:
      case 0xc3:
        return
      case 0xc4:
        return this.#skip(this.#length8(0))
      case 0xc5:
        return this.#skip(this.#length16(256))
      case 0xc6:
        return this.#skip(this.#length32(65_536))
      case 0xcc:
        return void this.#length8(128)
      case 0xcd:
        return void this.#length16(256)
      case 0xce:
        return void this.#length32(65_536)
      case 0xd0:
        return this.#negative(this.#length8(0), 0x80, 0xdf)
      case 0xd1:
        return this.#negative(this.#length16(0), 0x8000, 0xff7f)
      case 0xd2:
        return this.#negative(this.#length32(0), 0x8000_0000, 0xffff_7fff)
      case 0xd9:
        return this.#string(this.#length8(32))
      case 0xda:
        return this.#string(this.#length16(256))
      case 0xdb:
        return this.#string(this.#length32(65_536))
      case 0xdc:
        return this.#array(this.#length16(16), depth)
      case 0xdd:
        return this.#array(this.#length32(65_536), depth)
      case 0xde:
        return this.#map(this.#length16(16), depth)
      case 0xdf:
        return this.#map(this.#length32(65_536), depth)
      default:
        return refuse(`type byte ${tag.toString(16)} is not in the subset`)
    }
  }

  #byte(): number {
    const byte = this.#bytes[this.offset]
    if (byte === undefined) refuse("cut short")
    this.offset += 1
    return byte
  }

  #checked(value: number, width: number, least: number): number {
    this.offset += width
    if (value < least) refuse("not the shortest form")
    return value
  }

  #need(width: number): void {
    if (this.offset + width > this.#bytes.length) refuse("cut short")
  }

  #length8(least: number): number {
    this.#need(1)
    return this.#checked(this.#bytes[this.offset] ?? 0, 1, least)
  }

  #length16(least: number): number {
    this.#need(2)
    return this.#checked(readU16(this.#bytes, this.offset), 2, least)
  }

  #length32(least: number): number {
    this.#need(4)
    return this.#checked(readU32(this.#bytes, this.offset), 4, least)
  }

  /** A two's-complement number must be negative and too small for the next shorter form. */
  #negative(value: number, lowest: number, highest: number): void {
    if (value < lowest || value > highest) refuse("not the shortest form")
  }

  #skip(length: number): void {
    if (this.offset + length > this.#bytes.length) refuse("cut short")
    this.offset += length
  }

  #array(length: number, depth: number): void {
    this.#fits(length)
    for (let i = 0; i < length; i++) this.value(depth + 1)
  }

  #map(length: number, depth: number): void {
    this.#fits(2 * length)
    let previous: Uint8Array | undefined
    for (let i = 0; i < length; i++) {
      const key = this.#key()
      if (previous !== undefined && compareBytes(previous, key) >= 0)
        refuse("map keys are not strictly ascending")
      previous = key
      this.value(depth + 1)
    }
  }

  #key(): Uint8Array {
    if (++this.#values > limits.valuesMax) refuse("too many values")
    const tag = this.#byte()
    let length: number
    if (tag >= 0xa0 && tag <= 0xbf) length = tag & 0x1f
    else if (tag === 0xd9) length = this.#length8(32)
    else if (tag === 0xda) length = this.#length16(256)
    else if (tag === 0xdb) length = this.#length32(65_536)
    else refuse("a map key is not a string")
    const start = this.offset
    this.#string(length)
    const key = this.#bytes.subarray(start, start + length)
    if (isProto(key)) refuse("a map key is __proto__")
    return key
  }

  /** Each value takes a byte at least, so a huge count is refused before the loop. */
  #fits(values: number): void {
    if (values > this.#bytes.length - this.offset) refuse("cut short")
  }

  #string(length: number): void {
    const end = this.offset + length
    if (end > this.#bytes.length) refuse("cut short")
    // Decoders drop a byte order mark in front (msgpackr from 64 bytes on): two encodings of one value.
    if (length >= 3 && this.#isByteOrderMark()) refuse("text begins with a byte order mark")
    const bytes = this.#bytes
    while (this.offset < end) {
      let at = this.offset
      while (at < end && (bytes[at] ?? 0) < 0x80) at += 1
      this.offset = at
      if (at < end) this.#codePoint(end)
    }
  }

  #isByteOrderMark(): boolean {
    const at = this.offset
    const bytes = this.#bytes
    return bytes[at] === 0xef && bytes[at + 1] === 0xbb && bytes[at + 2] === 0xbf
  }

  /** One code point beyond ASCII of RFC 3629 UTF-8: no overlong form, no surrogate, nothing above U+10FFFF. */
  #codePoint(end: number): void {
    const first = this.#byte()
    let more: number
    let lowest = 0x80
    let highest = 0xbf
    if (first >= 0xc2 && first <= 0xdf) more = 1
    else if (first >= 0xe0 && first <= 0xef) {
      more = 2
      if (first === 0xe0) lowest = 0xa0
      if (first === 0xed) highest = 0x9f
    } else if (first >= 0xf0 && first <= 0xf4) {
      more = 3
      if (first === 0xf0) lowest = 0x90
      if (first === 0xf4) highest = 0x8f
    } else refuse("text is not valid UTF-8")
    for (let i = 0; i < more; i++) {
      if (this.offset >= end) refuse("text is not valid UTF-8")
      const next = this.#byte()
      if (next < lowest || next > highest) refuse("text is not valid UTF-8")
      lowest = 0x80
      highest = 0xbf
    }
  }
}

const proto = [0x5f, 0x5f, 0x70, 0x72, 0x6f, 0x74, 0x6f, 0x5f, 0x5f]

function isProto(key: Uint8Array): boolean {
  return key.length === proto.length && proto.every((byte, i) => key[i] === byte)
}
