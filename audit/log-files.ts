// Whether the files of a log are what its checkpoint signs: the auditor writes the log's tiles again
// from its bundles and compares every file at every level. docs/PROTOCOL.md, "Tiles and bundles".

import type { Sha256 } from "../protocol/crypto-ports.ts"
import { equalBytes } from "../protocol/bytes.ts"
import { ChappeError } from "../protocol/errors.ts"
import { type TreeEdge, edgeRange, emptyEdge, growTree } from "../protocol/tile-writer.ts"
import {
  type Tile,
  bundlesOf,
  encodeTile,
  hashesAtLevel,
  parseTilePath,
  tilePath,
  tileWidth,
  widthAt,
} from "../protocol/tiles.ts"
import { type TreeRange, leafHash, rangeRoot } from "../protocol/tree.ts"
import { auditLimits } from "./limits.ts"
import type { LogSource } from "./log-source.ts"
import { readItems } from "./log-tiles.ts"
import { readAhead } from "./read-ahead.ts"

type Bundle = Tile & { readonly kind: "entries" }

export type LogFiles = {
  readonly source: LogSource
  readonly sha256: Sha256
  readonly size: number
  readonly root: Uint8Array
  /** Bundles that end at or before this index are pruned: their leaf hashes come from level-0 tiles. */
  readonly minimumIndex?: number
  /** Where an earlier audit ended: what lies before was checked then, and is not read again. */
  readonly start?: TreeEdge
  /** Called with the entries from an index on, once their tile agrees with them; not for pruned ones. Awaited. */
  readonly onBundle?: (firstIndex: number, entries: readonly Uint8Array[]) => Promise<void>
}

/** What was read: `range` starts the next audit. */
export type CheckedFiles = {
  readonly range: TreeRange
  readonly bundles: number
  readonly tiles: number
  /** Entries known by their leaf hashes only. */
  readonly prunedEntries: number
}

/**
 * Reads every bundle and every tile that `size` implies. Refused with `log-file` (missing, cut, left
 * over, or disagreeing with what lies below it) or `log-root`.
 */
export async function checkLogFiles(log: LogFiles): Promise<CheckedFiles> {
  const { source, sha256, size } = log
  const minimumIndex = log.minimumIndex ?? 0
  const start = log.start ?? emptyEdge
  let edge: TreeEdge = start
  let bundles = 0
  let tiles = 0
  let prunedEntries = 0

  const stored = readAhead(bundlesFrom(start.size, size), auditLimits.readAhead, async (tile) => {
    const leafTile = { ...tile, kind: "hashes", level: 0 } as const
    const [entries, hashes] = await Promise.all([
      isPruned(tile, minimumIndex) ? undefined : readItems(source, tile),
      readItems(source, leafTile),
    ])
    return { tile, leafTile, entries, hashes }
  })
  for await (const { tile, leafTile, entries, hashes } of stored) {
    const leaves = entries?.map((entry) => leafHash(sha256, entry)) ?? hashes
    if (!equalBytes(encodeTile(leaves), encodeTile(hashes)))
      throw new ChappeError("log-file", `${tilePath(tile)} and ${tilePath(leafTile)} disagree`)
    tiles += 1
    const firstIndex = Math.max(start.size, tile.index * tileWidth)
    const known = firstIndex - tile.index * tileWidth
    const growth = growTree(sha256, edge, leaves.slice(known))
    edge = growth.edge
    for (const { path, bytes } of growth.files) {
      const above = parseTilePath(path)
      // Level 0 was compared; partial tiles that only smaller sizes imply are judged with the strays.
      if (above.kind !== "hashes" || above.level === 0) continue
      if (above.width !== widthAt(size, above.level, above.index)) continue
      if (!equalBytes(encodeTile(await readItems(source, above)), bytes))
        throw new ChappeError("log-file", `${path} disagrees with the tiles below it`)
      tiles += 1
    }
    if (entries === undefined) prunedEntries += leaves.length
    else {
      bundles += 1
      await log.onBundle?.(firstIndex, entries.slice(known))
    }
  }

  const range = edgeRange(sha256, edge)
  if (!equalBytes(rangeRoot(sha256, range), log.root))
    throw new ChappeError("log-root", `the ${size} entries do not have the root that is signed`)
  return { range, bundles, tiles, prunedEntries }
}

/**
 * Every other tile and bundle that lies there must agree with the checked ones as far as both reach:
 * partial ones of earlier sizes, and what was written for a size not yet signed. Gives their number.
 * Refused with `log-file`, also for a file below `tile/` that is neither. For after `checkLogFiles`.
 */
export async function checkStrayTiles(
  log: Pick<LogFiles, "source" | "size" | "minimumIndex">,
  paths: readonly string[],
): Promise<number> {
  let strays = 0
  for (const path of paths.toSorted()) {
    const stray = tileAt(path)
    const level = stray.kind === "entries" ? 0 : stray.level
    const width = widthAt(log.size, level, stray.index)
    if (width === stray.width || isPruned({ ...stray, width }, log.minimumIndex ?? 0)) continue
    strays += 1
    const items = await readItems(log.source, stray)
    const known = width === 0 ? [] : await readItems(log.source, { ...stray, width })
    const shared = Math.min(width, stray.width)
    if (!items.slice(0, shared).every((item, i) => equalBytes(item, known[i] ?? item)))
      throw new ChappeError("log-file", `${path} holds another history`)
  }
  return strays
}

function bundlesFrom(start: number, size: number): readonly Bundle[] {
  return [...bundlesOf(size)].filter(({ index, width }) => index * tileWidth + width > start)
}

/**
 * The right edge of the log when it had `size` entries, from the tiles of its present size: those of the
 * earlier one may be gone. Refused with `log-file`.
 */
export async function readTreeEdge(
  source: LogSource,
  size: number,
  presentSize: number,
): Promise<TreeEdge> {
  const levels: (readonly Uint8Array[])[] = []
  for (let level = 0; hashesAtLevel(size, level) > 0; level++) {
    const count = hashesAtLevel(size, level)
    const index = Math.floor(count / tileWidth)
    const width = widthAt(presentSize, level, index)
    const held = count % tileWidth
    const hashes =
      held === 0 ? [] : await readItems(source, { kind: "hashes", level, index, width })
    levels.push(hashes.slice(0, held))
  }
  return { size, levels }
}

/**
 * Where the bundles begin that are still there: 0, unless a prefix of the log was pruned. Looks at
 * bundles from `start` on only.
 */
export async function firstBundleEntry(
  source: LogSource,
  size: number,
  start: number,
): Promise<number> {
  const first = Math.floor(start / tileWidth)
  const isThere = async (index: number): Promise<boolean> => {
    const width = widthAt(size, 0, index)
    for (const one of new Set([width, tileWidth])) {
      const path = tilePath({ kind: "entries", index, width: one })
      if ((await source.read(path, auditLimits.bundleBytesMax)) !== undefined) return true
    }
    return false
  }
  const end = Math.ceil(size / tileWidth)
  if (first >= end || (await isThere(first))) return start
  let missing = first
  let there = end
  while (missing + 1 < there) {
    const middle = Math.floor((missing + there) / 2)
    if (await isThere(middle)) there = middle
    else missing = middle
  }
  return Math.min(size, there * tileWidth)
}

/** Bundles may be deleted by policy, tiles never. */
function isPruned(tile: Tile, minimumIndex: number): boolean {
  return tile.kind === "entries" && tile.index * tileWidth + tile.width <= minimumIndex
}

function tileAt(path: string): Tile {
  try {
    return parseTilePath(path)
  } catch (cause) {
    if (!(cause instanceof ChappeError)) throw cause
    throw new ChappeError("log-file", "a file below tile/ is neither a tile nor a bundle", {
      cause,
    })
  }
}
