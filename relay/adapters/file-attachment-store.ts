// Attachments as files named by their hash. What is not whole yet has another ending; it is hashed from the
// disk and synced before it gets its name. The sender's name for it never becomes a path.

import { createHash } from "node:crypto"
import { type FileHandle, open, rename, rm, stat } from "node:fs/promises"
import { join } from "node:path"
import { equalBytes, toHex } from "../../protocol/bytes.ts"
import { ChappeError } from "../../protocol/errors.ts"
import type { AttachmentStore } from "../core/ports.ts"
import { isMissing, makeFolder, onDisk, syncFolder } from "../../store/durable-files.ts"

const hashBlockBytes = 262_144

export async function openFileAttachmentStore(path: string): Promise<AttachmentStore> {
  await onDisk("opening the attachments", async () => makeFolder(path))
  return new FileAttachmentStore(path)
}

class FileAttachmentStore implements AttachmentStore {
  readonly #path: string
  readonly #lengths = new Map<string, number>()
  /** Parts of one attachment are written one after another. */
  readonly #turns = new Map<string, Promise<unknown>>()

  constructor(path: string) {
    this.#path = path
  }

  async begin(hash: Uint8Array, length: number): Promise<number> {
    return this.#inTurn(hash, async () => {
      if ((await sizeOf(this.#whole(hash))) === length) return length
      this.#lengths.set(toHex(hash), length)
      return (await sizeOf(this.#partial(hash))) ?? 0
    })
  }

  async append(hash: Uint8Array, offset: number, part: Uint8Array): Promise<number> {
    return this.#inTurn(hash, async () => {
      const length = this.#lengths.get(toHex(hash))
      const whole = await sizeOf(this.#whole(hash))
      if (whole !== undefined) return whole
      if (length === undefined)
        throw new ChappeError("not-found", `attachment ${toHex(hash)} was not offered`)
      const held = (await sizeOf(this.#partial(hash))) ?? 0
      if (offset !== held || offset + part.length > length) return held
      const file = await open(this.#partial(hash), "a", 0o600)
      try {
        await file.write(part)
        if (held + part.length < length) return held + part.length
        await file.datasync()
      } finally {
        await file.close()
      }
      return this.#finish(hash, length)
    })
  }

  async #finish(hash: Uint8Array, length: number): Promise<number> {
    const found = await hashOf(this.#partial(hash))
    this.#lengths.delete(toHex(hash))
    if (!equalBytes(found, hash)) {
      await rm(this.#partial(hash))
      this.#lengths.set(toHex(hash), length)
      return 0
    }
    await rename(this.#partial(hash), this.#whole(hash))
    await syncFolder(this.#path)
    return length
  }

  async isWhole(hash: Uint8Array, length: number): Promise<boolean> {
    return onDisk("reading attachments", async () => (await sizeOf(this.#whole(hash))) === length)
  }

  async verify(hash: Uint8Array): Promise<boolean> {
    return onDisk("reading attachments", async () => {
      const path = this.#whole(hash)
      if ((await sizeOf(path)) === undefined) return false
      if (equalBytes(await hashOf(path), hash)) return true
      await rename(path, `${path}.damaged`)
      return false
    })
  }

  async read(hash: Uint8Array, offset: number, length: number): Promise<Uint8Array> {
    return onDisk("reading an attachment", async () => {
      let file: FileHandle
      try {
        file = await open(this.#whole(hash), "r")
      } catch (cause) {
        if (isMissing(cause))
          throw new ChappeError("not-found", `attachment ${toHex(hash)} is not here`, { cause })
        throw cause
      }
      try {
        const bytes = new Uint8Array(length)
        const { bytesRead } = await file.read(bytes, 0, length, offset)
        return bytes.subarray(0, bytesRead)
      } finally {
        await file.close()
      }
    })
  }

  async remove(hash: Uint8Array): Promise<void> {
    await this.#inTurn(hash, async () => {
      this.#lengths.delete(toHex(hash))
      await rm(this.#whole(hash), { force: true })
      await rm(this.#partial(hash), { force: true })
    })
  }

  async #inTurn<T>(hash: Uint8Array, run: () => Promise<T>): Promise<T> {
    const name = toHex(hash)
    const before = this.#turns.get(name) ?? Promise.resolve()
    const turn = before.then(async () => onDisk("writing an attachment", run))
    const settled = turn.catch(() => undefined)
    this.#turns.set(name, settled)
    try {
      return await turn
    } finally {
      if (this.#turns.get(name) === settled) this.#turns.delete(name)
    }
  }

  #whole(hash: Uint8Array): string {
    return join(this.#path, toHex(hash))
  }

  #partial(hash: Uint8Array): string {
    return join(this.#path, `${toHex(hash)}.part`)
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size
  } catch (cause) {
    if (isMissing(cause)) return undefined
    throw cause
  }
}

async function hashOf(path: string): Promise<Uint8Array> {
  const file = await open(path, "r")
  try {
    const hash = createHash("sha256")
    const block = new Uint8Array(hashBlockBytes)
    for (;;) {
      const { bytesRead } = await file.read(block, 0, block.length)
      if (bytesRead === 0) return new Uint8Array(hash.digest())
      hash.update(block.subarray(0, bytesRead))
    }
  } finally {
    await file.close()
  }
}
