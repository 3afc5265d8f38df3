// LevelDB's files, read by us: the library opens them without checking their sums, leaves out what it cannot
// read of its log without a word, and ends the process at some mistakes. So we look first.
// Formats: doc/log_format.md and doc/table_format.md of LevelDB 1.20.

import { concat, emptyBytes, toHex } from "../protocol/bytes.ts"
import { crc32c } from "./crc32c.ts"
import { openSnappy, readVarint } from "./snappy.ts"

const logBlockBytes = 32_768
const logHeaderBytes = 7
const footerBytes = 48
const trailerBytes = 5
const tableMagic = "57fb808b247547db"
const blockBytesMax = 67_108_864 // far above the 4 KiB that LevelDB aims at and the 4 MiB of our largest record

/** Lowest byte first, up to seven of them: a LevelDB sequence number has 56 bits. */
function little(bytes: Uint8Array, at: number, width: number): number {
  let value = 0
  for (let n = width - 1; n >= 0; n--) value = value * 256 + (bytes[at + n] ?? 0)
  return value
}

/** The sums are stored rotated and shifted. */
function isSummed(stored: number, bytes: Uint8Array): boolean {
  const sum = crc32c(bytes)
  return stored === (((sum >>> 15) | (sum << 17)) + 0xa282_ead8) >>> 0
}

// ---- Logs: `*.log` and `MANIFEST-*`

export type LogReading = {
  /** Whole records, in their order, up to the first that does not hold. */
  readonly records: readonly Uint8Array[]
  /** Whole records behind a damaged place; pieces of one belong to what was torn. */
  readonly beyond: readonly Uint8Array[]
  /** Where reading stopped; undefined at the end. What a power cut tore is at the very end. */
  readonly stoppedAt: number | undefined
}

type Piece = { readonly type: number; readonly data: Uint8Array; readonly end: number }

function pieceAt(bytes: Uint8Array, at: number): Piece | undefined {
  const blockEnd = Math.min(bytes.length, (Math.floor(at / logBlockBytes) + 1) * logBlockBytes)
  if (at + logHeaderBytes > blockEnd) return undefined
  const length = (bytes[at + 4] ?? 0) + (bytes[at + 5] ?? 0) * 256
  const type = bytes[at + 6] ?? 0
  const end = at + logHeaderBytes + length
  if (type < 1 || type > 4 || end > blockEnd) return undefined
  if (!isSummed(little(bytes, at, 4), bytes.subarray(at + 6, end))) return undefined
  return { type, data: bytes.slice(at + logHeaderBytes, end), end }
}

/** Where the next record begins: less than a header at a block's end is filled with zeros. */
function nextPlace(at: number): number {
  const left = logBlockBytes - (at % logBlockBytes)
  return left < logHeaderBytes ? at + left : at
}

export function readLog(bytes: Uint8Array): LogReading {
  const first = readRecords(bytes, 0)
  if (first.at >= bytes.length)
    return { records: first.records, beyond: [], stoppedAt: first.isWhole ? undefined : first.at }
  const beyond: Uint8Array[] = []
  for (let at = first.at + 1; at < bytes.length; at++) {
    if (pieceAt(bytes, at) === undefined) continue
    const more = readRecords(bytes, at)
    beyond.push(...more.records)
    at = Math.max(at, more.at)
  }
  return { records: first.records, beyond, stoppedAt: first.at }
}

function readRecords(
  bytes: Uint8Array,
  from: number,
): { readonly records: readonly Uint8Array[]; readonly at: number; readonly isWhole: boolean } {
  const records: Uint8Array[] = []
  let parts: Uint8Array[] = []
  let at = from
  for (;;) {
    at = nextPlace(at)
    if (at >= bytes.length) return { records, at, isWhole: parts.length === 0 }
    const piece = pieceAt(bytes, at)
    const isFirst = piece?.type === 1 || piece?.type === 2
    if (piece === undefined || isFirst !== (parts.length === 0))
      return { records, at, isWhole: false }
    at = piece.end
    parts.push(piece.data)
    if (piece.type !== 1 && piece.type !== 4) continue
    records.push(concat(...parts))
    parts = []
  }
}

// ---- MANIFEST

export type LevelVersion = {
  /** Logs below this number are in tables. */
  logNumber: number
  prevLogNumber: number
  lastSequence: number
  /** Live tables: number → bytes. */
  readonly tables: Map<number, number>
}

/** What the edits add up to; undefined when one of them has no known form. */
export function readVersion(edits: readonly Uint8Array[]): LevelVersion | undefined {
  const version: LevelVersion = {
    logNumber: 0,
    prevLogNumber: 0,
    lastSequence: 0,
    tables: new Map(),
  }
  for (const edit of edits) if (!applyEdit(version, edit)) return undefined
  return version
}

/** How many numbers and texts stand behind each tag; `t` a text, `n` a number. */
const editFields: Readonly<Record<number, string>> = {
  1: "t", // comparator
  2: "n", // log number
  3: "n", // next file number
  4: "n", // last sequence
  5: "nt", // where compaction goes on
  6: "nn", // level, table that went
  7: "nnntt", // level, table that came, its length, first and last key
  9: "n", // log number before
}

function applyEdit(version: LevelVersion, edit: Uint8Array): boolean {
  for (let at = 0; at < edit.length;) {
    const tag = readVarint(edit, at)
    const fields = tag && editFields[tag.value]
    if (tag === undefined || fields === undefined) return false
    at = tag.end
    const numbers: number[] = []
    for (const field of fields) {
      const number = readVarint(edit, at)
      if (number === undefined) return false
      at = field === "n" ? number.end : number.end + number.value
      if (field === "n") numbers.push(number.value)
    }
    if (at > edit.length) return false
    applyField(version, tag.value, numbers)
  }
  return true
}

function applyField(
  version: LevelVersion,
  tag: number,
  [first = 0, second = 0, third = 0]: readonly number[],
): void {
  if (tag === 2) version.logNumber = first
  else if (tag === 4) version.lastSequence = first
  else if (tag === 6) version.tables.delete(second)
  else if (tag === 7) version.tables.set(second, third)
  else if (tag === 9) version.prevLogNumber = first
}

// ---- Batches and tables

/** One change as the files hold it; `value` undefined: removed. The highest sequence of a key counts. */
export type LevelEntry = {
  readonly key: Uint8Array
  readonly sequence: number
  readonly value: Uint8Array | undefined
}

export type LevelBatch = { readonly sequence: number; readonly count: number }

const batchHeaderBytes = 12

export function readBatchHeader(record: Uint8Array): LevelBatch | undefined {
  if (record.length < batchHeaderBytes) return undefined
  return { sequence: little(record, 0, 7), count: little(record, 8, 4) }
}

export function* batchEntries(record: Uint8Array): Generator<LevelEntry> {
  const header = readBatchHeader(record)
  if (header === undefined) return
  let at = batchHeaderBytes
  const field = (): Uint8Array | undefined => {
    const length = readVarint(record, at)
    if (length === undefined || length.end + length.value > record.length) return undefined
    at = length.end + length.value
    return record.slice(length.end, at)
  }
  for (let n = 0; n < header.count; n++) {
    const isPut = record[at] === 1
    at += 1
    const key = field()
    const value = isPut ? field() : undefined
    if (key === undefined || (isPut && value === undefined)) return
    yield { key, sequence: header.sequence + n, value }
  }
}

export type TableReading = {
  readonly blocks: readonly Uint8Array[]
  /** What does not hold, in words; empty for a whole table. */
  readonly faults: readonly string[]
}

/** All data blocks of a table whose sums hold. */
export function readTable(bytes: Uint8Array): TableReading {
  const footer = bytes.subarray(bytes.length - footerBytes)
  if (bytes.length < footerBytes || toHex(footer.subarray(40)) !== tableMagic)
    return { blocks: [], faults: ["it has no footer"] }
  const meta = readHandle(footer, 0)
  const index = meta && readHandle(footer, meta.end)
  if (meta === undefined || index === undefined)
    return { blocks: [], faults: ["its footer is damaged"] }
  const faults: string[] = []
  if (openBlock(bytes, meta) === undefined) faults.push("its list of filters is damaged")
  const indexBlock = openBlock(bytes, index)
  if (indexBlock === undefined) return { blocks: [], faults: [...faults, "its index is damaged"] }
  const blocks: Uint8Array[] = []
  for (const { value } of blockEntries(indexBlock)) {
    const handle = readHandle(value, 0)
    const block = handle && openBlock(bytes, handle)
    if (block === undefined) faults.push(`its block at ${handle?.offset ?? "?"} is damaged`)
    else blocks.push(block)
  }
  return { blocks, faults }
}

type Handle = { readonly offset: number; readonly size: number; readonly end: number }

function readHandle(bytes: Uint8Array, at: number): Handle | undefined {
  const offset = readVarint(bytes, at)
  const size = offset && readVarint(bytes, offset.end)
  return offset && size && { offset: offset.value, size: size.value, end: size.end }
}

function openBlock(table: Uint8Array, { offset, size }: Handle): Uint8Array | undefined {
  const end = offset + size + trailerBytes
  if (end > table.length) return undefined
  if (!isSummed(little(table, offset + size + 1, 4), table.subarray(offset, offset + size + 1)))
    return undefined
  const data = table.subarray(offset, offset + size)
  return table[offset + size] === 0 ? data : openSnappy(data, blockBytesMax)
}

/** The entries of a block: each key shares its beginning with the one before. */
function* blockEntries(
  block: Uint8Array,
): Generator<{ readonly key: Uint8Array; readonly value: Uint8Array }> {
  if (block.length < 4) return
  const restarts = little(block, block.length - 4, 4)
  const end = block.length - 4 - 4 * restarts
  let key: Uint8Array = emptyBytes
  for (let at = 0; at < end;) {
    const shared = readVarint(block, at)
    const own = shared && readVarint(block, shared.end)
    const length = own && readVarint(block, own.end)
    if (shared === undefined || own === undefined || length === undefined) return
    const keyEnd = length.end + own.value
    key = concat(key.slice(0, shared.value), block.slice(length.end, keyEnd))
    at = keyEnd + length.value
    yield { key, value: block.slice(keyEnd, at) }
  }
}
const internalBytes = 8

/** The entries of a table's data block. */
export function* tableEntries(block: Uint8Array): Generator<LevelEntry> {
  for (const { key, value } of blockEntries(block)) {
    const own = key.length - internalBytes
    if (own < 0) return
    // The kind of the change, then its number.
    const isPut = key[own] === 1
    yield {
      key: key.slice(0, own),
      sequence: little(key, own + 1, 7),
      value: isPut ? value : undefined,
    }
  }
}
