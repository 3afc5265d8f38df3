// Attachments of this node's officers: encrypted while they come in, decrypted while they go out, never
// plaintext on disk. docs/PROTOCOL.md, "Attachments".

import { ChunkDecryptor, ChunkEncryptor } from "../../keys/chunked-encryption.ts"
import { hedged } from "../../keys/hedge.ts"
import { Unpadder, paddingAfter } from "../../keys/padding.ts"
import { emptyBytes, equalBytes, toHex } from "../../protocol/bytes.ts"
import { type Infer, bytes, record, text, uint } from "../../protocol/codec.ts"
import type { Attachment } from "../../protocol/document.ts"
import { encodeAttachmentContext, suites } from "../../protocol/envelope.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { limits } from "../../protocol/limits.ts"
import { officerId } from "../../protocol/names.ts"
import { nodeLimits } from "../limits.ts"
import type { DiskRoom } from "./disk-room.ts"
import type { Identity } from "./identity.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { BodyFiles, NewHash, Random } from "./ports.ts"
import { type Records, type Table, walk } from "./records.ts"

const hash = bytes(32)
const uploaded = record({
  hash,
  cipherLength: uint(0xffff_ffff),
  plainLength: uint(limits.attachmentBytesMax),
  plainHash: hash,
  key: hash,
  mediaType: text(127),
  name: text(4 * limits.attachmentNameBytesMax),
  officer: officerId,
  at: uint(0xffff_ffff),
})
/** An attachment that waits for its message. */
export type Uploaded = Infer<typeof uploaded>

export type Upload = {
  readonly officer: string
  readonly name: string
  readonly mediaType: string
  readonly size: number
  /** SHA-256 of the plaintext, as announced. */
  readonly sha256: Uint8Array
}

export class Attachments {
  readonly #identity: Identity
  readonly #files: BodyFiles
  readonly #records: Records
  readonly #table: Table<Uploaded>
  readonly #clock: NetworkClock
  readonly #random: Random
  readonly #newHash: NewHash
  readonly #room: DiskRoom

  constructor(options: {
    readonly identity: Identity
    readonly files: BodyFiles
    readonly records: Records
    readonly clock: NetworkClock
    readonly random: Random
    readonly newHash: NewHash
    readonly room: DiskRoom
  }) {
    this.#identity = options.identity
    this.#files = options.files
    this.#records = options.records
    this.#table = options.records.table("attachment", uploaded)
    this.#clock = options.clock
    this.#random = options.random
    this.#newHash = options.newHash
    this.#room = options.room
  }

  /** The attachment's id. Refused: `size`, `disk-full`, `usage` when the bytes are not the ones announced. */
  async upload(input: Upload, pieces: AsyncIterable<Uint8Array>): Promise<string> {
    if (input.size > limits.attachmentBytesMax)
      throw new ChappeError("size", `an attachment of ${input.size} bytes`)
    this.#room.require(input.size)
    // Hedged with the plaintext's hash before the first byte: a cloned machine never encrypts two
    // plaintexts under one key, as another plaintext than the announced one is never finished.
    const draw = hedged(this.#identity.hedgeSecret, this.#random, input.sha256)
    const key = draw("attachment-key", 32)
    const context = encodeAttachmentContext(suites.one)
    const encryptor = new ChunkEncryptor({ key, context, salt: draw("attachment-salt", 24) })
    const file = await this.#files.create()
    try {
      const plainHash = this.#newHash()
      let length = 0
      for await (const piece of pieces) {
        length += piece.length
        if (length > input.size) throw new ChappeError("usage", "more bytes than announced")
        plainHash.update(piece)
        await file.write(encryptor.push(piece))
      }
      if (length !== input.size || !equalBytes(plainHash.digest(), input.sha256))
        throw new ChappeError("usage", "the bytes are not those of the size and sha256 announced")
      for (const padding of paddingAfter(length)) await file.write(encryptor.push(padding))
      await file.write(encryptor.finish())
    } catch (cause) {
      await file.abort()
      throw cause
    }
    const body = await file.finish()
    const id = toHex(this.#random(16))
    const { officer, name, mediaType, size } = input
    const item: Uploaded = {
      hash: body.hash,
      cipherLength: body.length,
      plainLength: size,
      plainHash: input.sha256,
      key,
      mediaType,
      name,
      officer,
      at: this.#clock.now(),
    }
    await this.#records.commit([this.#table.put(id, item)])
    return id
  }

  /** For a message of the same officer. Refused: `not-found`. */
  async take(id: string, officer: string): Promise<Attachment> {
    const item = /^[0-9a-f]{32}$/u.test(id) ? await this.#table.get(id) : undefined
    if (item === undefined || item.officer !== officer)
      throw new ChappeError("not-found", "no attachment has this id")
    const { officer: _, at: __, ...attachment } = item
    return attachment
  }

  /** The plaintext, after the ciphertext on disk was verified whole. Refused: `not-found`, `tampered`. */
  async *open(attachment: Attachment): AsyncGenerator<Uint8Array, void, void> {
    await this.#files.verify(attachment.hash)
    const decryptor = new ChunkDecryptor({
      key: attachment.key,
      context: encodeAttachmentContext(suites.one),
    })
    const unpadder = new Unpadder(attachment.plainLength)
    for (let offset = 0; offset < attachment.cipherLength;) {
      const left = attachment.cipherLength - offset
      const length = Math.min(nodeLimits.streamPieceBytes, left)
      const piece = await this.#files.read(attachment.hash, offset, length)
      if (piece.length === 0) throw new ChappeError("tampered", "an attachment was cut on disk")
      offset += piece.length
      const padded = decryptor.push(piece)
      const plain = padded.length === 0 ? emptyBytes : unpadder.push(padded)
      if (plain.length > 0) yield plain
    }
    const plain = unpadder.push(decryptor.finish())
    if (plain.length > 0) yield plain
    unpadder.finish()
  }

  /** What was uploaded and never sent. `isUsed`: whether a message names the body. */
  async forgetOld(isUsed: (hash: Uint8Array) => Promise<boolean>): Promise<void> {
    const before = this.#clock.now() - nodeLimits.attachmentTtlSeconds
    for await (const { key, item } of walk(this.#table)) {
      if (item.at >= before) continue
      if (!(await isUsed(item.hash))) await this.#files.remove(item.hash)
      await this.#records.commit([this.#table.remove(key)])
    }
  }
}
