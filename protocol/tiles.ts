// Tiles and entry bundles of C2SP tlog-tiles: their paths, their widths, their bytes.
// docs/PROTOCOL.md, "Tiles and bundles". A tile of level L holds hashes that each cover 256^L entries.

import { concat, readU16, u16 } from "./bytes.ts"
import { parseDecimal } from "./decimal.ts"
import { ChappeError } from "./errors.ts"
import { limits } from "./limits.ts"
import { hashBytes } from "./tree.ts"

export const tileWidth = limits.bundleEntries
const tileLevelMax = 63

/** `width` is 1 … 255 for a partial tile and 256 for a full one. */
export type Tile =
  | {
      readonly kind: "hashes"
      readonly level: number
      readonly index: number
      readonly width: number
    }
  | { readonly kind: "entries"; readonly index: number; readonly width: number }

/** Path below the log's prefix: `tile/0/x001/x234/067`, `tile/entries/000.p/7`. */
export function tilePath(tile: Tile): string {
  const partial = tile.width === tileWidth ? "" : `.p/${tile.width}`
  const folder = tile.kind === "entries" ? "entries" : tile.level
  return `tile/${folder}/${indexPath(tile.index)}${partial}`
}

function indexPath(index: number): string {
  const groups = [index % 1000]
  for (let rest = Math.floor(index / 1000); rest > 0; rest = Math.floor(rest / 1000))
    groups.unshift(rest % 1000)
  const digits = groups.map((group) => String(group).padStart(3, "0"))
  return digits.map((group, i) => (i < digits.length - 1 ? `x${group}` : group)).join("/")
}

const pathForm =
  /^tile\/(?<folder>entries|0|[1-9][0-9]?)\/(?<index>(?:x[0-9]{3}\/){0,5}[0-9]{3})(?:\.p\/(?<width>[1-9][0-9]{0,2}))?$/u

/** By the grammar and nothing else; whatever has another form is `not-found`, as over HTTP. */
export function parseTilePath(path: string): Tile {
  const { folder = "", index = "", width } = pathForm.exec(path)?.groups ?? {}
  if (folder === "") throw new ChappeError("not-found", "not the path of a tile")
  const common = {
    index: Number(index.replaceAll(/[x/]/gu, "")),
    width: width === undefined ? tileWidth : parseDecimal(width),
  }
  const tile: Tile =
    folder === "entries"
      ? { kind: "entries", ...common }
      : { kind: "hashes", level: parseDecimal(folder), ...common }
  const known =
    Number.isSafeInteger(tile.index) && (tile.kind === "entries" || tile.level <= tileLevelMax)
  if (!known || tilePath(tile) !== path) throw new ChappeError("not-found", "no such tile")
  return tile
}

/** How many hashes level `level` has in a log of `size`; a partial tile is never hashed upwards. */
export function hashesAtLevel(size: number, level: number): number {
  return Math.floor(size / tileWidth ** level)
}

/** Width of tile `index` at `level` in a log of `size`: 256, less at the edge, 0 beyond it. */
export function widthAt(size: number, level: number, index: number): number {
  return Math.max(0, Math.min(tileWidth, hashesAtLevel(size, level) - index * tileWidth))
}

/** Every bundle that a log of `size` has. */
export function* bundlesOf(size: number): Generator<Tile & { readonly kind: "entries" }> {
  for (let index = 0; index * tileWidth < size; index++)
    yield { kind: "entries", index, width: widthAt(size, 0, index) }
}

/** Every tile and bundle that a log of `size` has, bundles first, then level by level. */
export function* tilesOf(size: number): Generator<Tile> {
  yield* bundlesOf(size)
  for (let level = 0; hashesAtLevel(size, level) > 0; level++)
    for (let index = 0; index * tileWidth < hashesAtLevel(size, level); index++)
      yield { kind: "hashes", level, index, width: widthAt(size, level, index) }
}

export function encodeTile(hashes: readonly Uint8Array[]): Uint8Array {
  return concat(...hashes)
}

/** Exactly `width` hashes of 32 bytes; else `log-file`. The hashes are views of `bytes`. */
export function decodeTile(bytes: Uint8Array, width: number): readonly Uint8Array[] {
  if (bytes.length !== width * hashBytes)
    throw new ChappeError("log-file", `a tile of ${bytes.length} bytes, not ${width * hashBytes}`)
  const hashes: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += hashBytes)
    hashes.push(bytes.subarray(at, at + hashBytes))
  return hashes
}

/** `u16 length ‖ entry` for each. */
export function encodeBundle(entries: readonly Uint8Array[]): Uint8Array {
  return concat(...entries.flatMap((entry) => [u16(entry.length), entry]))
}

/** Exactly `width` entries and nothing after them; else `log-file`. The entries are views of `bytes`. */
export function decodeBundle(bytes: Uint8Array, width: number): readonly Uint8Array[] {
  const entries: Uint8Array[] = []
  let at = 0
  while (entries.length < width) {
    if (at + 2 > bytes.length) throw new ChappeError("log-file", "a bundle is cut short")
    const end = at + 2 + readU16(bytes, at)
    if (end > bytes.length) throw new ChappeError("log-file", "a bundle is cut short")
    entries.push(bytes.subarray(at + 2, end))
    at = end
  }
  if (at !== bytes.length)
    throw new ChappeError("log-file", `a bundle has ${bytes.length - at} bytes too many`)
  return entries
}
