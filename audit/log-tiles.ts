// Reading tiles and bundles of a log of known size, with exact widths. A partial one may have been
// deleted once the full one existed: then the full one's first items count, if it is whole.

import { ChappeError } from "../protocol/errors.ts"
import { type Tile, decodeBundle, decodeTile, tilePath, tileWidth } from "../protocol/tiles.ts"
import { auditLimits } from "./limits.ts"
import type { LogSource } from "./log-source.ts"

/** Exactly `tile.width` hashes or entries. Refused with `log-file`: missing, cut, something left over. */
export async function readItems(source: LogSource, tile: Tile): Promise<readonly Uint8Array[]> {
  const own = await readTile(source, tile)
  if (own !== undefined) return own
  const full = { ...tile, width: tileWidth }
  const whole = tile.width < tileWidth ? await readTile(source, full) : undefined
  if (whole === undefined) throw new ChappeError("log-file", `${tilePath(tile)} is missing`)
  return whole.slice(0, tile.width)
}

async function readTile(source: LogSource, tile: Tile): Promise<readonly Uint8Array[] | undefined> {
  const path = tilePath(tile)
  const bytesMax = tile.kind === "entries" ? auditLimits.bundleBytesMax : auditLimits.tileBytesMax
  const bytes = await source.read(path, bytesMax)
  if (bytes === undefined) return undefined
  try {
    return tile.kind === "entries" ? decodeBundle(bytes, tile.width) : decodeTile(bytes, tile.width)
  } catch (cause) {
    if (!(cause instanceof ChappeError)) throw cause
    throw new ChappeError("log-file", `${path}: ${cause.message}`, { cause })
  }
}
