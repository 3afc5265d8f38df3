// What a disk changed in a log's files, found and made anew: a tile from what it covers, a bundle from the
// records that still hold its entries. What is made anew counts only if it is what the tree above it says, up
// to the signed root. docs/PROTOCOL.md, "Tiles and bundles".

import { sha256 } from "../../keys/crypto.ts"
import { equalBytes } from "../../protocol/bytes.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { type LogEdge, edgeRoot, readEdge } from "../../protocol/tile-writer.ts"
import {
  type Tile,
  decodeBundle,
  decodeTile,
  encodeBundle,
  encodeTile,
  hashesAtLevel,
  tilePath,
  tileWidth,
  widthAt,
} from "../../protocol/tiles.ts"
import { leafHash, treeRoot } from "../../protocol/tree.ts"
import { entryKey } from "./logs.ts"
import type { LogFiles, RecordStore } from "./ports.ts"
import type { PublishedHead } from "./published-log.ts"
import { openRecord } from "./tables.ts"

type HashTile = Extract<Tile, { kind: "hashes" }>
type Bundle = Extract<Tile, { kind: "entries" }>

/** `path`: of the file, below the log's prefix. `bytes`: that were read for it, about. */
export type LogFinding = {
  readonly path: string
  readonly state: "whole" | "mended" | "damaged"
  readonly bytes: number
}

type Items = readonly Uint8Array[]

function areEqual(a: Items, b: Items): boolean {
  return a.length === b.length && a.every((item, i) => equalBytes(item, b[i] ?? item.subarray(1)))
}

export class LogMending {
  readonly #files: LogFiles
  readonly #store: Pick<RecordStore, "range">
  readonly #origin: string
  readonly #head: PublishedHead

  /** `head`: as it was signed. */
  constructor(parts: {
    readonly files: LogFiles
    readonly store: Pick<RecordStore, "range">
    readonly origin: string
    readonly head: PublishedHead
  }) {
    this.#files = parts.files
    this.#store = parts.store
    this.#origin = parts.origin
    this.#head = parts.head
  }

  /** The right edge, as the root says it; undefined when it cannot be made either. Refused: `storage`. */
  async edge(): Promise<{ readonly edge: LogEdge; readonly isMended: boolean } | undefined> {
    const read = await this.#readEdge()
    if (read !== undefined && this.#isRight(read)) return { edge: read, isMended: false }
    const made = await this.#madeEdge()
    if (made === undefined || !this.#isRight(made)) return undefined
    await this.#files.write(edgeFiles(made))
    return { edge: made, isMended: true }
  }

  /** Looks at every file of the log, and mends what can be mended. Refused: `storage`. */
  async *all(): AsyncGenerator<LogFinding> {
    const { size } = this.#head
    if (size === 0) return
    const edge = await this.edge()
    const state = edge === undefined ? "damaged" : edge.isMended ? "mended" : "whole"
    yield { path: "tile", state, bytes: size % tileWidth }
    let top = 0
    while (hashesAtLevel(size, top + 1) > 0) top += 1
    for (let level = top; level >= 0; level--)
      for (let index = 0; widthAt(size, level, index) > 0; index++)
        yield this.#tile({ kind: "hashes", level, index, width: widthAt(size, level, index) })
    for (let index = 0; widthAt(size, 0, index) > 0; index++)
      yield this.#bundle({ kind: "entries", index, width: widthAt(size, 0, index) })
  }

  async #tile(tile: HashTile): Promise<LogFinding> {
    const found = await this.#hashes(tile)
    let state: LogFinding["state"] = "whole"
    let right = found
    if (found === undefined || !(await this.#isUnderRoot(tile, found))) {
      right = await this.#hashesBelow(tile)
      state = right === undefined || !(await this.#isUnderRoot(tile, right)) ? "damaged" : "mended"
    }
    return this.#settle(tile, { state, right: right ?? [], encode: encodeTile })
  }

  async #bundle(bundle: Bundle): Promise<LogFinding> {
    const { index, width } = bundle
    const hashes = await this.#hashes({ kind: "hashes", level: 0, index, width })
    const isRight = (entries: Items | undefined): boolean =>
      hashes !== undefined && entries !== undefined && areEqual(leafHashes(entries), hashes)
    const found = await this.#entries(bundle)
    let state: LogFinding["state"] = "whole"
    let right = found
    if (!isRight(found)) {
      right = await this.#storedEntries(bundle)
      state = isRight(right) ? "mended" : "damaged"
    }
    return this.#settle(bundle, { state, right: right ?? [], encode: encodeBundle })
  }

  /** Writes what was made anew; and the smaller partial ones beside it are its beginnings, or go. */
  async #settle(
    tile: Tile,
    found: {
      readonly state: LogFinding["state"]
      readonly right: Items
      readonly encode: (items: Items) => Uint8Array
    },
  ): Promise<LogFinding> {
    const { right, encode } = found
    const path = tilePath(tile)
    const bytes = right.reduce((sum, item) => sum + item.length, 0)
    if (found.state === "damaged") return { path, state: "damaged", bytes }
    if (found.state === "mended") await this.#files.write([{ path, bytes: encode(right) }])
    const full = tilePath({ ...tile, width: tileWidth })
    const smaller = (await this.#files.widths(full)).filter((width) => width < tile.width)
    if (tile.width === tileWidth) {
      if (smaller.length > 0) await this.#files.trim([`${full}.p`])
      return { path, state: found.state, bytes }
    }
    let { state } = found
    for (const width of smaller) {
      const part = { path: tilePath({ ...tile, width }), bytes: encode(right.slice(0, width)) }
      const held = await this.#files.read(part.path)
      if (held !== undefined && equalBytes(held, part.bytes)) continue
      await this.#files.write([part])
      state = "mended"
    }
    return { path, state, bytes }
  }

  /** Whether a full tile is what the one above it says; partial ones are the edge's. */
  async #isUnderRoot(tile: HashTile, hashes: Items): Promise<boolean> {
    const { level, index, width } = tile
    if (width < tileWidth) {
      const edge = await this.#readEdge()
      return edge !== undefined && this.#isRight(edge) && areEqual(edge.levels[level] ?? [], hashes)
    }
    const above = Math.floor(index / tileWidth)
    const upper = { kind: "hashes", level: level + 1, index: above } as const
    const held = await this.#hashes({ ...upper, width: widthAt(this.#head.size, level + 1, above) })
    const own = held?.[index % tileWidth]
    return own !== undefined && equalBytes(own, treeRoot(sha256, hashes))
  }

  #isRight(edge: LogEdge): boolean {
    return (
      equalBytes(edgeRoot(sha256, edge), this.#head.root) &&
      areEqual(leafHashes(edge.entries), edge.levels[0] ?? [])
    )
  }

  async #readEdge(): Promise<LogEdge | undefined> {
    return unlessDamaged(
      readEdge(this.#head.size, async (path) => {
        const bytes = await this.#files.read(path)
        if (bytes !== undefined) return bytes
        throw new ChappeError("log-file", `${this.#origin} lacks ${path}`)
      }),
    )
  }

  /** From entries and full tiles alone. */
  async #madeEdge(): Promise<LogEdge | undefined> {
    const { size } = this.#head
    const levels: Items[] = []
    for (let level = 0; hashesAtLevel(size, level) > 0; level++) {
      const index = Math.floor(hashesAtLevel(size, level) / tileWidth)
      const width = hashesAtLevel(size, level) % tileWidth
      const hashes = await this.#hashesBelow({ kind: "hashes", level, index, width })
      if (hashes === undefined) return undefined
      levels.push(hashes)
    }
    const width = size % tileWidth
    const entries = await this.#rightEntries({
      kind: "entries",
      index: (size - width) / tileWidth,
      width,
    })
    return entries && { size, levels, entries }
  }

  async #hashesBelow({ level, index, width }: HashTile): Promise<Items | undefined> {
    if (level === 0) {
      const entries = await this.#rightEntries({ kind: "entries", index, width })
      return entries && leafHashes(entries)
    }
    const roots: Uint8Array[] = []
    for (let i = 0; i < width; i++) {
      const below = { kind: "hashes", level: level - 1, index: index * tileWidth + i } as const
      const hashes = await this.#hashes({ ...below, width: tileWidth })
      if (hashes === undefined) return undefined
      roots.push(treeRoot(sha256, hashes))
    }
    return roots
  }

  /** What the records hold is checked there, what the file holds only by whoever asks. */
  async #rightEntries(bundle: Bundle): Promise<Items | undefined> {
    return (await this.#storedEntries(bundle)) ?? (await this.#entries(bundle))
  }

  async #storedEntries({ index, width }: Bundle): Promise<Items | undefined> {
    const from = index * tileWidth
    const range = {
      gte: entryKey(this.#origin, from),
      lt: entryKey(this.#origin, from + width),
      limit: tileWidth,
    }
    const records = width === 0 ? [] : await this.#store.range(range)
    if (records.length !== width) return undefined
    return records.map(({ key, value }) => openRecord(key, value))
  }

  async #entries(bundle: Bundle): Promise<Items | undefined> {
    if (bundle.width === 0) return []
    const own = await this.#files.read(tilePath(bundle))
    const { width } = own === undefined ? { width: tileWidth } : bundle
    const bytes = own ?? (await this.#files.read(tilePath({ ...bundle, width })))
    if (bytes === undefined) return undefined
    const entries = await unlessDamaged(async () => decodeBundle(bytes, width))
    return entries?.slice(0, bundle.width)
  }

  async #hashes(tile: HashTile): Promise<Items | undefined> {
    const { width } = tile
    if (width === 0) return []
    const bytes =
      (await this.#files.read(tilePath(tile))) ??
      (await this.#files.read(tilePath({ ...tile, width: tileWidth })))
    if (bytes === undefined) return undefined
    // A full tile's first hashes stand in for a partial one; a tile that was cut does not decode.
    const part = bytes.length === tileWidth * 32 ? bytes.subarray(0, width * 32) : bytes
    return unlessDamaged(async () => decodeTile(part, width))
  }
}

async function unlessDamaged<T>(reading: Promise<T> | (() => Promise<T>)): Promise<T | undefined> {
  try {
    return await (typeof reading === "function" ? reading() : reading)
  } catch (cause) {
    if (cause instanceof ChappeError && cause.code === "log-file") return undefined
    throw cause
  }
}

function leafHashes(entries: Items): Items {
  return entries.map((entry) => leafHash(sha256, entry))
}

/** The partial tiles and the partial bundle of an edge. */
function edgeFiles({ size, levels, entries }: LogEdge) {
  const files = levels.map((hashes, level) => ({
    tile: {
      kind: "hashes",
      level,
      index: Math.floor(hashesAtLevel(size, level) / tileWidth),
      width: hashes.length,
    } as const,
    bytes: encodeTile(hashes),
  }))
  const bundle = {
    tile: {
      kind: "entries",
      index: Math.floor(size / tileWidth),
      width: entries.length,
    } as const,
    bytes: encodeBundle(entries),
  }
  return [...files, bundle]
    .filter(({ tile }) => tile.width > 0)
    .map(({ tile, bytes }) => ({ path: tilePath(tile), bytes }))
}
