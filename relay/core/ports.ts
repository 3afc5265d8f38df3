// What the relay's decisions need from the world. The comments are contracts: test/contract checks them
// on every adapter, the in-memory ones included.

/** One record under its key. Both are copies that nobody else changes. */
export type StoredRecord = { readonly key: Uint8Array; readonly value: Uint8Array }

export type RecordOp =
  | { readonly type: "put"; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly type: "del"; readonly key: Uint8Array }

/** Records `gte` ≤ key < `lt`, ascending unless `reverse`. */
export type RecordRange = {
  readonly gte: Uint8Array
  readonly lt: Uint8Array
  readonly limit: number
  readonly reverse?: boolean
}

/** Ordered records, keys compared as bytes. One writer. */
export interface RecordStore {
  get(key: Uint8Array): Promise<Uint8Array | undefined>

  /** A snapshot of the moment of the call. May run while `commit` does. */
  range(range: RecordRange): Promise<readonly StoredRecord[]>

  /**
   * All or nothing, in this order; when it resolves, it survives a power cut. One at a time.
   * Refused: `disk-full`, `storage`; the store then refuses everything, and is to be opened anew.
   */
  commit(ops: readonly RecordOp[]): Promise<void>

  /**
   * Reads what is on the disk again, file by file, and yields the bytes of each. Refused: `damaged`; the
   * store then refuses everything.
   */
  verify(): AsyncGenerator<number>

  /**
   * Gives the disk the room back of what was removed. Reading and committing go on meanwhile.
   * Refused: as for `commit`.
   */
  compact(): Promise<void>

  close(): Promise<void>
}

/** Where a body stands. */
export type BodyLocation = {
  readonly segment: number
  readonly offset: number
  readonly length: number
}

/** Sealed bodies, up to 1 MiB each. */
export interface BodyStore {
  /**
   * One synced write for all of them: when it resolves, they survive a power cut. One at a time.
   * Refused: `disk-full`, `storage`; the store then refuses everything.
   */
  appendAll(bodies: readonly Uint8Array[]): Promise<readonly BodyLocation[]>

  /**
   * The bytes at a location; whether they are the right ones is for the caller to check. Refused: `damaged`
   * when they are not there, `storage`.
   */
  read(location: BodyLocation): Promise<Uint8Array>

  /** Told before the first `appendAll`: everything else in the store is free. Segments may be missing. */
  retain(locations: Iterable<BodyLocation>): Promise<void>

  /** The body is no longer needed. A segment whose bodies are all released is given back. */
  release(location: BodyLocation): Promise<void>

  /** Segments that little of what was written into them is left of; they go with their last body. */
  sparse(): ReadonlySet<number>

  /** Room on the disk, in bytes. */
  freeBytes(): Promise<number>

  close(): Promise<void>
}

/** Attachment bodies by the SHA-256 of their ciphertext, up to 2 GiB; never in memory as a whole. */
export interface AttachmentStore {
  /** How much of it is here: its length when it is whole, else where to go on. Starts it when it is new. */
  begin(hash: Uint8Array, length: number): Promise<number>

  /**
   * Adds a part at `offset`, which must be where `begin` said; another offset changes nothing. Returns
   * where to go on. When that is the length, the body was hashed, is whole and survives a power cut; a
   * body with another hash is dropped, and the answer is 0.
   */
  append(hash: Uint8Array, offset: number, part: Uint8Array): Promise<number>

  isWhole(hash: Uint8Array, length: number): Promise<boolean>

  /** Reads a whole body again. False when it is not there or changed; what changed is then set aside. */
  verify(hash: Uint8Array): Promise<boolean>

  /** Up to `length` bytes of a whole body; fewer at its end. Refused: `not-found`. */
  read(hash: Uint8Array, offset: number, length: number): Promise<Uint8Array>

  /** Forgets it, whole or not. Forgetting twice is not an error. */
  remove(hash: Uint8Array): Promise<void>
}

/** The files of one log under its prefix, as strangers' tools read them. */
export interface LogFiles {
  /** `tile/…` paths or `checkpoint`. Undefined when it is not there. */
  read(path: string): Promise<Uint8Array | undefined>

  /**
   * Writes tiles and bundles. When it resolves, they survive a power cut. Writing a path again with the
   * same bytes is not an error. Refused: `disk-full`, `storage`.
   */
  write(files: readonly { readonly path: string; readonly bytes: Uint8Array }[]): Promise<void>

  /** Replaces the checkpoint whole. To be called after `write`. */
  publish(checkpoint: Uint8Array): Promise<void>

  /** Widths of the partial ones that are here of a tile or bundle, ascending; `path` is the full one's. */
  widths(path: string): Promise<readonly number[]>

  /** Removes partial tiles that a full one has replaced. */
  trim(paths: readonly string[]): Promise<void>
}

/** Stops what it was returned for; stopping twice is not an error. */
export type Stop = () => void

export interface Clock {
  /** Own wall clock in whole seconds since 1970; may jump. */
  seconds(): number
  /** Milliseconds that never fall. */
  monotonicMs(): number
  /** Calls once, later. */
  after(ms: number, call: () => void): Stop
  /** Calls again and again. */
  every(ms: number, call: () => void): Stop
}

export type Random = (length: number) => Uint8Array

/** Counters and levels for operators; names and labels hold no content and no subject. */
export interface Metrics {
  count(name: CounterName, labels?: Readonly<Record<string, string>>): void
  observe(name: HistogramName, value: number): void
}
export type CounterName =
  | "chappe_relay_submits_total"
  | "chappe_relay_refusals_total"
  | "chappe_relay_forwards_total"
  | "chappe_relay_deliveries_total"
  | "chappe_relay_receipts_total"
  | "chappe_relay_expired_total"
  | "chappe_relay_undelivered_total"
  | "chappe_relay_commits_total"
  | "chappe_relay_checkpoints_total"
  | "chappe_relay_cosignatures_total"
  | "chappe_relay_links_total"
  | "chappe_relay_strangers_total"
  | "chappe_relay_statements_total"
  | "chappe_relay_clone_alarms_total"
  | "chappe_relay_damaged_total"
export type HistogramName = "chappe_relay_commit_seconds" | "chappe_relay_commit_intents"

/** Structured log lines: an event's name, ids, codes and numbers; never content. */
export interface Journal {
  info(event: string, facts?: Readonly<Record<string, string | number>>): void
  warn(event: string, facts?: Readonly<Record<string, string | number>>): void
}
