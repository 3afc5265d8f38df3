// A layout is declared once: the codec is the definition, the type follows from it (`Infer`).
// Signed cores are arrays (`record`); maps appear only inside documents (`value`).
//
// msgpackr does the packing; the scanner holds it to the canonical subset in both directions.

import { Packr, Unpackr } from "msgpackr"
import { compareText, utf8 } from "./bytes.ts"
import { ChappeError } from "./errors.ts"
import { limits } from "./limits.ts"
import { scan } from "./scanner.ts"

/** A value of the subset. Integers only, −2³¹ … 2³²−1; map keys are strings. */
export type Value =
  null | boolean | number | string | Uint8Array | readonly Value[] | ReadonlyMap<string, Value>

export interface Codec<T> {
  /** Our own value to a subset value; a value out of range is our mistake: RangeError. */
  toValue(item: T): Value
  /** A decoded value to ours; anything else is refused with `not-canonical` naming `field`. */
  fromValue(found: Value, field: string): T
}

export type Infer<C> = C extends Codec<infer T> ? T : never

const options = {
  useRecords: false,
  variableMapSize: true,
  moreTypes: false,
  structuredClone: false,
  mapsAsObjects: false,
} as const
const packr = new Packr(options)
const unpackr = new Unpackr(options)

/** The one canonical encoding. The scanner runs over our own output too. */
export function encode<T>(codec: Codec<T>, item: T): Uint8Array {
  const encoded = new Uint8Array(packr.pack(codec.toValue(item)))
  scan(encoded)
  return encoded
}

/** Refused: `size` above `bytesMax`, `not-canonical` for everything else. Nothing returned aliases `encoded`. */
export function decode<T>(codec: Codec<T>, encoded: Uint8Array, bytesMax: number): T {
  if (encoded.length > bytesMax)
    throw new ChappeError("size", `${encoded.length} of ${bytesMax} bytes`)
  scan(encoded)
  // msgpackr leaves a property on the array that it reads: it gets a view of its own.
  return codec.fromValue(unpackr.unpack(encoded.subarray()) as Value, "")
}

function refuse(field: string, why: string): never {
  throw new ChappeError("not-canonical", `${field === "" ? "value" : field} ${why}`)
}

export function uint(max: number): Codec<number> {
  const fits = (item: Value): item is number =>
    typeof item === "number" && Number.isInteger(item) && item >= 0 && item <= max
  return {
    toValue(item) {
      if (!fits(item)) throw new RangeError(`not an integer 0 … ${max}`)
      return item
    },
    fromValue: (found, field) =>
      fits(found) ? found : refuse(field, `is not an integer 0 … ${max}`),
  }
}

export function bytes(min: number, max: number = min): Codec<Uint8Array> {
  return {
    toValue(item) {
      if (!(item instanceof Uint8Array) || item.length < min || item.length > max)
        throw new RangeError(`bytes of length ${item.length}, not ${min} … ${max}`)
      return item
    },
    fromValue: (found, field) =>
      found instanceof Uint8Array && found.length >= min && found.length <= max
        ? new Uint8Array(found)
        : refuse(field, `is not ${min === max ? min : `${min} … ${max}`} bytes`),
  }
}

/** Text of 0 … `bytesMax` UTF-8 bytes; `form`, where given, is tested on it. */
export function text(bytesMax: number, form?: RegExp): Codec<string> {
  const fits = (item: Value): item is string =>
    typeof item === "string" &&
    item.length <= bytesMax &&
    // No code unit takes more than three bytes.
    (3 * item.length <= bytesMax || utf8(item).length <= bytesMax) &&
    (form === undefined || form.test(item))
  return {
    toValue(item) {
      if (!fits(item)) throw new RangeError("text out of bounds or form")
      return item
    },
    fromValue: (found, field) =>
      fits(found) ? found : refuse(field, "is not text of the allowed length and form"),
  }
}

export const flag: Codec<boolean> = {
  toValue: (item) => item,
  fromValue: (found, field) =>
    typeof found === "boolean" ? found : refuse(field, "is not true or false"),
}

export function literal<const L extends number | string>(wanted: L): Codec<L> {
  return {
    toValue: () => wanted,
    fromValue: (found, field) => (found === wanted ? wanted : refuse(field, `is not ${wanted}`)),
  }
}

/** One of a closed set of texts or numbers. */
export function oneOf<const L extends readonly (number | string)[]>(all: L): Codec<L[number]> {
  return {
    toValue(item) {
      if (!all.includes(item)) throw new RangeError(`${item} is not in the set`)
      return item
    },
    fromValue: (found, field) =>
      all.find((one) => one === found) ?? refuse(field, `is not one of ${all.join(" ")}`),
  }
}

export function nullable<T>(codec: Codec<T>): Codec<T | null> {
  return {
    toValue: (item) => (item === null ? null : codec.toValue(item)),
    fromValue: (found, field) => (found === null ? null : codec.fromValue(found, field)),
  }
}

export function list<T>(codec: Codec<T>, min: number, max: number): Codec<readonly T[]> {
  return {
    toValue(items) {
      if (items.length < min || items.length > max)
        throw new RangeError(`list of ${items.length}, not ${min} … ${max}`)
      return items.map((item) => codec.toValue(item))
    },
    fromValue: (found, field) =>
      Array.isArray(found) && found.length >= min && found.length <= max
        ? (found as readonly Value[]).map((item, i) => codec.fromValue(item, `${field}[${i}]`))
        : refuse(field, `is not a list of ${min} … ${max}`),
  }
}

/** A list in strictly ascending order of `key` (compared as bytes), so without repetitions. */
export function ascending<T>(
  codec: Codec<T>,
  key: (item: T) => string,
  min: number,
  max: number,
): Codec<readonly T[]> {
  const plain = list(codec, min, max)
  const sorted = (items: readonly T[]): boolean =>
    items.every((item, i) => {
      const before = items[i - 1]
      return i === 0 || before === undefined || compareText(key(before), key(item)) < 0
    })
  return {
    toValue(items) {
      if (!sorted(items)) throw new RangeError("list is not strictly ascending")
      return plain.toValue(items)
    },
    fromValue(found, field) {
      const items = plain.fromValue(found, field)
      return sorted(items) ? items : refuse(field, "is not strictly ascending")
    },
  }
}

type Fields = Readonly<Record<string, Codec<never>>>
type RecordOf<F> = { readonly [K in keyof F]: Infer<F[K]> }

/** An array of exactly these fields in this order. */
export function record<F extends { readonly [K in keyof F]: Codec<Infer<F[K]>> }>(
  fields: F,
): Codec<RecordOf<F>> {
  const entries = Object.entries(fields as unknown as Fields)
  return {
    toValue(item) {
      const values = item as unknown as Readonly<Record<string, never>>
      return entries.map(([name, codec]) => codec.toValue(values[name] as never))
    },
    fromValue(found, field) {
      if (!Array.isArray(found) || found.length !== entries.length)
        return refuse(field, `is not an array of ${entries.length}`)
      const items = found as readonly Value[]
      const decoded: Record<string, unknown> = {}
      entries.forEach(([name, codec], i) => {
        decoded[name] = codec.fromValue(items[i] as Value, field === "" ? name : `${field}.${name}`)
      })
      return decoded as RecordOf<F>
    },
  }
}

/** The codec that a closed table holds under `key`. */
export function chosen<Table extends object, K extends keyof Table>(
  table: Table,
  key: K,
): Codec<Infer<Table[K]>> {
  return table[key] as unknown as Codec<Infer<Table[K]>>
}

export type Tagged<Table> = {
  readonly [Name in keyof Table]: { readonly name: Name } & Omit<Infer<Table[Name]>, "kind">
}[keyof Table]

/**
 * A closed set of records whose first field `kind` is a literal: 1 for the table's first row, and so on.
 * In our own values the row's name stands in `name` instead.
 */
export function tagged<Table extends object>(table: Table): Codec<Tagged<Table>> {
  const rows = Object.entries(table) as readonly (readonly [string, Codec<object>])[]
  return {
    toValue(item) {
      const { name, ...fields } = item as unknown as { readonly name: string }
      const index = rows.findIndex(([row]) => row === name)
      const codec = rows[index]?.[1]
      if (codec === undefined) throw new RangeError(`${name} is not in the table`)
      return codec.toValue({ ...fields, kind: index + 1 })
    },
    fromValue(found, field) {
      const number: unknown = Array.isArray(found) ? found[0] : undefined
      const row = typeof number === "number" ? rows[number - 1] : undefined
      if (row === undefined) return refuse(field, "is of no known kind")
      const { kind: _, ...fields } = row[1].fromValue(found, field) as { readonly kind: number }
      return { ...fields, name: row[0] } as unknown as Tagged<Table>
    },
  }
}

/** Any value of the subset; what a document may hold. Copies bytes, sorts map keys when encoding. */
export const value: Codec<Value> = {
  toValue: (item) => canonicalValue(item, 1),
  fromValue: (item) => detach(item),
}

/** Documents come from outside: what is no value of the subset is refused here or by the scanner. */
function canonicalValue(item: Value, depth: number): Value {
  if (depth > limits.depthMax) refuse("", "is nested too deeply")
  if (Array.isArray(item))
    return (item as readonly Value[]).map((inner) => canonicalValue(inner, depth + 1))
  if (item instanceof Map)
    return new Map(
      [...(item as ReadonlyMap<string, Value>)]
        .map(([key, inner]) => [key, canonicalValue(inner, depth + 1)] as const)
        .toSorted(([a], [b]) => compareText(a, b)),
    )
  if (typeof item === "object" && item !== null && !(item instanceof Uint8Array))
    refuse("", "is of a type outside the subset")
  return item
}

function detach(item: Value): Value {
  if (item instanceof Uint8Array) return new Uint8Array(item)
  if (Array.isArray(item)) return (item as readonly Value[]).map(detach)
  if (item instanceof Map)
    return new Map(
      [...(item as ReadonlyMap<string, Value>)].map(([key, inner]) => [key, detach(inner)]),
    )
  return item
}
