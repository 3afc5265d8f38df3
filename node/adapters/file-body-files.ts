// Sealed attachment bodies as files named by the hash of their ciphertext. A body is written beside its
// place, synced and verified, and only then renamed into it: so what has a hash for a name is whole.

import { createHash } from "node:crypto"
import { type FileHandle, mkdir, open, readdir, rename, rm, stat, statfs } from "node:fs/promises"
import { join } from "node:path"
import { equalBytes, toHex } from "../../protocol/bytes.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { nodeLimits } from "../limits.ts"
import type { BodyFiles, BodyState, BodyUpload, Random } from "../core/ports.ts"

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT"
}

function fileError(cause: unknown): unknown {
  if (cause instanceof ChappeError || cause instanceof RangeError) return cause
  const full = cause instanceof Error && "code" in cause && cause.code === "ENOSPC"
  return full
    ? new ChappeError("disk-full", "an attachment cannot be written", { cause })
    : new ChappeError("storage", "an attachment cannot be read or written", { cause })
}

async function guard<T>(task: () => Promise<T>): Promise<T> {
  try {
    return await task()
  } catch (cause) {
    throw fileError(cause)
  }
}

async function lengthOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size
  } catch (cause) {
    if (isMissing(cause)) return undefined
    throw cause
  }
}

async function hashOf(handle: FileHandle): Promise<Uint8Array> {
  const hash = createHash("sha256")
  const piece = new Uint8Array(nodeLimits.streamPieceBytes)
  for (let offset = 0; ;) {
    const { bytesRead } = await handle.read(piece, 0, piece.length, offset)
    if (bytesRead === 0) return new Uint8Array(hash.digest())
    hash.update(piece.subarray(0, bytesRead))
    offset += bytesRead
  }
}

async function syncPath(path: string): Promise<void> {
  const handle = await open(path, "r")
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

export async function openFileBodyFiles(directory: string, random: Random): Promise<BodyFiles> {
  return await guard(async () => {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    // What was being uploaded when the process ended belongs to nobody.
    for (const name of await readdir(directory))
      if (name.endsWith(".upload")) await rm(join(directory, name))
    return new FileBodyFiles(directory, random)
  })
}

class FileBodyFiles implements BodyFiles {
  readonly #directory: string
  readonly #random: Random

  constructor(directory: string, random: Random) {
    this.#directory = directory
    this.#random = random
  }

  #whole(hash: Uint8Array): string {
    return join(this.#directory, toHex(hash))
  }

  #partial(hash: Uint8Array): string {
    return `${this.#whole(hash)}.part`
  }

  state(hash: Uint8Array): Promise<BodyState> {
    return guard(async () => {
      const whole = await lengthOf(this.#whole(hash))
      if (whole !== undefined) return { kind: "whole", length: whole }
      const partial = await lengthOf(this.#partial(hash))
      return partial === undefined ? { kind: "none" } : { kind: "partial", length: partial }
    })
  }

  create(): Promise<BodyUpload> {
    return guard(async () => {
      const path = join(this.#directory, `${toHex(this.#random(16))}.upload`)
      const handle = await open(path, "wx", 0o600)
      return new FileUpload(handle, path, (hash) => this.#adopt(path, hash))
    })
  }

  async #adopt(path: string, hash: Uint8Array): Promise<void> {
    await rename(path, this.#whole(hash))
    await syncPath(this.#directory)
  }

  append(hash: Uint8Array, offset: number, part: Uint8Array): Promise<void> {
    return guard(async () => {
      const path = this.#partial(hash)
      if (((await lengthOf(path)) ?? 0) !== offset) throw new RangeError(`offset ${offset}`)
      const handle = await open(path, "a", 0o600)
      try {
        await handle.appendFile(part)
      } finally {
        await handle.close()
      }
    })
  }

  finish(hash: Uint8Array, length: number): Promise<void> {
    return guard(async () => {
      const path = this.#partial(hash)
      const handle = await open(path, "r")
      try {
        const { size } = await handle.stat()
        if (size !== length || !equalBytes(await hashOf(handle), hash)) {
          await rm(path)
          throw new ChappeError("body", "an attachment is not the one that its message names")
        }
        await handle.sync()
      } finally {
        await handle.close()
      }
      await this.#adopt(path, hash)
    })
  }

  read(hash: Uint8Array, offset: number, length: number): Promise<Uint8Array> {
    return guard(async () => {
      const handle = await this.#open(hash)
      try {
        const piece = new Uint8Array(length)
        const { bytesRead } = await handle.read(piece, 0, length, offset)
        return piece.subarray(0, bytesRead)
      } finally {
        await handle.close()
      }
    })
  }

  async #open(hash: Uint8Array): Promise<FileHandle> {
    try {
      return await open(this.#whole(hash), "r")
    } catch (cause) {
      if (isMissing(cause)) throw new ChappeError("not-found", "the attachment is not here")
      throw cause
    }
  }

  verify(hash: Uint8Array): Promise<void> {
    return guard(async () => {
      const handle = await this.#open(hash)
      try {
        if (!equalBytes(await hashOf(handle), hash))
          throw new ChappeError("tampered", "an attachment was changed on disk")
      } finally {
        await handle.close()
      }
    })
  }

  freeBytes(): Promise<number> {
    return guard(async () => {
      const { bavail, bsize } = await statfs(this.#directory)
      return bavail * bsize
    })
  }

  remove(hash: Uint8Array): Promise<void> {
    return guard(async () => {
      await rm(this.#whole(hash), { force: true })
      await rm(this.#partial(hash), { force: true })
    })
  }
}

class FileUpload implements BodyUpload {
  readonly #handle: FileHandle
  readonly #path: string
  readonly #adopt: (hash: Uint8Array) => Promise<void>
  readonly #hash = createHash("sha256")
  #length = 0

  constructor(handle: FileHandle, path: string, adopt: (hash: Uint8Array) => Promise<void>) {
    this.#handle = handle
    this.#path = path
    this.#adopt = adopt
  }

  write(part: Uint8Array): Promise<void> {
    return guard(async () => {
      this.#hash.update(part)
      this.#length += part.length
      let offset = 0
      while (offset < part.length) {
        const { bytesWritten } = await this.#handle.write(part, offset)
        offset += bytesWritten
      }
    })
  }

  finish(): Promise<{ readonly hash: Uint8Array; readonly length: number }> {
    return guard(async () => {
      await this.#handle.sync()
      await this.#handle.close()
      const hash = new Uint8Array(this.#hash.digest())
      await this.#adopt(hash)
      return { hash, length: this.#length }
    })
  }

  abort(): Promise<void> {
    return guard(async () => {
      await this.#handle.close()
      await rm(this.#path, { force: true })
    })
  }
}
