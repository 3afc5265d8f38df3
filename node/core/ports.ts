// What a node's decisions need from the world. Each port has one contract suite in test/contract that
// every adapter passes, the in-memory ones included.

import type { LinkLane } from "../../protocol/frames.ts"
import type { LinkMessage } from "../../protocol/link-messages.ts"

export type { Random } from "../../keys/hedge.ts"

export type Change =
  | { readonly kind: "put"; readonly key: string; readonly value: Uint8Array }
  | { readonly kind: "remove"; readonly key: string }

export type StoredRecord = { readonly key: string; readonly value: Uint8Array }

/** `from` ≤ key < `to` in the order of the keys' UTF-8 bytes; `reverse` begins at the end. */
export type KeyRange = {
  readonly from: string
  readonly to: string
  readonly limit: number
  readonly reverse?: boolean
}

/** Ordered records. One process at a time has it open. */
export interface RecordStore {
  get(key: string): Promise<Uint8Array | undefined>

  list(range: KeyRange): Promise<readonly StoredRecord[]>

  /**
   * Every record as it stands at the first step, in the order of the keys, whatever is committed while
   * it is read; pages of at most `limit`.
   */
  snapshot(limit: number): AsyncIterable<readonly StoredRecord[]>

  /**
   * All of the changes or none, in this order; when the promise resolves they survive a power cut.
   * Removing what is not there is no error. After a failure every later call fails too: `disk-full`, `storage`.
   */
  commit(changes: readonly Change[]): Promise<void>

  /**
   * Gives the disk the room back of what was removed. Reading and committing go on meanwhile.
   * Refused: as for `commit`.
   */
  compact(): Promise<void>

  /** Waits for what is under way. Closing twice is not an error. */
  close(): Promise<void>
}

/** How much of a body is here. `partial`: the first `length` bytes, not yet verified. */
export type BodyState =
  | { readonly kind: "none" }
  | { readonly kind: "partial"; readonly length: number }
  | { readonly kind: "whole"; readonly length: number }

/** A body being written whose hash is not known before its end. */
export interface BodyUpload {
  write(part: Uint8Array): Promise<void>
  /** Synced and whole under the hash of what was written; the same body twice is one. */
  finish(): Promise<{ readonly hash: Uint8Array; readonly length: number }>
  /** Leaves nothing behind. */
  abort(): Promise<void>
}

/** Sealed bodies by the SHA-256 of their ciphertext; names on disk are hashes only, never plaintext. */
export interface BodyFiles {
  state(hash: Uint8Array): Promise<BodyState>

  create(): Promise<BodyUpload>

  /** Adds a part at the end of a partial body. RangeError unless `offset` is its length now. */
  append(hash: Uint8Array, offset: number, part: Uint8Array): Promise<void>

  /**
   * Verifies and syncs a partial body; from then on it is whole and survives a power cut.
   * Refused: `body` when length or hash differ; the partial body is then gone.
   */
  finish(hash: Uint8Array, length: number): Promise<void>

  /** 1 … `length` bytes of a whole body; fewer at its end. Refused: `not-found`. */
  read(hash: Uint8Array, offset: number, length: number): Promise<Uint8Array>

  /** Reads the whole body again. Refused: `not-found`, `tampered`. */
  verify(hash: Uint8Array): Promise<void>

  /** Forgetting what is not there is not an error. */
  remove(hash: Uint8Array): Promise<void>

  /** Room on the disk, in bytes. */
  freeBytes(): Promise<number>
}

export interface Clock {
  /** This machine's own idea of the time, seconds since 1970. */
  seconds(): number
  /** Never falls; from an arbitrary start. */
  monotonicMs(): number
  /** Calls `task` once, after `ms`; the function returned calls it off. */
  after(ms: number, task: () => void): () => void
}

type Unnumbered<M> = M extends unknown ? Omit<M, "request"> : never
/** A link message before its link numbers it. */
export type LinkRequest = Unnumbered<LinkMessage>

/** One live link to a relay, whose HELLO held. */
export interface RelayLink {
  readonly relay: string
  /**
   * The answer, whatever it is. Rejects with `link-down` when the link ends first. Requests of one
   * lane are sent in the order of the calls.
   */
  ask(lane: LinkLane, message: LinkRequest): Promise<LinkMessage>
  /** Ends the link; `code` is told to the relay. */
  end(code: string): void
}

/** Ids, codes and numbers only; never content. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>

export interface Log {
  info(event: string, fields?: LogFields): void
  warn(event: string, fields?: LogFields): void
  error(event: string, fields?: LogFields): void
}

/** SHA-256 of what comes in pieces. */
export interface RunningHash {
  update(piece: Uint8Array): void
  /** 32 bytes; once. */
  digest(): Uint8Array
}
export type NewHash = () => RunningHash

/** Officers' key files, by the part of the officer id after the slash. */
export interface OfficerKeyFiles {
  read(name: string): Promise<Uint8Array | undefined>
}
