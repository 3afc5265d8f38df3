// The corners of trees that published proofs do not reach; the rest is in test/vectors.

import { describe, expect, it } from "vitest"
import { sha256 } from "../../keys/crypto.ts"
import { utf8 } from "../../protocol/bytes.ts"
import {
  consistencyPath,
  emptyRoot,
  inclusionPath,
  inclusionPaths,
  leafHash,
  nodeHash,
  rootFromInclusion,
  treeRoot,
  verifyConsistency,
  verifyInclusion,
} from "../../protocol/tree.ts"

const leaves = Array.from({ length: 20 }, (_, i) => leafHash(sha256, utf8(`leaf ${i}`)))
const [leaf = emptyRoot(sha256), other = leaf] = leaves
const rootOf = (size: number): Uint8Array => treeRoot(sha256, leaves.slice(0, size))

describe("inclusion", () => {
  it("holds for each leaf of each size, and for no other place", () => {
    for (let size = 1; size <= leaves.length; size++) {
      const paths = inclusionPaths(sha256, leaves.slice(0, size))
      paths.forEach((path, index) => {
        expect(inclusionPath(sha256, leaves.slice(0, size), index)).toEqual(path)
        const held = leaves.map((one, i) =>
          verifyInclusion({ sha256, index: i, size, leaf: one, path, root: rootOf(size) }),
        )
        expect(held.map((holds, i) => (holds ? i : -1)).filter((i) => i >= 0)).toEqual([index])
      })
    }
  })

  it("fails for a path that is too long, whatever root it leads to", () => {
    const path = [other, other]
    expect(rootFromInclusion({ sha256, index: 0, size: 2, leaf, path })).toBe(undefined)
    expect(rootFromInclusion({ sha256, index: 0, size: 1, leaf, path: [other] })).toBe(undefined)
  })

  it("fails for hashes of another length, whatever root they lead to", () => {
    const short = other.slice(1)
    const root = nodeHash(sha256, leaf, short)
    expect(verifyInclusion({ sha256, index: 0, size: 2, leaf, path: [short], root })).toBe(false)
    const cut = nodeHash(sha256, leaf.slice(1), other)
    const place = { sha256, index: 0, size: 2, leaf: leaf.slice(1), path: [other], root: cut }
    expect(verifyInclusion(place)).toBe(false)
  })

  it.each([-1, 0.5, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY])("fails at %d", (value) => {
    const place = { sha256, leaf, path: [], root: leaf }
    expect(verifyInclusion({ ...place, index: value, size: 1 })).toBe(false)
    expect(verifyInclusion({ ...place, index: 0, size: value })).toBe(false)
  })

  it("counts beyond 32 bits", () => {
    const size = 2 ** 40 + 1
    // The last leaf of 2^40 + 1 stands alone to the right of a perfect tree.
    const root = nodeHash(sha256, other, leaf)
    const place = { sha256, size, leaf, path: [other], root }
    expect(verifyInclusion({ ...place, index: 2 ** 40 })).toBe(true)
    expect(verifyInclusion({ ...place, index: 0 })).toBe(false)
  })
})

describe("consistency", () => {
  it("holds between all sizes, and between no two histories", () => {
    for (let largeSize = 0; largeSize <= leaves.length; largeSize++)
      for (let smallSize = 0; smallSize <= largeSize; smallSize++) {
        const path = consistencyPath(sha256, leaves.slice(0, largeSize), smallSize)
        const largeRoot = rootOf(largeSize)
        const proof = {
          sha256,
          smallSize,
          smallRoot: rootOf(smallSize),
          largeSize,
          largeRoot,
          path,
        }
        expect(verifyConsistency(proof)).toBe(true)
        expect(verifyConsistency({ ...proof, smallRoot: leafHash(sha256, leaf) })).toBe(false)
        expect(verifyConsistency({ ...proof, path: [...path, leaf] })).toBe(false)
      }
  })

  it("from size 0 needs the root of nothing and an empty path", () => {
    const proof = { sha256, smallSize: 0, largeSize: 20, largeRoot: rootOf(20), path: [] }
    expect(verifyConsistency({ ...proof, smallRoot: emptyRoot(sha256) })).toBe(true)
    expect(verifyConsistency({ ...proof, smallRoot: leaf })).toBe(false)
    expect(verifyConsistency({ ...proof, smallRoot: emptyRoot(sha256), path: [leaf] })).toBe(false)
  })

  it("never holds backwards", () => {
    const path = consistencyPath(sha256, leaves, 7)
    const small = { smallSize: 20, smallRoot: rootOf(20) }
    expect(verifyConsistency({ sha256, ...small, largeSize: 7, largeRoot: rootOf(7), path })).toBe(
      false,
    )
  })
})
