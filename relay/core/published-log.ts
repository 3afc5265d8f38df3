// A log as its files show it: up to the last published checkpoint. docs/PROTOCOL.md, "Tiles and bundles".

import { sha256 } from "../../keys/crypto.ts"
import { ChappeError } from "../../protocol/errors.ts"
import {
  type ReadTile,
  consistencyPathFromTiles,
  inclusionPathFromTiles,
} from "../../protocol/tile-proofs.ts"
import { edgeRoot } from "../../protocol/tile-writer.ts"
import {
  type Tile,
  decodeBundle,
  decodeTile,
  hashesAtLevel,
  tilePath,
  tileWidth,
  widthAt,
} from "../../protocol/tiles.ts"
import type { LogFiles } from "./ports.ts"

export type PublishedHead = { readonly size: number; readonly root: Uint8Array }

const partBytesMax = 1_000_000

export class PublishedLog {
  readonly origin: string
  readonly files: LogFiles
  #head: PublishedHead
  #checkpoint: Uint8Array

  constructor(origin: string, files: LogFiles, head: PublishedHead, checkpoint: Uint8Array) {
    this.origin = origin
    this.files = files
    this.#head = head
    this.#checkpoint = checkpoint
  }

  get head(): PublishedHead {
    return this.#head
  }

  /** The signed note as published. */
  get checkpoint(): Uint8Array {
    return this.#checkpoint
  }

  publish(head: PublishedHead, checkpoint: Uint8Array): void {
    this.#head = head
    this.#checkpoint = checkpoint
  }

  /** A tile; a full one's first items stand in for a partial one. Refused: `not-found`. */
  async tile(tile: Tile): Promise<Uint8Array> {
    const found =
      (await this.files.read(tilePath(tile))) ??
      (await this.files.read(tilePath({ ...tile, width: tileWidth })))
    if (found === undefined) throw new ChappeError("not-found", "no such tile")
    return found
  }

  readonly #readTile: ReadTile = async (tile) => {
    const bytes = await this.tile(tile)
    return bytes.subarray(0, tile.width * 32)
  }

  async #bundle(index: number, width: number): Promise<readonly Uint8Array[]> {
    const partial = await this.files.read(tilePath({ kind: "entries", index, width }))
    return partial === undefined
      ? decodeBundle(await this.tile({ kind: "entries", index, width: tileWidth }), tileWidth)
      : decodeBundle(partial, width)
  }

  /** Entries from an index on, of one bundle, about 1 MB at most; none at the end. */
  async entries(from: number): Promise<readonly Uint8Array[]> {
    const index = Math.floor(from / tileWidth)
    const width = widthAt(this.#head.size, 0, index)
    if (from >= this.#head.size || width === 0) return []
    const bundle = await this.#bundle(index, width)
    const entries: Uint8Array[] = []
    let bytes = 0
    for (const entry of bundle.slice(from % tileWidth, width)) {
      bytes += entry.length
      if (entries.length > 0 && bytes > partBytesMax) break
      entries.push(new Uint8Array(entry))
    }
    return entries
  }

  /** The root that the log had at a smaller size. Refused: `not-found` for one that is not published. */
  async rootAt(size: number): Promise<Uint8Array> {
    if (size > this.#head.size)
      throw new ChappeError("not-found", `the log has ${this.#head.size} entries`)
    const levels: (readonly Uint8Array[])[] = []
    for (let level = 0; hashesAtLevel(size, level) > 0; level++) {
      const count = hashesAtLevel(size, level)
      const index = Math.floor(count / tileWidth)
      const width = widthAt(this.#head.size, level, index)
      const isEmpty = count % tileWidth === 0
      const tile = { kind: "hashes", level, index, width } as const
      const hashes = isEmpty ? [] : decodeTile(await this.#readTile(tile), width)
      levels.push(hashes.slice(0, count % tileWidth))
    }
    return edgeRoot(sha256, { size, levels })
  }

  /** Refused: `not-found` for a size that is not published or an index beyond it. */
  async inclusion(
    size: number,
    indexes: readonly number[],
  ): Promise<readonly (readonly Uint8Array[])[]> {
    if (size > this.#head.size || indexes.some((index) => index >= size))
      throw new ChappeError("not-found", `the log has ${this.#head.size} entries`)
    const paths: (readonly Uint8Array[])[] = []
    const tree = { sha256, size, readTile: this.#readTile }
    for (const index of indexes) paths.push(await inclusionPathFromTiles(tree, index))
    return paths
  }

  /** Refused: `not-found` for a size that is not published, or `from` beyond `to`. */
  async consistency(from: number, to: number): Promise<readonly Uint8Array[]> {
    if (to > this.#head.size || from > to)
      throw new ChappeError("not-found", `the log has ${this.#head.size} entries`)
    const tree = { sha256, size: to, readTile: this.#readTile }
    return consistencyPathFromTiles(tree, from)
  }
}
