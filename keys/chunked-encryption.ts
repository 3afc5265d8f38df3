// Bodies and attachments: C2SP chunked-encryption with SHA-512 and ChaCha20-Poly1305.
// docs/PROTOCOL.md, "Bodies".   salt(24) ‖ commitment(32) ‖ chunk ‖ chunk ‖ …
//
// A chunk is 16,384 bytes of plaintext and a tag; the last is always shorter and may be empty. So a full
// chunk is never the last, a cut at a border shows, and both directions run as a stream with one chunk in memory.

import { createCipheriv, createDecipheriv } from "node:crypto"
import { concat, utf8 } from "../protocol/bytes.ts"
import { ChappeError } from "../protocol/errors.ts"
import { limits } from "../protocol/limits.ts"
import { constantTimeEqual, hkdfExpand } from "./crypto.ts"

const suite = utf8("c2sp.org/chunked-encryption@v1+AEAD_CHACHA20_POLY1305\0")
const saltBytes = 24
const commitmentBytes = 32
const headBytes = saltBytes + commitmentBytes
const tagBytes = 16
const plainChunkBytes = limits.chunkBytes
const sealedChunkBytes = plainChunkBytes + tagBytes
const aead = "chacha20-poly1305"

/** Length of the ciphertext of so many bytes: 56, the bytes, and a tag for each chunk. */
export function cipherLength(plainLength: number): number {
  return headBytes + plainLength + tagBytes * (Math.floor(plainLength / plainChunkBytes) + 1)
}

/** What both sides know: the key of one use (32 bytes), and the context it is bound to. */
export type ChunkKey = { readonly key: Uint8Array; readonly context: Uint8Array }

type Derived = {
  readonly key: Uint8Array
  readonly base: Uint8Array
  readonly commitment: Uint8Array
}

function derive({ key, context }: ChunkKey, salt: Uint8Array): Derived {
  if (key.length !== 32) throw new RangeError(`key of ${key.length} bytes`)
  const bytes = hkdfExpand("sha512", key, concat(suite, salt, context), 76)
  return { key: bytes.slice(0, 32), base: bytes.slice(32, 44), commitment: bytes.slice(44) }
}

/** `base XOR index`, 96-bit big-endian. */
function chunkNonce(base: Uint8Array, index: number): Uint8Array {
  const nonce = new Uint8Array(base)
  const view = new DataView(nonce.buffer)
  view.setUint32(8, (view.getUint32(8) ^ index) >>> 0)
  return nonce
}

function sealChunk(derived: Derived, index: number, plaintext: Uint8Array): Uint8Array {
  const nonce = chunkNonce(derived.base, index)
  const cipher = createCipheriv(aead, derived.key, nonce, { authTagLength: tagBytes })
  const ciphertext = cipher.update(plaintext)
  cipher.final()
  return concat(ciphertext, cipher.getAuthTag())
}

function openChunk(derived: Derived, index: number, sealed: Uint8Array): Uint8Array {
  if (sealed.length < tagBytes) throw new ChappeError("chunk", `chunk ${index} is cut short`)
  const nonce = chunkNonce(derived.base, index)
  const decipher = createDecipheriv(aead, derived.key, nonce, { authTagLength: tagBytes })
  const split = sealed.length - tagBytes
  decipher.setAuthTag(sealed.subarray(split))
  const plaintext = decipher.update(sealed.subarray(0, split))
  try {
    decipher.final()
  } catch (cause) {
    throw new ChappeError("chunk", `chunk ${index} does not open`, { cause })
  }
  return new Uint8Array(plaintext)
}

/** Cuts a stream of pieces of any size into blocks of exactly one length; at most one block is held. */
class Blocks {
  readonly #block: Uint8Array
  #filled = 0

  constructor(length: number) {
    this.#block = new Uint8Array(length)
  }

  /** Calls `take` with each full block, which is valid during that call only. */
  push(piece: Uint8Array, take: (block: Uint8Array) => void): void {
    let rest = piece
    while (rest.length > 0) {
      const part = rest.subarray(0, this.#block.length - this.#filled)
      this.#block.set(part, this.#filled)
      this.#filled += part.length
      rest = rest.subarray(part.length)
      if (this.#filled === this.#block.length) {
        this.#filled = 0
        take(this.#block)
      }
    }
  }

  /** What is left over: shorter than a block. */
  get rest(): Uint8Array {
    return this.#block.subarray(0, this.#filled)
  }
}

/** Plaintext in, ciphertext out, in pieces of any size; call `finish` once. Never two plaintexts under one key. */
export class ChunkEncryptor {
  readonly #derived: Derived
  readonly #blocks = new Blocks(plainChunkBytes)
  #pending: Uint8Array[]
  #index = 0

  /** `salt`: 24 bytes. */
  constructor(input: ChunkKey & { readonly salt: Uint8Array }) {
    if (input.salt.length !== saltBytes) throw new RangeError(`salt of ${input.salt.length} bytes`)
    this.#derived = derive(input, input.salt)
    this.#pending = [input.salt, this.#derived.commitment]
  }

  push(plaintext: Uint8Array): Uint8Array {
    this.#blocks.push(plaintext, (block) => this.#seal(block))
    return this.#take()
  }

  finish(): Uint8Array {
    this.#seal(this.#blocks.rest)
    return this.#take()
  }

  #seal(block: Uint8Array): void {
    this.#pending.push(sealChunk(this.#derived, this.#index++, block))
  }

  #take(): Uint8Array {
    const bytes = concat(...this.#pending)
    this.#pending = []
    return bytes
  }
}

/**
 * Ciphertext in, plaintext out, in pieces of any size; nothing counts before `finish` returned.
 * Refused: `key-commitment` before any chunk is opened, `chunk` for everything else.
 */
export class ChunkDecryptor {
  readonly #key: ChunkKey
  readonly #head = new Uint8Array(headBytes)
  readonly #blocks = new Blocks(sealedChunkBytes)
  #headFilled = 0
  #derived: Derived | undefined
  #index = 0

  constructor(key: ChunkKey) {
    this.#key = key
  }

  push(ciphertext: Uint8Array): Uint8Array {
    const opened: Uint8Array[] = []
    this.#blocks.push(this.#takeHead(ciphertext), (block) => opened.push(this.#open(block)))
    return concat(...opened)
  }

  finish(): Uint8Array {
    return this.#open(this.#blocks.rest)
  }

  #takeHead(ciphertext: Uint8Array): Uint8Array {
    const part = ciphertext.subarray(0, headBytes - this.#headFilled)
    this.#head.set(part, this.#headFilled)
    this.#headFilled += part.length
    if (this.#headFilled === headBytes) this.#derived ??= checkHead(this.#key, this.#head)
    return ciphertext.subarray(part.length)
  }

  #open(block: Uint8Array): Uint8Array {
    if (this.#derived === undefined) throw new ChappeError("chunk", "the head is cut short")
    return openChunk(this.#derived, this.#index++, block)
  }
}

function checkHead(key: ChunkKey, head: Uint8Array): Derived {
  const derived = derive(key, head.slice(0, saltBytes))
  if (!constantTimeEqual(derived.commitment, head.subarray(saltBytes)))
    throw new ChappeError("key-commitment", "the body does not commit to this key")
  return derived
}

/** Everything at once. */
export function encryptChunks(
  input: ChunkKey & { readonly salt: Uint8Array; readonly plaintext: Uint8Array },
): Uint8Array {
  const encryptor = new ChunkEncryptor(input)
  return concat(encryptor.push(input.plaintext), encryptor.finish())
}

/** Everything at once. Refused: `key-commitment`, `chunk`. */
export function decryptChunks(input: ChunkKey & { readonly ciphertext: Uint8Array }): Uint8Array {
  const decryptor = new ChunkDecryptor(input)
  return concat(decryptor.push(input.ciphertext), decryptor.finish())
}
