// A backup as one file: everything of a node's or relay's folder but the keys that sign.
// docs/PROTOCOL.md, "Backups".   magic(16) ‖ length(4, big-endian) ‖ key file ‖ chunked encryption of frames
//
// The key file holds the one key of the stream, so a backup opens as any other secret does.

import {
  type BackupFrame,
  BackupFrames,
  type BackupHead,
  encodeBackupFrame,
} from "../protocol/backup-frames.ts"
import { concat, emptyBytes, equalBytes, utf8 } from "../protocol/bytes.ts"
import { ChappeError } from "../protocol/errors.ts"
import { ChunkDecryptor, ChunkEncryptor } from "./chunked-encryption.ts"
import type { Random } from "./hedge.ts"
import { type Unlock, openKeyFile, sealKeyFile } from "./key-file.ts"
import { keyLimits } from "./limits.ts"

const magic = utf8("chappe-backup/1\n")
const lengthBytes = 4
const context = utf8("chappe/backup/v1")

/** Frames in, the pieces of a backup out: `begin`, any number of `add`, `end`. */
export class BackupWriter {
  readonly #encryptor: ChunkEncryptor
  #frames = 0

  private constructor(encryptor: ChunkEncryptor) {
    this.#encryptor = encryptor
  }

  static async begin(input: {
    readonly head: Omit<BackupHead, "name" | "version">
    readonly unlock: Unlock
    readonly random: Random
  }): Promise<{ readonly writer: BackupWriter; readonly bytes: Uint8Array }> {
    const { head, unlock, random } = input
    const secret = random(32)
    const entries = [{ use: "backup", publicKey: emptyBytes, secret }] as const
    const lock = await sealKeyFile({ entries, unlock, random })
    const length = new Uint8Array(lengthBytes)
    new DataView(length.buffer).setUint32(0, lock.length)
    const writer = new BackupWriter(new ChunkEncryptor({ key: secret, context, salt: random(24) }))
    const first = writer.add({ ...head, name: "head", version: 1 })
    return { writer, bytes: concat(magic, length, lock, first) }
  }

  add(item: BackupFrame): Uint8Array {
    this.#frames += 1
    return this.#encryptor.push(encodeBackupFrame(item))
  }

  end(): Uint8Array {
    const last = this.add({ name: "end", frames: this.#frames })
    return concat(last, this.#encryptor.finish())
  }
}

/**
 * The frames of a backup, the head first, without the end. Nothing counts before the generator has
 * ended: only then the file is known to be whole. One frame is held at a time. Refused: `backup` for what
 * is none, is cut or was changed; `passphrase`.
 */
export async function* readBackup(
  source: AsyncIterable<Uint8Array>,
  unlock: () => Promise<Unlock>,
): AsyncGenerator<BackupFrame, void, void> {
  const frames = new Ordered()
  let sealed = emptyBytes
  let decryptor: ChunkDecryptor | undefined
  for await (const piece of source) {
    if (decryptor === undefined) {
      sealed = concat(sealed, piece)
      const lock = lockIn(sealed)
      if (lock === undefined) continue
      decryptor = new ChunkDecryptor({ key: await streamKey(lock.bytes, await unlock()), context })
      sealed = sealed.subarray(lock.end)
    } else sealed = piece
    yield* frames.of(decryptor, (opening) => opening.push(sealed))
  }
  if (decryptor === undefined) throw broken("it is cut short")
  yield* frames.of(decryptor, (opening) => opening.finish())
  frames.requireEnd()
}

/** Frames in their order: head first, end last, as many as it counts. */
class Ordered {
  readonly #frames = new BackupFrames()
  #count = 0
  #hasEnded = false

  requireEnd(): void {
    if (!this.#hasEnded || this.#frames.left > 0) throw broken("it is cut short")
  }

  *of(
    decryptor: ChunkDecryptor,
    open: (decryptor: ChunkDecryptor) => Uint8Array,
  ): Generator<BackupFrame, void, void> {
    this.#frames.push(guarded(() => open(decryptor)))
    for (;;) {
      const item = guarded(() => this.#frames.next())
      if (item === undefined) return
      if (this.#hasEnded || (this.#count === 0) !== (item.name === "head"))
        throw broken("a frame out of place")
      if (item.name !== "end") yield item
      else if (item.frames === this.#count) this.#hasEnded = true
      else throw broken(`${this.#count} frames of ${item.frames}`)
      this.#count += 1
    }
  }
}

function broken(why: string, cause?: unknown): ChappeError {
  return new ChappeError("backup", `the backup does not hold: ${why}`, { cause })
}

function guarded<T>(task: () => T): T {
  try {
    return task()
  } catch (cause) {
    if (!(cause instanceof ChappeError)) throw cause
    throw broken(cause.message, cause)
  }
}

function lockIn(
  sealed: Uint8Array,
): { readonly bytes: Uint8Array; readonly end: number } | undefined {
  const start = magic.length + lengthBytes
  if (sealed.length < start) return undefined
  if (!equalBytes(sealed.subarray(0, magic.length), magic))
    throw new ChappeError("backup", "the file is no backup of this version")
  const length = new DataView(sealed.buffer, sealed.byteOffset + magic.length).getUint32(0)
  if (length > keyLimits.keyFileBytesMax) throw broken("its key file is too long")
  const end = start + length
  return sealed.length < end ? undefined : { bytes: sealed.slice(start, end), end }
}

async function streamKey(lock: Uint8Array, unlock: Unlock): Promise<Uint8Array> {
  const entry = (await openKeyFile(lock, unlock)).find(({ use }) => use === "backup")
  if (entry === undefined) throw broken("its key file has no key of a backup")
  return entry.secret
}
