// Proofs from stored tiles: each hash of a path is folded from hashes of at most a few tiles, so a
// proof in a log of a million entries reads about six of them. docs/PROTOCOL.md, "Tiles and bundles".

import type { Sha256 } from "./crypto-ports.ts"
import { ChappeError } from "./errors.ts"
import { type Span, consistencySpans, inclusionSpans } from "./tree-spans.ts"
import { decodeTile, tileWidth, widthAt } from "./tiles.ts"
import { joinSubtrees, treeRoot } from "./tree.ts"

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
  return pathFromTiles(tree, inclusionSpans(index, tree.size))
}

/** From `smallSize` to the tree's size. */
export async function consistencyPathFromTiles(
  tree: TiledTree,
  smallSize: number,
): Promise<readonly Uint8Array[]> {
  return pathFromTiles(tree, consistencySpans(smallSize, tree.size))
}

/** Root of the first `smallSize` entries, which may be all. */
export async function rootFromTiles(tree: TiledTree, smallSize: number): Promise<Uint8Array> {
  if (smallSize === 0) return treeRoot(tree.sha256, [])
  const [root] = await pathFromTiles(tree, [{ from: 0, to: smallSize }])
  if (root === undefined) throw new RangeError("a span has one root")
  return root
}

/** Hash of the entry at `index`, from its level-0 tile. */
export async function leafHashFromTiles(tree: TiledTree, index: number): Promise<Uint8Array> {
  const [hash] = await pathFromTiles(tree, [{ from: index, to: index + 1 }])
  if (hash === undefined) throw new RangeError("a span has one root")
  return hash
}

async function pathFromTiles(
  tree: TiledTree,
  spans: readonly Span[],
): Promise<readonly Uint8Array[]> {
  // Neighbouring hashes of a path stand in the same tile: each is read once.
  const tiles = new Map<string, Promise<readonly Uint8Array[]>>()
  const tileAt = async (level: number, index: number): Promise<readonly Uint8Array[]> => {
    const name = `${level}/${index}`
    const known = tiles.get(name)
    if (known !== undefined) return known
    const width = widthAt(tree.size, level, index)
    const read = tree
      .readTile({ kind: "hashes", level, index, width })
      .then((bytes) => decodeTile(bytes, width))
    tiles.set(name, read)
    return read
  }
  const path: Uint8Array[] = []
  for (const span of spans) {
    const roots: Uint8Array[] = []
    for (const subtree of perfectSubtrees(span)) {
      const place = tilePlace(subtree)
      const tile = await tileAt(place.level, place.index)
      const hashes = tile.slice(place.first, place.first + place.count)
      if (hashes.length !== place.count)
        throw new ChappeError("log-file", `tile ${place.level}/${place.index} is too short`)
      roots.push(treeRoot(tree.sha256, hashes))
    }
    const root = joinSubtrees(tree.sha256, roots)
    if (root !== undefined) path.push(root)
  }
  return path
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

/** The hashes of one tile that a perfect subtree is folded from: 1 … 128 at the highest level that fits. */
function tilePlace(subtree: Subtree): {
  readonly level: number
  readonly index: number
  readonly first: number
  readonly count: number
} {
  let level = 0
  let covered = 1
  while (covered * tileWidth <= subtree.leaves) {
    covered *= tileWidth
    level += 1
  }
  const hash = subtree.from / covered
  return {
    level,
    index: Math.floor(hash / tileWidth),
    first: hash % tileWidth,
    count: subtree.leaves / covered,
  }
}
