import { sha256 } from "../../keys/crypto.ts"
import { concat, emptyBytes, equalBytes, toHex } from "../../protocol/bytes.ts"
import { ChappeError } from "../../protocol/errors.ts"
import type { AttachmentStore } from "../core/ports.ts"
import { MemoryDisk } from "./memory-disk.ts"

/** Whole attachments by hex hash: what a power cut leaves. */
export type DurableAttachments = Map<string, Uint8Array>

export function openMemoryAttachmentStore(
  durable: DurableAttachments = new Map(),
  disk: MemoryDisk = new MemoryDisk(),
): AttachmentStore {
  const partial = new Map<string, { readonly length: number; bytes: Uint8Array }>()
  return {
    async begin(hash, length) {
      const name = toHex(hash)
      if (durable.get(name)?.length === length) return length
      const held = partial.get(name) ?? { length, bytes: emptyBytes }
      partial.set(name, held)
      return held.bytes.length
    },
    async append(hash, offset, part) {
      const name = toHex(hash)
      const whole = durable.get(name)
      if (whole !== undefined) return whole.length
      const held = partial.get(name)
      if (held === undefined) throw new ChappeError("not-found", `${name} was not offered`)
      if (offset !== held.bytes.length || offset + part.length > held.length)
        return held.bytes.length
      held.bytes = concat(held.bytes, part)
      if (held.bytes.length < held.length) return held.bytes.length
      if (!equalBytes(sha256(held.bytes), hash)) {
        held.bytes = emptyBytes
        return 0
      }
      await disk.run("attachment", () => durable.set(name, held.bytes))
      partial.delete(name)
      return held.length
    },
    async isWhole(hash, length) {
      return durable.get(toHex(hash))?.length === length
    },
    async verify(hash) {
      return durable.has(toHex(hash))
    },
    async read(hash, offset, length) {
      const whole = durable.get(toHex(hash))
      if (whole === undefined) throw new ChappeError("not-found", "no such attachment")
      return whole.slice(offset, offset + length)
    },
    async remove(hash) {
      durable.delete(toHex(hash))
      partial.delete(toHex(hash))
    },
  }
}
