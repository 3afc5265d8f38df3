// A relay's two logs for tests, made entry by entry with the test world's keys: honest unless a test
// asks for something else. Published in memory, or written out as files.

import { mkdir, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import type { LogSource } from "../../audit/log-source.ts"
import { logStatementId } from "../../keys/accepted-entry.ts"
import { noBlind, signBatch } from "../../keys/batch-signer.ts"
import { sha256 } from "../../keys/crypto.ts"
import type { SigningKey } from "../../keys/signing-key.ts"
import { fromUtf8, toHex, utf8 } from "../../protocol/bytes.ts"
import { formatCheckpointText } from "../../protocol/checkpoint.ts"
import { type LogEntry, type SignedKind, encodeEntry } from "../../protocol/entry.ts"
import type { Acceptance } from "../../protocol/link-messages.ts"
import { formatPromiseText } from "../../protocol/promise.ts"
import { cosignNote, formatNote, signNote } from "../../protocol/signed-note.ts"
import { inclusionPathFromTiles } from "../../protocol/tile-proofs.ts"
import { type LogEdge, edgeRoot, emptyEdge, growLog } from "../../protocol/tile-writer.ts"
import { tilePath } from "../../protocol/tiles.ts"
import { encodeTlogProof } from "../../protocol/tlog-proof.ts"
import { leafHash } from "../../protocol/tree.ts"
import { MemoryLogSource } from "./memory-log-source.ts"
import type { NoteKey, Statement, World, WorldLog, WorldMember, WorldRelay } from "./world.ts"

export type Witness = { readonly witness: NoteKey; readonly time: number }

/** One log: entries, the files that they make, and its signed head. */
export class KitLog {
  readonly origin: string
  readonly source = new MemoryLogSource([])
  readonly #keys: WorldLog
  #edge: LogEdge = emptyEdge
  #waiting: Uint8Array[] = []

  constructor(keys: WorldLog) {
    this.#keys = keys
    this.origin = keys.origin
  }

  get size(): number {
    return this.#edge.size + this.#waiting.length
  }

  /** Returns the index. */
  append(entry: Uint8Array): number {
    return this.#edge.size + this.#waiting.push(entry) - 1
  }

  /** A note over what is published, with the log's line only. */
  head(witnesses: readonly Witness[] = [], key = this.#keys.log): Uint8Array {
    const root = edgeRoot(sha256, this.#edge)
    const text = formatCheckpointText({ origin: this.origin, size: this.#edge.size, root })
    const lines = witnesses.map(({ witness, time }) =>
      cosignNote(witness.key, text, time, witness.sign),
    )
    return formatNote({ text, signatures: [signNote(key.key, text, key.sign), ...lines] })
  }

  /** Writes files and checkpoint of all entries so far. */
  publish(witnesses: readonly Witness[] = []): void {
    const growth = growLog(sha256, this.#edge, this.#waiting)
    this.#edge = growth.edge
    this.#waiting = []
    for (const { path, bytes } of growth.files) this.source.files.set(path, bytes)
    this.source.files.set("checkpoint", this.head(witnesses))
  }

  /** A promise for the entry at `index`, given alone. */
  acceptance(index: number, entry: Uint8Array, salt: Uint8Array | null, time: number): Acceptance {
    const text = formatPromiseText({
      origin: this.origin,
      first: index,
      count: 1,
      root: leafHash(sha256, entry),
      time,
    })
    const { key, sign } = this.#keys.promise
    const promise = fromUtf8(formatNote({ text, signatures: [signNote(key, text, sign)] }))
    return { entry, salt, promise, index, path: [] }
  }

  /** The text of a proof file for a published entry. */
  async proof(index: number): Promise<string> {
    const tree = {
      sha256,
      size: this.#edge.size,
      readTile: async (tile: Parameters<typeof tilePath>[0]) =>
        (await this.source.read(tilePath(tile), 10_000)) ?? new Uint8Array(0),
    }
    const path = await inclusionPathFromTiles(tree, index)
    return fromUtf8(encodeTlogProof({ index, path, checkpoint: this.head() }))
  }
}

/** What a test changes of an otherwise honest signed entry. */
export type Changes = {
  readonly kind?: SignedKind
  readonly name?: string
  readonly key?: SigningKey
  readonly seq?: number
  readonly commit?: Uint8Array
  readonly directorySize?: number
  readonly time?: number
  readonly signature?: (signature: Uint8Array) => Uint8Array
}

export class AuditedRelay {
  readonly world: World
  readonly relay: WorldRelay
  readonly directory: KitLog
  readonly traffic: KitLog
  /** Of the next entry, seconds; goes up by one with each. */
  time: number
  #bound = 0
  #commitments = 0
  readonly #seqs = new Map<string, number>()

  /** `statements` false leaves the directory log empty. */
  constructor(world: World, name = "hub1", options: { readonly statements?: boolean } = {}) {
    this.world = world
    this.relay = world.relay(name)
    this.directory = new KitLog(this.relay.directoryLog)
    this.traffic = new KitLog(this.relay.trafficLog)
    this.time = world.at
    if (options.statements === false) return
    for (const statement of world.statements) this.logStatement(statement)
    this.directory.publish()
    this.bind()
  }

  tick(): number {
    this.time += 1
    return this.time
  }

  logStatement({ kind, statement }: Statement, time = this.tick()): number {
    return this.directory.append(
      encodeEntry({ kind: this.#kindOf(kind, statement), time, body: statement }),
    )
  }

  #kindOf(
    kind: Statement["kind"],
    statement: Uint8Array,
  ): "roster" | "chain" | "witness-policy" | "retention-policy" | "delivery-policy" {
    if (kind !== "policy") return kind
    const hex = toHex(sha256(statement))
    const { policy } = this.world.roster
    if (hex === toHex(policy.retentionPolicy)) return "retention-policy"
    return hex === toHex(policy.deliveryPolicy) ? "delivery-policy" : "witness-policy"
  }

  /** Logs the directory's present head into the traffic log (kind 4). */
  bind(note: Uint8Array = this.directory.head()): number {
    this.#bound = this.directory.size
    return this.log({ kind: "head", time: this.tick(), note })
  }

  log(entry: LogEntry): number {
    return this.traffic.append(encodeEntry(entry))
  }

  commitment(): Uint8Array {
    this.#commitments += 1
    return sha256(utf8(`commitment ${this.#commitments}`))
  }

  nextSeq(key: SigningKey): number {
    const name = toHex(key.keyId)
    const seq = (this.#seqs.get(name) ?? 0) + 1
    this.#seqs.set(name, seq)
    return seq
  }

  /** Entries of one signer, signed in one batch. Returns them with their indexes. */
  sign(
    items: readonly Changes[],
  ): readonly { readonly index: number; readonly entry: Uint8Array }[] {
    const [first] = items
    if (first === undefined) return []
    const name = first.name ?? "FR"
    const key = first.key ?? this.world.member(name).node
    const statements = items.map((item) => ({
      kind: item.kind ?? ("envelope" as const),
      origin: this.traffic.origin,
      commit: item.commit ?? this.commitment(),
      keyId: key.keyId,
      seq: item.seq ?? this.nextSeq(key),
    }))
    const ids = statements.map((statement) => ({ id: logStatementId(statement), blind: noBlind }))
    const { auths } = signBatch(name, key, ids)
    return statements.map(({ kind, commit, keyId, seq }, i) => {
      const item = items[i] ?? {}
      const auth = auths[i]
      if (auth === undefined) throw new Error("an auth for each")
      const entry = encodeEntry({
        kind,
        time: item.time ?? this.tick(),
        commit,
        keyId,
        seq,
        directorySize: item.directorySize ?? this.#bound,
        auth: { ...auth, signature: item.signature?.(auth.signature) ?? auth.signature },
      })
      return { index: this.traffic.append(entry), entry }
    })
  }

  /** Honest traffic: `rounds` of messages, receipts, the relay's own receipts and a journal head. */
  traffics(rounds: number): void {
    const [relayKey] = this.relay.keys
    for (let i = 0; i < rounds; i++) {
      this.sign([{ name: "FR" }, { name: "FR" }, { name: "FR" }])
      this.sign([{ name: "JP", kind: "receipts" }])
      this.sign([
        { name: this.relay.name, kind: "relay-receipts", ...(relayKey && { key: relayKey }) },
      ])
      this.sign([{ name: "HQ", kind: "journal" }])
    }
  }

  publish(witnesses: readonly Witness[] = []): void {
    this.directory.publish(witnesses)
    this.traffic.publish(witnesses)
  }

  readonly sourceOf = (prefix: string): LogSource => {
    const origin = `${this.relay.name}/${prefix}`
    if (origin === this.directory.origin) return this.directory.source
    return origin === this.traffic.origin ? this.traffic.source : new MemoryLogSource([])
  }

  /** As a copied directory: `directory/…` and `traffic/<year>/…` below `folder`. */
  async writeTo(folder: string): Promise<void> {
    for (const log of [this.directory, this.traffic])
      for (const [path, bytes] of log.source.files) {
        const file = join(folder, log.origin.slice(this.relay.name.length + 1), path)
        await mkdir(dirname(file), { recursive: true })
        await writeFile(file, bytes)
      }
  }
}

/** Witnesses of these members, all at one time. */
export function witnessed(members: readonly WorldMember[], time: number): readonly Witness[] {
  return members.map(({ witness }) => ({ witness, time }))
}
