// Prints MessagePack bytes with the name of each field beside them, for people who write a decoder.

import { fromUtf8, readU16, readU32, toHex } from "../../protocol/bytes.ts"
import { scan } from "../../protocol/scanner.ts"

/** A field's name; or a list of its own name and the names of its items, where one inner name serves all items. */
export type FieldNames = string | readonly FieldNames[]

const bytesShownMax = 80
const hexColumn = 34

/** One line a value: offset, bytes, name and value. Long strings are cut in their middle. */
export function annotatedDump(bytes: Uint8Array, names: FieldNames): string {
  scan(bytes)
  const lines: string[] = []
  new Dump(bytes, lines).value(names, 0)
  return lines.join("\n")
}

class Dump {
  #at = 0
  readonly #bytes: Uint8Array
  readonly #lines: string[]

  constructor(bytes: Uint8Array, lines: string[]) {
    this.#bytes = bytes
    this.#lines = lines
  }

  value(names: FieldNames, depth: number): void {
    const [name, ...items] = typeof names === "string" ? [names] : names
    if (typeof name !== "string") throw new RangeError("a list of names begins with its own")
    const tag = this.#bytes[this.#at] ?? 0
    if (tag >= 0x90 && tag <= 0x9f) return this.#array(name, items, { head: 1, depth })
    if (tag === 0xc4) return this.#binary(name, 2, depth)
    if (tag === 0xc5) return this.#binary(name, 3, depth)
    if (tag >= 0xa0 && tag <= 0xbf) {
      const length = tag & 0x1f
      const text = fromUtf8(this.#bytes.subarray(this.#at + 1, this.#at + 1 + length))
      return this.#line(1 + length, `${name} ${JSON.stringify(text)}`, depth)
    }
    if (tag <= 0x7f) return this.#line(1, `${name} ${tag}`, depth)
    if (tag === 0xc0) return this.#line(1, `${name} nil`, depth)
    if (tag === 0xcd) return this.#line(3, `${name} ${readU16(this.#bytes, this.#at + 1)}`, depth)
    if (tag === 0xce) return this.#line(5, `${name} ${readU32(this.#bytes, this.#at + 1)}`, depth)
    throw new RangeError(`a value of type ${tag.toString(16)} is not shown here`)
  }

  #array(
    name: string,
    items: readonly FieldNames[],
    { head, depth }: { readonly head: number; readonly depth: number },
  ): void {
    const count = (this.#bytes[this.#at] ?? 0) & 0x0f
    this.#line(head, `${name}, array of ${count}`, depth)
    for (let i = 0; i < count; i++) {
      const inner = items.length === 1 && count !== 1 ? items[0] : items[i]
      if (inner === undefined) throw new RangeError(`${name} has no name for item ${i}`)
      this.value(inner, depth + 1)
    }
  }

  #binary(name: string, head: number, depth: number): void {
    const length =
      head === 2 ? (this.#bytes[this.#at + 1] ?? 0) : readU16(this.#bytes, this.#at + 1)
    this.#line(head, `${name}, ${length} bytes`, depth)
    if (length <= bytesShownMax) return this.#rows(length)
    this.#rows(16)
    this.#lines.push(`${" ".repeat(6)}…  ${length - 32} bytes`)
    this.#at += length - 32
    this.#rows(16)
  }

  #rows(length: number): void {
    for (let left = length; left > 0; left -= 16) this.#line(Math.min(16, left), "", 0)
  }

  #line(length: number, says: string, depth: number): void {
    const hex = toHex(this.#bytes.subarray(this.#at, this.#at + length))
    const offset = String(this.#at).padStart(4)
    this.#lines.push(`${offset}  ${hex.padEnd(hexColumn)}${"  ".repeat(depth)}${says}`.trimEnd())
    this.#at += length
  }
}
