import { ChappeError } from "../../protocol/errors.ts"
import type { BodyLocation, BodyStore } from "../core/ports.ts"
import { MemoryDisk } from "./memory-disk.ts"

/** What a power cut leaves, by offset: one endless segment. */
export type DurableBodies = Map<number, Uint8Array>

const freeBytes = 2 ** 40

export function openMemoryBodyStore(
  durable: DurableBodies = new Map(),
  disk: MemoryDisk = new MemoryDisk(),
): BodyStore {
  let end = 0
  const find = ({ offset, length }: BodyLocation): Uint8Array => {
    const body = durable.get(offset)
    if (body?.length !== length) throw new ChappeError("storage", `no body stands at ${offset}`)
    return body
  }
  return {
    async retain(locations) {
      const kept = new Set<number>()
      for (const location of locations) {
        find(location)
        kept.add(location.offset)
        end = Math.max(end, location.offset + location.length)
      }
      for (const offset of durable.keys()) if (!kept.has(offset)) durable.delete(offset)
    },
    async appendAll(bodies) {
      return disk.run("bodies", () =>
        bodies.map((body) => {
          const location = { segment: 1, offset: end, length: body.length }
          durable.set(end, new Uint8Array(body))
          end += body.length
          return location
        }),
      )
    },
    async read(location) {
      return new Uint8Array(find(location))
    },
    async release(location) {
      find(location)
      durable.delete(location.offset)
    },
    sparse: () => new Set(),
    async freeBytes() {
      return freeBytes
    },
    async close() {
      await disk.run("close", () => undefined)
    },
  }
}
