import { describe, expect, it } from "vitest"
import { sha256 } from "../../keys/crypto.ts"
import { concat, u16, utf8 } from "../../protocol/bytes.ts"
import {
  decodeBundle,
  decodeTile,
  encodeBundle,
  encodeTile,
  parseTilePath,
  tilePath,
  tilesOf,
} from "../../protocol/tiles.ts"
import {
  inclusionPathFromTiles,
  inclusionPathsFromTiles,
  leafHashFromTiles,
} from "../../protocol/tile-proofs.ts"
import { edgeRange, edgeRoot, emptyEdge, growLog, readEdge } from "../../protocol/tile-writer.ts"
import {
  appendToRange,
  emptyRange,
  isRange,
  leafHash,
  treeRoot,
  type TreeRange,
  inclusionPath,
} from "../../protocol/tree.ts"
import { prng } from "../kit/mutate.ts"
import { codeOf } from "../kit/refusal.ts"

const entry = (i: number): Uint8Array => utf8(`entry ${i}`)

describe("tile paths", () => {
  it("exist for exactly the tiles that a size implies", () => {
    expect([...tilesOf(0)]).toEqual([])
    expect([...tilesOf(256)].map(tilePath)).toEqual([
      "tile/entries/000",
      "tile/0/000",
      "tile/1/000.p/1",
    ])
    const paths = [...tilesOf(70_000)].map(tilePath)
    expect(paths).toHaveLength(274 + 274 + 2 + 1)
    for (const path of ["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1", "tile/1/000"])
      expect(paths).toContain(path)
  })

  it.each([
    "tile/0/0",
    "tile/00/000",
    "tile/64/000",
    "tile/-1/000",
    "tile/0/x000/001",
    "tile/0/001/000",
    "tile/0/x001/x000",
    "tile/0/x999/x999/x999/x999/x999/999",
    "tile/0/000.p/0",
    "tile/0/000.p/256",
    "tile/0/000.p/01",
    "tile/0/000.p",
    "tile/0/000/",
    "/tile/0/000",
    "tile/0/000\n",
    "tile/data/000",
    "tile/8/0/000.p/1",
    "tile/0/../000",
    "tile/entries/%30%30%30",
    "checkpoint",
    "",
  ])("%j is none", (path) => {
    expect(codeOf(() => parseTilePath(path))).toBe("not-found")
  })
})

describe("tiles and bundles", () => {
  it("round-trip", () => {
    const entries = [entry(0), new Uint8Array(0), new Uint8Array(65_535)]
    expect(decodeBundle(encodeBundle(entries), 3)).toEqual(entries)
    const hashes = [0, 1, 2].map((i) => leafHash(sha256, entry(i)))
    expect(decodeTile(encodeTile(hashes), 3)).toEqual(hashes)
  })

  it("hold exactly what their width says, and nothing left over", () => {
    const bundle = encodeBundle([entry(0), entry(1)])
    for (const [bytes, width] of [
      [bundle, 1],
      [bundle, 3],
      [bundle.slice(0, -1), 2],
      [concat(bundle, Uint8Array.of(0)), 2],
      [concat(bundle, u16(1)), 3],
    ] as const)
      expect(codeOf(() => decodeBundle(bytes, width))).toBe("log-file")
    for (const length of [0, 31, 33, 64])
      expect(codeOf(() => decodeTile(new Uint8Array(length), 1))).toBe("log-file")
  })
})

describe("a growing log", () => {
  it("stores the same however it was cut into commits, and is read back from its partial files", async () => {
    const random = prng(1)
    const size = 66_300 // past a full level-1 tile
    const leaves = Array.from({ length: size }, (_, i) => leafHash(sha256, entry(i)))
    const files = new Map<string, Uint8Array>()
    const read = (path: string): Promise<Uint8Array> => {
      const bytes = files.get(path)
      return bytes === undefined ? Promise.reject(new Error(path)) : Promise.resolve(bytes)
    }
    let edge = emptyEdge
    let commits = 0
    for (; edge.size < size; commits++) {
      const count = Math.min(size - edge.size, 1 + random.below(random.pick([3, 300, 6_000])))
      const entries = Array.from({ length: count }, (_, i) => entry(edge.size + i))
      const growth = growLog(sha256, edge, entries)
      for (const { path, bytes } of growth.files) files.set(path, bytes)
      expect(growth.leafHashes.at(-1)).toEqual(leaves[growth.edge.size - 1])
      // Each commit starts from what the last one stored.
      edge = await readEdge(growth.edge.size, read)
    }
    expect(commits).toBeGreaterThan(20)
    expect(edgeRoot(sha256, edge)).toEqual(treeRoot(sha256, leaves))
    expect([...tilesOf(size)].map(tilePath).filter((path) => !files.has(path))).toEqual([])

    const tree = {
      sha256,
      size,
      readTile: (tile: Parameters<typeof tilePath>[0]) => read(tilePath(tile)),
    }
    const indexes = [0, 255, 256, 65_535, 65_536, size - 1]
    expect(await inclusionPathsFromTiles(tree, indexes)).toEqual(
      indexes.map((index) => inclusionPath(sha256, leaves, index)),
    )
    await expect(leafHashFromTiles(tree, size)).rejects.toThrow(RangeError)
    for (const index of indexes) {
      expect(await leafHashFromTiles(tree, index)).toEqual(leaves[index])
      expect(await inclusionPathFromTiles(tree, index)).toEqual(
        inclusionPath(sha256, leaves, index),
      )
    }
  })

  it("has the range that appending leaf by leaf gives", () => {
    let edge = emptyEdge
    let range: TreeRange = emptyRange
    for (let i = 0; i < 700; i++) {
      edge = growLog(sha256, edge, [entry(i)]).edge
      range = appendToRange(sha256, range, leafHash(sha256, entry(i)))
      expect(edgeRange(sha256, edge)).toEqual(range)
      expect(isRange(range)).toBe(true)
    }
    expect(isRange({ ...range, size: range.size - 1 })).toBe(false)
  })
})
