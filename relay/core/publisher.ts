// Checkpoints. What synced commits hold is written as tiles, its head is recorded as signed by
// compare-and-set in a synced commit, and only then the checkpoint is signed and published.
// docs/PROTOCOL.md, "Checkpoints". A log never signs two checkpoints that exclude each other.

import { sha256, crypto } from "../../keys/crypto.ts"
import { emptyBytes, equalBytes } from "../../protocol/bytes.ts"
import { formatCheckpointText, openCheckpoint } from "../../protocol/checkpoint.ts"
import { ChappeError } from "../../protocol/errors.ts"
import {
  type NoteSignature,
  formatNote,
  heldSignatures,
  parseSignatureLines,
  signNote,
} from "../../protocol/signed-note.ts"
import { type LogEdge, edgeRoot, emptyEdge, growLog } from "../../protocol/tile-writer.ts"
import { tilePath, tileWidth } from "../../protocol/tiles.ts"
import { type VerifierKey, isNamed } from "../../protocol/verifier-key.ts"
import { relayLimits } from "../limits.ts"
import type { Committer } from "./committer.ts"
import type { OwnLog } from "./keyring.ts"
import { LogMending } from "./log-mending.ts"
import { entryKey, loadLog } from "./logs.ts"
import type { Journal, LogFiles, Metrics, RecordStore } from "./ports.ts"
import { PublishedLog, type PublishedHead } from "./published-log.ts"
import { signedRecord } from "./records.ts"
import { framed, openRecord, recordKey } from "./tables.ts"

export type PublisherParts = {
  readonly own: OwnLog
  readonly files: LogFiles
  readonly store: RecordStore
  readonly committer: Committer
  readonly metrics: Metrics
  readonly journal: Journal
  /** Directory entries stay in the store, for they are read at each start. */
  readonly keepsEntries: boolean
}

/** Where a log's last signed head is recorded, before it is published. */
export function signedKey(origin: string): Uint8Array {
  return recordKey("signed", framed(origin))
}

const pageEntries = 1_024

export class Publisher {
  readonly #parts: PublisherParts
  readonly #published: PublishedLog
  #edge: LogEdge
  #lines: NoteSignature[] = []
  #text = ""

  private constructor(parts: PublisherParts, edge: LogEdge, published: PublishedLog) {
    this.#parts = parts
    this.#edge = edge
    this.#published = published
  }

  /** Refused: `log-root` when what was signed last and the tree disagree: then nothing is signed again. */
  static async open(parts: PublisherParts): Promise<Publisher> {
    const { own, files, store } = parts
    const key = signedKey(own.origin)
    const value = await store.get(key)
    const signed = value === undefined ? undefined : signedRecord.decode(openRecord(key, value))
    const edge = signed === undefined ? emptyEdge : await openEdge(parts, signed)
    const head = { size: edge.size, root: edgeRoot(sha256, edge) }
    await requireNotBehind(own, files, head.size)
    const published = new PublishedLog(own.origin, files, head, new Uint8Array(0))
    const publisher = new Publisher(parts, edge, published)
    if (signed !== undefined) await publisher.#publish(head)
    return publisher
  }

  get log(): PublishedLog {
    return this.#published
  }

  get origin(): string {
    return this.#parts.own.origin
  }

  /** Brings the published log to `size`, which is committed. An idle log is signed again as it stands. */
  async advance(size: number): Promise<PublishedHead> {
    const { store, files, own } = this.#parts
    while (this.#edge.size < size) {
      const from = this.#edge.size
      const to = Math.min(size, from + pageEntries)
      const entries = await this.#entries(store, from, to)
      const growth = growLog(sha256, this.#edge, entries)
      await files.write(growth.files)
      this.#edge = growth.edge
    }
    const head = { size: this.#edge.size, root: edgeRoot(sha256, this.#edge) }
    const before = this.#published.head
    if (head.size !== before.size || this.#published.checkpoint.length === 0) {
      await this.#recordSigned(head)
      this.#lines = []
    }
    await this.#publish(head)
    this.#parts.metrics.count("chappe_relay_checkpoints_total", { log: sortOf(own.origin) })
    await files.trim(replacedPartials(before.size, head.size))
    return head
  }

  /** Brings the published log to what was committed, as a shard needs it that is written no more. */
  async catchUp(): Promise<void> {
    const { size } = await loadLog(this.#parts.store, this.origin)
    if (size > this.#edge.size) await this.advance(size)
  }

  async #entries(store: RecordStore, from: number, to: number): Promise<readonly Uint8Array[]> {
    const { origin } = this.#parts.own
    const records = await store.range({
      gte: entryKey(origin, from),
      lt: entryKey(origin, to),
      limit: to - from,
    })
    if (records.length !== to - from)
      throw new ChappeError("tampered", `${origin} lacks entries between ${from} and ${to}`)
    return records.map(({ key, value }) => openRecord(key, value))
  }

  async #recordSigned(head: PublishedHead): Promise<void> {
    const { committer, own, keepsEntries } = this.#parts
    const key = signedKey(own.origin)
    const expected = this.#published.head
    await committer.commit(async (draft) => {
      const last = await draft.get(signedRecord, key)
      const agrees =
        last === undefined
          ? expected.size === 0
          : last.size === expected.size && equalBytes(last.root, expected.root)
      if (!agrees || head.size < expected.size)
        throw new ChappeError("log-root", `${own.origin} was signed at another head`)
      draft.put(signedRecord, key, head)
      // Full bundles hold them now; the last ones stay, so that the log's edge can be made anew.
      if (!keepsEntries)
        for (let index = fullBefore(expected.size); index < fullBefore(head.size); index++)
          draft.delete(entryKey(own.origin, index))
      return () => undefined
    })
  }

  async #publish(head: PublishedHead): Promise<void> {
    const { own, files } = this.#parts
    this.#text = formatCheckpointText({ origin: own.origin, ...head })
    const { key, sign } = own.log
    const line = signNote(key, this.#text, sign)
    const checkpoint = formatNote({ text: this.#text, signatures: [line, ...this.#lines] })
    await files.publish(checkpoint)
    this.#published.publish(head, checkpoint)
  }

  /**
   * Takes a witness's line on the present checkpoint, in place of its earlier one; true when it is new. Lines
   * for an older checkpoint are of no more use here. Refused: `note`.
   */
  async cosigned(lines: string, witness: VerifierKey): Promise<boolean> {
    const signatures = parseSignatureLines(lines)
    const held = heldSignatures(crypto.verify, { text: this.#text, signatures }, [witness])
    const line = signatures.findLast((one) => isNamed(witness, one))
    if (held.length === 0 || line === undefined) return false
    const before = this.#lines.findIndex((one) => isNamed(witness, one))
    if (before >= 0 && equalBytes(this.#lines[before]?.payload ?? emptyBytes, line.payload))
      return false
    if (before < 0 && this.#lines.length >= relayLimits.publishedCosignatures) return false
    this.#lines.splice(before < 0 ? this.#lines.length : before, 1, line)
    return true
  }

  /** Writes the checkpoint again with the cosignatures that have come in. */
  async republish(): Promise<void> {
    await this.#publish(this.#published.head)
  }

  /** The present checkpoint with the log's own line only, as heads of other logs are recorded. */
  headNote(): Uint8Array {
    const { key, sign } = this.#parts.own.log
    return formatNote({ text: this.#text, signatures: [signNote(key, this.#text, sign)] })
  }
}

/** Entries in full bundles of a log of `size`. */
function fullBefore(size: number): number {
  return size - (size % tileWidth)
}

/** The edge of what was signed last; what the disk changed of it is made anew. Refused: `log-root`. */
async function openEdge(parts: PublisherParts, head: PublishedHead): Promise<LogEdge> {
  const { own, files, store, journal } = parts
  const found = await new LogMending({ files, store, origin: own.origin, head }).edge()
  if (found === undefined)
    throw new ChappeError(
      "log-root",
      `the files of ${own.origin} do not give the root that was signed`,
    )
  if (found.isMended) journal.warn("mended", { place: own.origin })
  return found.edge
}

/** The published checkpoint is never ahead of what was recorded as signed: else records were lost. */
async function requireNotBehind(own: OwnLog, files: LogFiles, size: number): Promise<void> {
  const note = await files.read("checkpoint")
  if (note === undefined) return
  let shown: PublishedHead
  try {
    shown = openHead(own.log.key, note)
  } catch (cause) {
    // A damaged one is written anew.
    if (cause instanceof ChappeError) return
    throw cause
  }
  if (shown.size > size)
    throw new ChappeError(
      "rollback",
      `${own.origin} was published with ${shown.size} entries, and the records know of ${size}`,
    )
}

function sortOf(origin: string): "directory" | "traffic" {
  return origin.includes("/traffic/") ? "traffic" : "directory"
}

/** Partial tiles and bundles of the old size whose full ones exist now. */
function replacedPartials(before: number, size: number): readonly string[] {
  const paths: string[] = []
  let covered = 1
  for (let level = 0; Math.floor(before / covered) > 0; level++) {
    const count = Math.floor(before / covered)
    const index = Math.floor(count / tileWidth)
    const isFull = Math.floor(Math.floor(size / covered) / tileWidth) > index
    if (count % tileWidth > 0 && isFull) {
      paths.push(`${tilePath({ kind: "hashes", level, index, width: tileWidth })}.p`)
      if (level === 0) paths.push(`${tilePath({ kind: "entries", index, width: tileWidth })}.p`)
    }
    covered *= tileWidth
  }
  return paths
}

/** Opens another relay's checkpoint by its log's key. Refused: `note`. */
export function openHead(key: VerifierKey, note: Uint8Array): PublishedHead {
  const { size, root } = openCheckpoint(crypto.verify, note, { log: key })
  return { size, root }
}
