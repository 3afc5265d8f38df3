// Log entries: fixed layouts, so that auditors read a million by offset and strangers need no decoder.
// docs/PROTOCOL.md, "Log entries". `u8 version = 1 ‖ u8 kind ‖ u64 time ‖ body`; an unknown version or
// kind, a wrong length and a number out of bounds are `entry-layout`.

import type { Auth } from "./batch.ts"
import { concat, emptyBytes, readU16, readU64, u16, u64, utf8 } from "./bytes.ts"
import type { Sha256 } from "./crypto-ports.ts"
import { ChappeError } from "./errors.ts"
import { limits } from "./limits.ts"
import { withCode } from "./recode.ts"

export const entryKinds = {
  envelope: 1,
  receipts: 2,
  "relay-receipts": 3,
  head: 4,
  access: 5,
  retention: 6,
  erasure: 7,
  shard: 8,
  journal: 10,
  roster: 16,
  chain: 17,
  "witness-policy": 18,
  "retention-policy": 19,
  "delivery-policy": 20,
} as const
export type EntryKind = keyof typeof entryKinds

/** The kinds that a log statement signs: whose `seq` counts per key and log. */
export type SignedKind = "envelope" | "receipts" | "relay-receipts" | "journal"
type StoredKind = "roster" | "chain" | "witness-policy" | "retention-policy" | "delivery-policy"

/**
 * `commit` hides what the entry stands for. `directorySize`: of the accepting relay's directory log.
 * `auth`: the batch place of the log statement's hash, without blind.
 */
export type SignedEntry = {
  readonly kind: SignedKind
  readonly time: number
  readonly commit: Uint8Array
  readonly keyId: Uint8Array
  readonly seq: number
  readonly directorySize: number
  readonly auth: Auth
}

/** Times in seconds since 1970, by the relay. */
export type LogEntry =
  | SignedEntry
  /** `note`: another log's checkpoint with its log line only; or the last one of the shard before. */
  | { readonly kind: "head" | "shard"; readonly time: number; readonly note: Uint8Array }
  /** An auditor exported `from` … `to − 1`; `commit` hides the purpose. */
  | {
      readonly kind: "access"
      readonly time: number
      readonly keyId: Uint8Array
      readonly from: number
      readonly to: number
      readonly commit: Uint8Array
    }
  /** The bundles of `from` … `to − 1` go; the policy stands at `policyIndex` of the directory log. */
  | {
      readonly kind: "retention"
      readonly time: number
      readonly from: number
      readonly to: number
      readonly policyIndex: number
    }
  | { readonly kind: "erasure"; readonly time: number; readonly index: number }
  /** `body`: the multi-signed statement or the policy file exactly as received. */
  | { readonly kind: StoredKind; readonly time: number; readonly body: Uint8Array }

export type LogKind = "traffic" | "directory"

/** Whether entries of this kind stand in logs of that kind. */
export function belongsTo(kind: EntryKind, log: LogKind): boolean {
  if (kind === "head") return true
  return entryKinds[kind] < entryKinds.roster ? log === "traffic" : log === "directory"
}

const entryVersion = 1
const prefixBytes = 10
const storedBytesMax = limits.entryBytesMax - prefixBytes

/** What does not fit its layout is our mistake: RangeError. */
export function encodeEntry(entry: LogEntry): Uint8Array {
  const bytes = concat(
    Uint8Array.of(entryVersion, entryKinds[entry.kind]),
    u64(entry.time),
    encodeBody(entry),
  )
  try {
    decodeEntry(bytes)
  } catch (cause) {
    throw new RangeError(`the ${entry.kind} entry does not fit its layout`, { cause })
  }
  return bytes
}

function encodeBody(entry: LogEntry): Uint8Array {
  switch (entry.kind) {
    case "envelope":
    case "receipts":
    case "relay-receipts":
    case "journal":
      return encodeSigned(entry)
    case "head":
    case "shard":
      return concat(u16(entry.note.length), entry.note)
    case "access":
      return concat(entry.keyId, u64(entry.from), u64(entry.to), entry.commit)
    case "retention":
      return concat(u64(entry.from), u64(entry.to), u64(entry.policyIndex))
    case "erasure":
      return u64(entry.index)
    case "roster":
    case "chain":
    case "witness-policy":
    case "retention-policy":
    case "delivery-policy":
      return entry.body
  }
}

function encodeSigned(entry: SignedEntry): Uint8Array {
  const { auth } = entry
  return concat(
    entry.commit,
    entry.keyId,
    u64(entry.seq),
    u64(entry.directorySize),
    u16(auth.index),
    u16(auth.size),
    Uint8Array.of(auth.path.length),
    ...auth.path,
    auth.signature,
  )
}

/** Refused with `entry-layout`. Nothing returned aliases `bytes`. */
export function decodeEntry(bytes: Uint8Array): LogEntry {
  return withCode("entry-layout", () => {
    if (bytes.length > limits.entryBytesMax) fault(`an entry of ${bytes.length} bytes`)
    const fields = new Fields(bytes)
    if (fields.u8() !== entryVersion) fault("an unknown entry version")
    const kind = kindOf(fields.u8())
    const entry = decodeBody(kind, fields.u64(), fields)
    fields.end()
    return entry
  })
}

const kindNames = new Map<number, EntryKind>()
for (const kind of [
  "envelope",
  "receipts",
  "relay-receipts",
  "head",
  "access",
  "retention",
  "erasure",
  "shard",
  "journal",
  "roster",
  "chain",
  "witness-policy",
  "retention-policy",
  "delivery-policy",
] as const)
  kindNames.set(entryKinds[kind], kind)

function kindOf(number: number): EntryKind {
  return kindNames.get(number) ?? fault(`an unknown entry kind ${number}`)
}

function decodeBody(kind: EntryKind, time: number, fields: Fields): LogEntry {
  switch (kind) {
    case "envelope":
    case "receipts":
    case "relay-receipts":
    case "journal":
      return decodeSigned(kind, time, fields)
    case "head":
      return { kind, time, note: fields.note(limits.headNoteBytesMax) }
    case "shard":
      return { kind, time, note: fields.note(limits.shardNoteBytesMax) }
    case "access": {
      const keyId = fields.bytes(16)
      return { kind, time, keyId, ...fields.range(), commit: fields.bytes(32) }
    }
    case "retention":
      return { kind, time, ...fields.range(), policyIndex: fields.u64() }
    case "erasure":
      return { kind, time, index: fields.u64() }
    case "roster":
    case "chain":
    case "witness-policy":
    case "retention-policy":
    case "delivery-policy":
      return { kind, time, body: fields.rest(storedBytesMax) }
  }
}

function decodeSigned(kind: SignedKind, time: number, fields: Fields): SignedEntry {
  const commit = fields.bytes(32)
  const keyId = fields.bytes(16)
  const seq = fields.u64()
  const directorySize = fields.u64()
  const index = fields.u16()
  const size = fields.u16()
  const hashes = fields.u8()
  if (seq < 1) fault("a sequence number of 0")
  if (size > limits.batchMax || index >= size || hashes > limits.batchPathMax)
    fault("a batch place out of bounds")
  const path: Uint8Array[] = []
  for (let i = 0; i < hashes; i++) path.push(fields.bytes(32))
  const signature = fields.bytes(64)
  const auth = { index, size, path, blind: emptyBytes, signature }
  return { kind, time, commit, keyId, seq, directorySize, auth }
}

/** Reads an entry from left to right. */
class Fields {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  bytes(length: number): Uint8Array {
    const end = this.#at + length
    if (end > this.#bytes.length) fault("an entry is cut short")
    const field = this.#bytes.slice(this.#at, end)
    this.#at = end
    return field
  }

  u8(): number {
    return this.bytes(1)[0] ?? 0
  }

  u16(): number {
    return readU16(this.bytes(2), 0)
  }

  u64(): number {
    return readU64(this.bytes(8), 0)
  }

  range(): { readonly from: number; readonly to: number } {
    const from = this.u64()
    const to = this.u64()
    if (from > to) fault("a range ends before it begins")
    return { from, to }
  }

  note(bytesMax: number): Uint8Array {
    const length = this.u16()
    if (length > bytesMax) fault(`a note of ${length} bytes`)
    return this.bytes(length)
  }

  rest(bytesMax: number): Uint8Array {
    const length = this.#bytes.length - this.#at
    if (length === 0 || length > bytesMax) fault(`a statement of ${length} bytes`)
    return this.bytes(length)
  }

  end(): void {
    if (this.#at !== this.#bytes.length) fault("an entry has bytes left over")
  }
}

function fault(why: string): never {
  throw new ChappeError("entry-layout", why)
}

/**
 * `u8 kind ‖ u16 len ‖ origin ‖ commit ‖ keyId ‖ u64 seq`: the body under `PAE(entry, …)`. It names
 * the origin, so that no other relay can use it again.
 */
export function logStatementBody(statement: {
  readonly kind: SignedKind
  readonly origin: string
  readonly commit: Uint8Array
  readonly keyId: Uint8Array
  readonly seq: number
}): Uint8Array {
  const origin = utf8(statement.origin)
  return concat(
    Uint8Array.of(entryKinds[statement.kind]),
    u16(origin.length),
    origin,
    statement.commit,
    statement.keyId,
    u64(statement.seq),
  )
}

const commitLabel = utf8("chappe/commit/v1\0")

/**
 * `H("chappe/commit/v1" ‖ 00 ‖ salt ‖ subject)`. `salt` has 32 bytes; `subject` is the messageId, a
 * receipt batch's root, or a journal's head.
 */
export function commitmentOf(sha256: Sha256, salt: Uint8Array, subject: Uint8Array): Uint8Array {
  if (salt.length !== 32) throw new RangeError(`salt of ${salt.length} bytes`)
  return sha256(concat(commitLabel, salt, subject))
}
