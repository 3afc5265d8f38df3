// Proofs from stored tiles: each hash of a path is folded from hashes of at most a few tiles, so a
// proof in a log of a million entries reads about six of them. docs/PROTOCOL.md, "Tiles and bundles".

import type { Sha256 } from "./crypto-ports.ts"
import { type Span, consistencySpans, inclusionSpans } from "./tree-spans.ts"
import { decodeTile, tileWidth, widthAt } from "./tiles.ts"
import { type TreeRows, emptyRoot, joinSubtrees, treeRows } from "./tree.ts"

/** The bytes of a hash tile, exactly `width` hashes; a full tile's first hashes serve as a partial one. */
export type ReadTile = (tile: {
  readonly kind: "hashes"
  readonly level: number
  readonly index: number
  readonly width: number
}) => Promise<Uint8Array>

export type TiledTree = {
  readonly sha256: Sha256
  readonly size: number
  readonly readTile: ReadTile
}

export async function inclusionPathFromTiles(
  tree: TiledTree,
  index: number,
): Promise<readonly Uint8Array[]> {
  return new TileReader(tree).path(inclusionSpans(index, tree.size))
}

/** Paths of many entries, in order: neighbours cost little more than one of them. */
export async function inclusionPathsFromTiles(
  tree: TiledTree,
  indexes: readonly number[],
): Promise<readonly (readonly Uint8Array[])[]> {
  const reader = new TileReader(tree)
  const paths: (readonly Uint8Array[])[] = []
  for (const index of indexes) paths.push(await reader.path(inclusionSpans(index, tree.size)))
  return paths
}

/** From `smallSize` to the tree's size. */
export async function consistencyPathFromTiles(
  tree: TiledTree,
  smallSize: number,
): Promise<readonly Uint8Array[]> {
  return new TileReader(tree).path(consistencySpans(smallSize, tree.size))
}

/** Root of the first `smallSize` entries, which may be all. */
export async function rootFromTiles(tree: TiledTree, smallSize: number): Promise<Uint8Array> {
  if (smallSize === 0) return emptyRoot(tree.sha256)
  return new TileReader(tree).root({ from: 0, to: smallSize })
}

/** Hash of the entry at `index`, from its level-0 tile. */
export async function leafHashFromTiles(tree: TiledTree, index: number): Promise<Uint8Array> {
  return new TileReader(tree).root({ from: index, to: index + 1 })
}

/** Reads each tile once and folds it once: the hashes of a path and its neighbours stand in few. */
class TileReader {
  readonly #tree: TiledTree
  readonly #tiles = new Map<string, Promise<TreeRows>>()

  constructor(tree: TiledTree) {
    this.#tree = tree
  }

  async path(spans: readonly Span[]): Promise<readonly Uint8Array[]> {
    const path: Uint8Array[] = []
    for (const span of spans) path.push(await this.root(span))
    return path
  }

  async root(span: Span): Promise<Uint8Array> {
    const roots: Uint8Array[] = []
    for (const subtree of perfectSubtrees(span)) roots.push(await this.#subtreeRoot(subtree))
    const root = joinSubtrees(this.#tree.sha256, roots)
    if (root === undefined) throw new RangeError("an empty span has no root")
    return root
  }

  async #subtreeRoot(subtree: Subtree): Promise<Uint8Array> {
    const place = tilePlace(subtree)
    const rows = await this.#tile(place.level, place.index)
    const root = rows[place.row]?.[place.column]
    if (root === undefined || subtree.from + subtree.leaves > this.#tree.size)
      throw new RangeError("a span beyond the tree")
    return root
  }

  #tile(level: number, index: number): Promise<TreeRows> {
    const name = `${level}/${index}`
    const known = this.#tiles.get(name)
    if (known !== undefined) return known
    const { sha256, size, readTile } = this.#tree
    const width = widthAt(size, level, index)
    const rows = readTile({ kind: "hashes", level, index, width }).then((bytes) =>
      treeRows(sha256, decodeTile(bytes, width)),
    )
    this.#tiles.set(name, rows)
    return rows
  }
}

type Subtree = { readonly from: number; readonly leaves: number }

/** The perfect subtrees of a span, largest first. */
function perfectSubtrees({ from, to }: Span): readonly Subtree[] {
  const subtrees: Subtree[] = []
  let at = from
  let leaves = 1
  while (leaves * 2 <= to - from) leaves *= 2
  for (; leaves >= 1; leaves /= 2)
    if (at + leaves <= to) {
      subtrees.push({ from: at, leaves })
      at += leaves
    }
  return subtrees
}

/** Where a perfect subtree's root is: row k of a tile's tree covers 2^k of its hashes each. */
function tilePlace(subtree: Subtree): {
  readonly level: number
  readonly index: number
  readonly row: number
  readonly column: number
} {
  let level = 0
  let covered = 1
  while (covered * tileWidth <= subtree.leaves) {
    covered *= tileWidth
    level += 1
  }
  let row = 0
  while (covered * 2 ** row < subtree.leaves) row += 1
  const first = subtree.from / covered
  return {
    level,
    index: Math.floor(first / tileWidth),
    row,
    column: (first % tileWidth) / 2 ** row,
  }
}
