// Merkle trees of RFC 6962 section 2.1: roots, and the checks of RFC 9162 sections 2.1.3.2 and 2.1.4.2.
// docs/PROTOCOL.md, "Trees". Sizes and indexes are exact up to 2⁵³−1: they are halved, never shifted.
//
// Corners: every hash has exactly 32 bytes; the empty tree has root H(""); a consistency proof from
// size 0 or between equal sizes is empty; a path that is too long fails instead of being cut.

import { concat, emptyBytes, equalBytes } from "./bytes.ts"
import type { Sha256 } from "./crypto-ports.ts"
import { consistencySpans } from "./tree-spans.ts"

export const hashBytes = 32

const leafPrefix = Uint8Array.of(0)
const nodePrefix = Uint8Array.of(1)

/** H(00 ‖ entry). */
export function leafHash(sha256: Sha256, entry: Uint8Array): Uint8Array {
  return sha256(concat(leafPrefix, entry))
}

/** H(01 ‖ left ‖ right). */
export function nodeHash(sha256: Sha256, left: Uint8Array, right: Uint8Array): Uint8Array {
  return sha256(concat(nodePrefix, left, right))
}

/** H(""), the root of the tree of size 0. */
export function emptyRoot(sha256: Sha256): Uint8Array {
  return sha256(emptyBytes)
}

/** The root over leaf hashes, in order. */
export function treeRoot(sha256: Sha256, leafHashes: readonly Uint8Array[]): Uint8Array {
  return treeRows(sha256, leafHashes).at(-1)?.[0] ?? emptyRoot(sha256)
}

/** The path of leaf `index`, its sibling first. */
export function inclusionPath(
  sha256: Sha256,
  leafHashes: readonly Uint8Array[],
  index: number,
): readonly Uint8Array[] {
  if (!Number.isInteger(index) || index < 0 || index >= leafHashes.length)
    throw new RangeError(`no leaf ${index} in a tree of ${leafHashes.length}`)
  return pathIn(treeRows(sha256, leafHashes), index)
}

/** The paths of all leaves, in order, for the work of one. */
export function inclusionPaths(
  sha256: Sha256,
  leafHashes: readonly Uint8Array[],
): readonly (readonly Uint8Array[])[] {
  const rows = treeRows(sha256, leafHashes)
  return leafHashes.map((_, index) => pathIn(rows, index))
}

/** Row k holds the roots of the subtrees of 2^k leaves, in order; the last of a row may cover fewer. */
export type TreeRows = readonly (readonly Uint8Array[])[]

/** Pairing neighbours and carrying an odd last one up gives the split at the largest power of two. */
export function treeRows(sha256: Sha256, leafHashes: readonly Uint8Array[]): TreeRows {
  const rows: Uint8Array[][] = [[...leafHashes]]
  for (let row = rows[0] ?? []; row.length > 1; row = rows.at(-1) ?? []) {
    const above: Uint8Array[] = []
    for (let i = 0; i < row.length; i += 2) {
      const left = row[i] ?? emptyBytes
      const right = row[i + 1]
      above.push(right === undefined ? left : nodeHash(sha256, left, right))
    }
    rows.push(above)
  }
  return rows
}

function pathIn(rows: TreeRows, index: number): readonly Uint8Array[] {
  const path: Uint8Array[] = []
  let at = index
  for (const row of rows) {
    // A last one without a sibling was carried up: no hash of the path stands in this row.
    const sibling = row[at % 2 === 0 ? at + 1 : at - 1]
    if (sibling !== undefined) path.push(sibling)
    at = half(at)
  }
  return path
}

/** From the tree of the first `smallSize` leaves to the tree of all. */
export function consistencyPath(
  sha256: Sha256,
  leafHashes: readonly Uint8Array[],
  smallSize: number,
): readonly Uint8Array[] {
  return consistencySpans(smallSize, leafHashes.length).map(({ from, to }) =>
    treeRoot(sha256, leafHashes.slice(from, to)),
  )
}

/**
 * The roots of the perfect subtrees that make up a tree of `size`, largest first: all that is needed
 * to append and to know the root.
 */
export type TreeRange = { readonly size: number; readonly roots: readonly Uint8Array[] }

export const emptyRange: TreeRange = { size: 0, roots: [] }

export function appendToRange(sha256: Sha256, range: TreeRange, leaf: Uint8Array): TreeRange {
  if (!Number.isSafeInteger(range.size + 1)) throw new RangeError("tree size")
  const roots = [...range.roots]
  let last = leaf
  for (let rest = range.size; rest % 2 === 1; rest = half(rest)) {
    const left = roots.pop()
    if (left === undefined) throw new RangeError("a range lacks a root")
    last = nodeHash(sha256, left, last)
  }
  roots.push(last)
  return { size: range.size + 1, roots }
}

export function rangeRoot(sha256: Sha256, range: TreeRange): Uint8Array {
  return joinSubtrees(sha256, range.roots) ?? emptyRoot(sha256)
}

/** One root over neighbouring perfect subtrees, largest first; undefined for none. */
export function joinSubtrees(sha256: Sha256, roots: readonly Uint8Array[]): Uint8Array | undefined {
  return roots.reduceRight<Uint8Array | undefined>(
    (right, left) => (right === undefined ? left : nodeHash(sha256, left, right)),
    undefined,
  )
}

/** Whether `range` has as many roots of 32 bytes as its size demands. For ranges read from a file. */
export function isRange(range: TreeRange): boolean {
  if (!Number.isSafeInteger(range.size) || range.size < 0) return false
  let expected = 0
  for (let rest = range.size; rest > 0; rest = half(rest)) expected += rest % 2
  return range.roots.length === expected && range.roots.every(isHash)
}

export type InclusionPlace = {
  readonly sha256: Sha256
  readonly index: number
  readonly size: number
  readonly leaf: Uint8Array
  /** From the leaf's sibling up. */
  readonly path: readonly Uint8Array[]
}

/** The root that a path leads to; undefined when index, size, path length or a hash length cannot be. */
export function rootFromInclusion(place: InclusionPlace): Uint8Array | undefined {
  const { sha256, index, size, leaf, path } = place
  if (!isSize(size) || !isSize(index) || index >= size) return undefined
  if (!isHash(leaf) || !path.every(isHash)) return undefined
  let root = leaf
  const whole = walk(
    index,
    size - 1,
    path,
    (hash) => (root = nodeHash(sha256, hash, root)),
    (hash) => (root = nodeHash(sha256, root, hash)),
  )
  return whole ? root : undefined
}

/** Whether `leaf` stands at `index` in the tree of `size` with `root`. Any input gives a verdict. */
export function verifyInclusion(proof: InclusionPlace & { readonly root: Uint8Array }): boolean {
  const root = rootFromInclusion(proof)
  return root !== undefined && equalBytes(root, proof.root)
}

export type ConsistencyProof = {
  readonly sha256: Sha256
  readonly smallSize: number
  readonly smallRoot: Uint8Array
  readonly largeSize: number
  readonly largeRoot: Uint8Array
  readonly path: readonly Uint8Array[]
}

/** Whether the large tree begins with the small one. Any input gives a verdict. */
export function verifyConsistency(proof: ConsistencyProof): boolean {
  const { sha256, smallSize, smallRoot, largeSize, largeRoot, path } = proof
  if (!isSize(smallSize) || !isSize(largeSize) || smallSize > largeSize) return false
  if (!isHash(smallRoot) || !isHash(largeRoot) || !path.every(isHash)) return false
  if (smallSize === 0 && !equalBytes(smallRoot, emptyRoot(sha256))) return false
  if (smallSize === largeSize) return path.length === 0 && equalBytes(smallRoot, largeRoot)
  if (smallSize === 0) return path.length === 0
  if (path.length === 0) return false

  let fn = smallSize - 1
  let sn = largeSize - 1
  while (fn % 2 === 1) {
    fn = half(fn)
    sn = half(sn)
  }
  // fn is 0 exactly when the small tree is perfect: then its own root begins the path.
  const [first = smallRoot, ...rest] = fn === 0 ? [smallRoot, ...path] : path
  let small = first
  let large = first
  const whole = walk(
    fn,
    sn,
    rest,
    (hash) => {
      small = nodeHash(sha256, hash, small)
      large = nodeHash(sha256, hash, large)
    },
    (hash) => {
      large = nodeHash(sha256, large, hash)
    },
  )
  return whole && equalBytes(small, smallRoot) && equalBytes(large, largeRoot)
}

/** The walk that both proofs share; false when the path has the wrong length. */
function walk(
  fromNode: number,
  fromLast: number,
  hashes: readonly Uint8Array[],
  left: (hash: Uint8Array) => void,
  right: (hash: Uint8Array) => void,
): boolean {
  let fn = fromNode
  let sn = fromLast
  for (const hash of hashes) {
    if (sn === 0) return false
    if (fn % 2 === 1 || fn === sn) {
      left(hash)
      while (fn % 2 === 0 && fn > 0) {
        fn = half(fn)
        sn = half(sn)
      }
    } else right(hash)
    fn = half(fn)
    sn = half(sn)
  }
  return sn === 0
}

function half(value: number): number {
  return Math.floor(value / 2)
}

function isHash(bytes: Uint8Array): boolean {
  return bytes.length === hashBytes
}

function isSize(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}
