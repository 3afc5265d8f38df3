// Trees, proofs and tile paths made with Go's x/mod and the transparency-dev libraries.

import { describe, expect, it } from "vitest"
import { sha256 } from "../../keys/crypto.ts"
import { concat, fromBase64, toBase64, utf8 } from "../../protocol/bytes.ts"
import {
  consistencyPathFromTiles,
  inclusionPathFromTiles,
  rootFromTiles,
  type TiledTree,
} from "../../protocol/tile-proofs.ts"
import { parseTilePath, tilePath, tileWidth } from "../../protocol/tiles.ts"
import {
  appendToRange,
  emptyRange,
  leafHash,
  rangeRoot,
  treeRoot,
  verifyConsistency,
  verifyInclusion, consistencyPath, inclusionPath, inclusionPaths } from "../../protocol/tree.ts"
import { haveSharedVectors, readSharedVectors } from "../kit/shared-vectors.ts"

type Vectors = {
  readonly Roots: Readonly<Record<string, string>>
  readonly Inclusion: readonly {
    readonly Index: number
    readonly Size: number
    readonly Leaf: string
    readonly Path: readonly string[]
  }[]
  readonly Consistency: readonly {
    readonly Old: number
    readonly Size: number
    readonly Path: readonly string[]
  }[]
  readonly TilePaths: Readonly<Record<string, string>>
}

const sizeMax = 70_000
const isSmall = ({ Size }: { readonly Size: number }): boolean => Size <= 1_000

describe.skipIf(!haveSharedVectors)("tlog/merkle.json", () => {
  const vectors: Vectors = haveSharedVectors
    ? (readSharedVectors("tlog/merkle.json") as Vectors)
    : { Roots: {}, Inclusion: [], Consistency: [], TilePaths: {} }
  const leaves = haveSharedVectors
    ? Array.from({ length: sizeMax }, (_, i) => leafHash(sha256, utf8(`leaf ${i}`)))
    : []
  const levels: Uint8Array[][] = [leaves]
  for (let below = leaves; below.length >= tileWidth;) {
    const above: Uint8Array[] = []
    for (let at = 0; at + tileWidth <= below.length; at += tileWidth)
      above.push(treeRoot(sha256, below.slice(at, at + tileWidth)))
    levels.push(above)
    below = above
  }
  const tree = (size: number): TiledTree => ({
    sha256,
    size,
    readTile: ({ level, index, width }) => {
      const first = index * tileWidth
      return Promise.resolve(concat(...(levels[level] ?? []).slice(first, first + width)))
    },
  })

  it("has the 53 roots", async () => {
    expect(Object.keys(vectors.Roots)).toHaveLength(53)
    let range = emptyRange
    const rangeRoots = new Map([[0, toBase64(rangeRoot(sha256, range))]])
    for (const leaf of leaves) {
      range = appendToRange(sha256, range, leaf)
      if (Object.hasOwn(vectors.Roots, range.size))
        rangeRoots.set(range.size, toBase64(rangeRoot(sha256, range)))
    }
    for (const [name, root] of Object.entries(vectors.Roots)) {
      const size = Number(name)
      expect(toBase64(treeRoot(sha256, leaves.slice(0, size)))).toBe(root)
      expect(rangeRoots.get(size)).toBe(root)
      expect(toBase64(await rootFromTiles(tree(sizeMax), size))).toBe(root)
    }
  })

  it("has the 282 inclusion proofs", async () => {
    expect(vectors.Inclusion).toHaveLength(282)
    for (const { Index: index, Size: size, Leaf, Path } of vectors.Inclusion) {
      const path = await inclusionPathFromTiles(tree(size), index)
      expect(path.map(toBase64)).toEqual(Path)
      const leaf = fromBase64(Leaf)
      const root = await rootFromTiles(tree(size), size)
      expect(verifyInclusion({ sha256, index, size, leaf, path, root })).toBe(true)
    }
  })

  it("has the 282 consistency proofs", async () => {
    expect(vectors.Consistency).toHaveLength(282)
    for (const { Old: smallSize, Size: largeSize, Path } of vectors.Consistency) {
      const path = await consistencyPathFromTiles(tree(largeSize), smallSize)
      expect(path.map(toBase64)).toEqual(Path)
      const smallRoot = await rootFromTiles(tree(largeSize), smallSize)
      const largeRoot = await rootFromTiles(tree(largeSize), largeSize)
      const proof = { sha256, smallSize, smallRoot, largeSize, largeRoot, path }
      expect(verifyConsistency(proof)).toBe(true)
    }
  })

  it("has the smaller proofs in memory too", () => {
    for (const { Index, Size, Path } of vectors.Inclusion.filter(isSmall)) {
      const inMemory = leaves.slice(0, Size)
      expect(inclusionPath(sha256, inMemory, Index).map(toBase64)).toEqual(Path)
      expect(inclusionPaths(sha256, inMemory)[Index]?.map(toBase64)).toEqual(Path)
    }
    for (const { Old, Size, Path } of vectors.Consistency.filter(isSmall))
      expect(consistencyPath(sha256, leaves.slice(0, Size), Old).map(toBase64)).toEqual(Path)
  })

  it("has the 11 tile paths", () => {
    expect(Object.keys(vectors.TilePaths)).toHaveLength(11)
    for (const [name, path] of Object.entries(vectors.TilePaths)) {
      const [level = "", index, width] = name.split(",")
      const place = { index: Number(index), width: Number(width) }
      const tile =
        level === "entries"
          ? ({ kind: "entries", ...place } as const)
          : ({ kind: "hashes", level: Number(level), ...place } as const)
      expect(tilePath(tile)).toBe(path)
      expect(parseTilePath(path)).toEqual(tile)
    }
  })
})
