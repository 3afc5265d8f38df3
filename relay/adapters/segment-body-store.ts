// Sealed bodies one after another in segment files that were filled with zeros before: a write then changes
// data blocks only, and O_DSYNC waits for those alone. A segment goes when all of its bodies are released.

import { constants } from "node:fs"
import { type FileHandle, open, readdir, rm, statfs } from "node:fs/promises"
import { join } from "node:path"
import { ChappeError } from "../../protocol/errors.ts"
import { concat } from "../../protocol/bytes.ts"
import type { BodyLocation, BodyStore } from "../core/ports.ts"
import { makeFolder, onDisk, syncFolder } from "../../store/durable-files.ts"

/** `live`: bodies, `bytes` of them. */
type Segment = { readonly number: number; live: number; bytes: number; end: number }

const sparseShare = 4 // a segment of which no more than a quarter is left

const zeros = new Uint8Array(1_048_576)
const nameForm = /^(?<number>[0-9]{8})\.bodies$/u

export async function openSegmentBodyStore(path: string, segmentBytes: number): Promise<BodyStore> {
  return onDisk("opening the bodies", async () => {
    await makeFolder(path)
    const segments = new Map<number, Segment>()
    for (const name of await readdir(path)) {
      const number = nameForm.exec(name)?.groups?.["number"]
      if (number !== undefined) {
        const segment = { number: Number(number), live: 0, bytes: 0, end: 0 }
        segments.set(segment.number, segment)
      }
    }
    return new SegmentBodyStore(path, segmentBytes, segments)
  })
}

class SegmentBodyStore implements BodyStore {
  readonly #path: string
  readonly #segmentBytes: number
  readonly #segments: Map<number, Segment>
  readonly #missing = new Set<number>()
  readonly #readers = new Map<number, Promise<FileHandle>>()
  #writing: { readonly segment: Segment; readonly file: FileHandle } | undefined
  #failure: ChappeError | undefined

  constructor(path: string, segmentBytes: number, segments: Map<number, Segment>) {
    this.#path = path
    this.#segmentBytes = segmentBytes
    this.#segments = segments
  }

  async retain(locations: Iterable<BodyLocation>): Promise<void> {
    for (const { segment: number, offset, length } of locations) {
      const segment = this.#segments.get(number)
      if (segment === undefined) {
        this.#missing.add(number)
        continue
      }
      segment.live += 1
      segment.bytes += length
      segment.end = Math.max(segment.end, offset + length)
    }
    await onDisk("giving segments back", async () => {
      for (const segment of this.#segments.values())
        if (segment.live === 0) await this.#remove(segment)
      const last = Math.max(...this.#segments.keys())
      // A segment that is gone keeps its number: nothing else is ever found under it.
      if (Math.max(...this.#missing) > last) return
      const segment = this.#segments.get(last)
      // The newest is written on, behind its last retained body.
      if (segment !== undefined)
        this.#writing = { segment, file: await this.#openForWriting(segment.number) }
    })
  }

  async appendAll(bodies: readonly Uint8Array[]): Promise<readonly BodyLocation[]> {
    if (this.#failure !== undefined) throw this.#failure
    try {
      return await onDisk("writing bodies", async () => this.#append(bodies))
    } catch (cause) {
      if (cause instanceof ChappeError) this.#failure = cause
      throw cause
    }
  }

  async #append(bodies: readonly Uint8Array[]): Promise<readonly BodyLocation[]> {
    const whole = concat(...bodies)
    const { segment, file } = await this.#roomFor(whole.length)
    let written = 0
    while (written < whole.length) {
      const { bytesWritten } = await file.write(
        whole,
        written,
        whole.length - written,
        segment.end + written,
      )
      written += bytesWritten
    }
    const locations: BodyLocation[] = []
    for (const { length } of bodies) {
      locations.push({ segment: segment.number, offset: segment.end, length })
      segment.end += length
      segment.live += 1
      segment.bytes += length
    }
    return locations
  }

  async #roomFor(
    length: number,
  ): Promise<{ readonly segment: Segment; readonly file: FileHandle }> {
    const current = this.#writing
    if (current !== undefined && current.segment.end + length <= this.#segmentBytes) return current
    await current?.file.close()
    this.#writing = undefined
    const number = Math.max(0, ...this.#segments.keys(), ...this.#missing) + 1
    const bytes = Math.max(this.#segmentBytes, length)
    const file = await open(this.#pathOf(number), "wx", 0o600)
    try {
      for (let at = 0; at < bytes; at += zeros.length)
        await file.write(zeros, 0, Math.min(zeros.length, bytes - at), at)
      await file.sync()
    } finally {
      await file.close()
    }
    await syncFolder(this.#path)
    const segment = { number, live: 0, bytes: 0, end: 0 }
    this.#segments.set(number, segment)
    this.#writing = { segment, file: await this.#openForWriting(number) }
    if (current?.segment.live === 0) await this.#remove(current.segment)
    return this.#writing
  }

  async #openForWriting(number: number): Promise<FileHandle> {
    return open(this.#pathOf(number), constants.O_WRONLY | constants.O_DSYNC)
  }

  async read({ segment, offset, length }: BodyLocation): Promise<Uint8Array> {
    return onDisk("reading a body", async () => {
      if (this.#missing.has(segment))
        throw new ChappeError("damaged", `segment ${segment} of the bodies is missing`)
      const reader = this.#readers.get(segment) ?? this.#openForReading(segment)
      const bytes = new Uint8Array(length)
      const { bytesRead } = await (await reader).read(bytes, 0, length, offset)
      if (bytesRead !== length)
        throw new ChappeError("damaged", `segment ${segment} of the bodies is cut short`)
      return bytes
    })
  }

  /** One that could not be opened is tried anew: another segment may have its number later. */
  async #openForReading(number: number): Promise<FileHandle> {
    const reader = open(this.#pathOf(number), "r")
    this.#readers.set(number, reader)
    try {
      return await reader
    } catch (cause) {
      if (this.#readers.get(number) === reader) this.#readers.delete(number)
      throw cause
    }
  }

  async release({ segment: number, length }: BodyLocation): Promise<void> {
    if (this.#missing.has(number)) return
    const segment = this.#segments.get(number)
    if (segment === undefined || segment.live === 0) throw new RangeError("nothing to release")
    segment.live -= 1
    segment.bytes -= length
    if (segment.live === 0 && this.#writing?.segment !== segment)
      await onDisk("giving a segment back", async () => this.#remove(segment))
  }

  async #remove({ number }: Segment): Promise<void> {
    this.#segments.delete(number)
    // First the file: a reader that is opened meanwhile would outlive it, under a number that comes again.
    await rm(this.#pathOf(number))
    const reader = this.#readers.get(number)
    this.#readers.delete(number)
    // Whoever asked for one that could not be opened any more is told so there.
    await (await reader?.catch(() => undefined))?.close()
  }

  sparse(): ReadonlySet<number> {
    const found = [...this.#segments.values()].filter(
      (segment) =>
        segment !== this.#writing?.segment && segment.bytes * sparseShare <= this.#segmentBytes,
    )
    return new Set(found.map(({ number }) => number))
  }

  async freeBytes(): Promise<number> {
    return onDisk("asking for room", async () => {
      const { bavail, bsize } = await statfs(this.#path)
      return bavail * bsize
    })
  }

  async close(): Promise<void> {
    await this.#writing?.file.close()
    this.#writing = undefined
    for (const reader of this.#readers.values()) await (await reader).close()
    this.#readers.clear()
  }

  #pathOf(number: number): string {
    return join(this.#path, `${String(number).padStart(8, "0")}.bodies`)
  }
}
