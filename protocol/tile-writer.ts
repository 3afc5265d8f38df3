// The writer's side of tlog-tiles: what to store when a log grows. Pure: the caller writes the files
// in the order given, and the checkpoint after them. docs/PROTOCOL.md, "Tiles and bundles".

import type { Sha256 } from "./crypto-ports.ts"
import {
  type Tile,
  decodeBundle,
  decodeTile,
  encodeBundle,
  encodeTile,
  hashesAtLevel,
  tilePath,
  tileWidth,
} from "./tiles.ts"
import { type TreeRange, leafHash, rangeRoot, treeRoot } from "./tree.ts"

/** The right edge of a tree: the hashes in its partial tiles, lowest level first. */
export type TreeEdge = {
  readonly size: number
  readonly levels: readonly (readonly Uint8Array[])[]
}

/** The right edge of a log: also the entries in its partial bundle. */
export type LogEdge = TreeEdge & { readonly entries: readonly Uint8Array[] }

export const emptyEdge: LogEdge = { size: 0, entries: [], levels: [] }

export type LogFile = { readonly path: string; readonly bytes: Uint8Array }

export type LogGrowth = {
  readonly edge: LogEdge
  /** Full bundles and tiles, and the partial ones that the new size implies and the old one had not. */
  readonly files: readonly LogFile[]
  readonly leafHashes: readonly Uint8Array[]
}

/** Appends entries (0 … 65,535 bytes each). */
export function growLog(sha256: Sha256, edge: LogEdge, entries: readonly Uint8Array[]): LogGrowth {
  const leafHashes = entries.map((entry) => leafHash(sha256, entry))
  const tree = growTree(sha256, edge, leafHashes)
  const bundles = cut(edge.entries, entries, edge.size)
  const files = filesOf(bundles, encodeBundle, (index, width) => ({
    kind: "entries",
    index,
    width,
  }))
  return {
    edge: { ...tree.edge, entries: bundles.partial },
    files: entries.length === 0 ? [] : [...files, ...tree.files],
    leafHashes,
  }
}

/** The tiles alone, for whoever knows leaf hashes and not entries. */
export function growTree(
  sha256: Sha256,
  edge: TreeEdge,
  leafHashes: readonly Uint8Array[],
): { readonly edge: TreeEdge; readonly files: readonly LogFile[] } {
  const size = edge.size + leafHashes.length
  if (!Number.isSafeInteger(size)) throw new RangeError("log size")
  const files: LogFile[] = []
  const levels: (readonly Uint8Array[])[] = []
  let added = leafHashes
  for (let level = 0; added.length > 0 || level < edge.levels.length; level++) {
    const tiles = cut(edge.levels[level] ?? [], added, hashesAtLevel(edge.size, level))
    if (added.length > 0)
      files.push(
        ...filesOf(tiles, encodeTile, (index, width) => ({ kind: "hashes", level, index, width })),
      )
    levels.push(tiles.partial)
    added = tiles.full.map((hashes) => treeRoot(sha256, hashes))
  }
  return { edge: { size, levels }, files }
}

type Pieces = {
  readonly firstIndex: number
  readonly full: readonly (readonly Uint8Array[])[]
  readonly partial: readonly Uint8Array[]
}

/** Cuts what the edge holds and what comes into full pieces of 256 and a rest. `count` items came before `added`. */
function cut(held: readonly Uint8Array[], added: readonly Uint8Array[], count: number): Pieces {
  if (held.length !== count % tileWidth) throw new RangeError("the edge does not fit its size")
  const items = [...held, ...added]
  const full: (readonly Uint8Array[])[] = []
  let at = 0
  for (; at + tileWidth <= items.length; at += tileWidth) full.push(items.slice(at, at + tileWidth))
  return { firstIndex: Math.floor(count / tileWidth), full, partial: items.slice(at) }
}

function filesOf(
  pieces: Pieces,
  encode: (items: readonly Uint8Array[]) => Uint8Array,
  tile: (index: number, width: number) => Tile,
): LogFile[] {
  const all = pieces.partial.length > 0 ? [...pieces.full, pieces.partial] : pieces.full
  return all.map((items, i) => ({
    path: tilePath(tile(pieces.firstIndex + i, items.length)),
    bytes: encode(items),
  }))
}

/** Reads the edge of a stored log of `size` back from its partial files; a fault is `log-file`. */
export async function readEdge(
  size: number,
  read: (path: string) => Promise<Uint8Array>,
): Promise<LogEdge> {
  const levels: (readonly Uint8Array[])[] = []
  for (let level = 0; hashesAtLevel(size, level) > 0; level++) {
    const count = hashesAtLevel(size, level)
    const width = count % tileWidth
    const tile = { kind: "hashes", level, index: Math.floor(count / tileWidth), width } as const
    levels.push(width === 0 ? [] : decodeTile(await read(tilePath(tile)), width))
  }
  const width = size % tileWidth
  const bundle = { kind: "entries", index: Math.floor(size / tileWidth), width } as const
  const entries = width === 0 ? [] : decodeBundle(await read(tilePath(bundle)), width)
  return { size, entries, levels }
}

/** The perfect subtrees of the log, largest first: its root (`rangeRoot`) and an auditor's start. */
export function edgeRange(sha256: Sha256, edge: TreeEdge): TreeRange {
  const roots: Uint8Array[] = []
  for (const hashes of edge.levels.toReversed()) {
    let at = 0
    for (let count = tileWidth / 2; count >= 1; count /= 2)
      if (at + count <= hashes.length) {
        roots.push(treeRoot(sha256, hashes.slice(at, at + count)))
        at += count
      }
  }
  return { size: edge.size, roots }
}

export function edgeRoot(sha256: Sha256, edge: TreeEdge): Uint8Array {
  return rangeRoot(sha256, edgeRange(sha256, edge))
}
