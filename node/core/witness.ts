// The node as a witness: it cosigns a relay's checkpoint if it continues the last one that it cosigned,
// which is stored, synced, before it answers. docs/PROTOCOL.md, "Witness protocol".

import { crypto, sha256 } from "../../keys/crypto.ts"
import { equalBytes, fromUtf8, utf8 } from "../../protocol/bytes.ts"
import type { OpenedCheckpoint } from "../../protocol/checkpoint.ts"
import { bytes } from "../../protocol/codec.ts"
import type { Directory } from "../../protocol/directory.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { limits } from "../../protocol/limits.ts"
import { cosignNote, formatSignatureLine } from "../../protocol/signed-note.ts"
import { emptyRoot, verifyConsistency } from "../../protocol/tree.ts"
import { type VerifierKey, parseVerifierKey } from "../../protocol/verifier-key.ts"
import {
  type AddCheckpoint,
  encodeWitnessSize,
  parseAddCheckpoint,
} from "../../protocol/witness-request.ts"
import type { Alarms } from "./alarms.ts"
import type { DirectoryFollower } from "./directory-follower.ts"
import type { Identity, WitnessKey } from "./identity.ts"
import type { LogStatements } from "./log-statements.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { Records, Table } from "./records.ts"
import { Serials } from "./serial.ts"

/** `checkpoint`: the log's note when its own signature held, whatever the answer. */
export type WitnessAnswer = {
  readonly status: number
  readonly body: string
  readonly checkpoint: { readonly opened: OpenedCheckpoint; readonly note: Uint8Array } | undefined
  /** A note of that log which the one shown does not continue, under the relay's own signature. */
  readonly before?: Uint8Array
  /** The relay's promise, where it reaches beyond the first checkpoint shown on a link. */
  readonly promise?: string
}

export class Witness {
  readonly #identity: Identity
  readonly #directory: Directory
  readonly #follower: DirectoryFollower
  readonly #records: Records
  readonly #notes: Table<Uint8Array>
  readonly #statements: LogStatements
  readonly #alarms: Alarms
  readonly #clock: NetworkClock
  readonly #serials = new Serials()

  constructor(options: {
    readonly identity: Identity
    readonly directory: Directory
    readonly follower: DirectoryFollower
    readonly records: Records
    readonly statements: LogStatements
    readonly alarms: Alarms
    readonly clock: NetworkClock
  }) {
    this.#identity = options.identity
    this.#directory = options.directory
    this.#follower = options.follower
    this.#records = options.records
    this.#notes = options.records.table("cosigned", bytes(1, limits.noteBytesMax))
    this.#statements = options.statements
    this.#alarms = options.alarms
    this.#clock = options.clock
  }

  /** The last note of this origin that was cosigned. */
  async last(origin: string): Promise<OpenedCheckpoint | undefined> {
    const note = await this.#notes.get(origin)
    return note === undefined ? undefined : this.#follower.open(note, origin)
  }

  /** Answers an add-checkpoint body with the statuses of tlog-witness. */
  async cosign(origin: string, body: string): Promise<WitnessAnswer> {
    let request: AddCheckpoint
    try {
      request = parseAddCheckpoint(utf8(body))
    } catch (cause) {
      return refusal(cause, 400)
    }
    if (this.#directory.log(origin) === undefined) return plain(404)
    let opened: OpenedCheckpoint
    try {
      opened = this.#follower.open(request.checkpoint, origin)
    } catch (cause) {
      return refusal(cause, 403)
    }
    const checkpoint = { opened, note: request.checkpoint }
    if (request.old > opened.size) return { ...plain(400), checkpoint }
    const answer = await this.#serials.run(origin, () => this.#judge(request, opened))
    const promised = request.old === 0 ? this.#statements.promised(origin) : undefined
    if (promised === undefined || promised.end <= opened.size) return { ...answer, checkpoint }
    return { ...answer, checkpoint, promise: promised.promise }
  }

  async #judge(request: AddCheckpoint, opened: OpenedCheckpoint): Promise<WitnessAnswer> {
    const { origin, size, root } = opened
    const stored = await this.#notes.get(origin)
    const last = stored === undefined ? undefined : this.#follower.open(stored, origin)
    const lastSize = last?.size ?? 0
    if (last !== undefined && stored !== undefined)
      await this.#lookForFork(last, stored, opened, request.checkpoint)
    if (request.old !== lastSize) {
      const answer = { ...plain(409), body: fromUtf8(encodeWitnessSize(lastSize)) }
      const isForked =
        last !== undefined &&
        (lastSize > size || (lastSize === size && !equalBytes(last.root, root)))
      return stored === undefined || !isForked ? answer : { ...answer, before: stored }
    }
    const continues = verifyConsistency({
      sha256,
      smallSize: lastSize,
      smallRoot: last?.root ?? emptyRoot(sha256),
      largeSize: size,
      largeRoot: root,
      path: request.path,
    })
    if (!continues) {
      if (last !== undefined && stored !== undefined)
        await this.#alarms.raise("log-fork", `${origin} ${lastSize} ${size}`, [
          stored,
          request.checkpoint,
        ])
      return stored === undefined ? plain(422) : { ...plain(422), before: stored }
    }
    const witness = this.#ownKey()
    if (witness === undefined || this.#clock.isOff) return plain(403)
    await this.#records.commit([this.#notes.put(origin, request.checkpoint)])
    // Its own clock is what a witness has to say of the time; network time is made of such words.
    const line = cosignNote(witness.key, opened.note.text, this.#clock.ownSeconds(), witness.sign)
    return { ...plain(200), body: formatSignatureLine(line) }
  }

  /** What needs no proof: a smaller tree later, or two roots for one size. */
  async #lookForFork(
    last: OpenedCheckpoint,
    stored: Uint8Array,
    next: OpenedCheckpoint,
    note: Uint8Array,
  ): Promise<void> {
    const subject = `${next.origin} ${last.size} ${next.size}`
    if (next.size < last.size) await this.#alarms.raise("log-rollback", subject, [stored, note])
    if (next.size === last.size && !equalBytes(next.root, last.root))
      await this.#alarms.raise("log-fork", subject, [stored, note])
  }

  /** The witness key that the own root chain names last. */
  #ownKey(): (WitnessKey & { readonly key: VerifierKey }) | undefined {
    const named = this.#directory.station(this.#identity.name)?.witnesses.at(-1)
    if (named === undefined) return undefined
    const key = parseVerifierKey(crypto, named.vkey)
    const held = this.#identity.witnessKeys.find(({ publicKey }) =>
      equalBytes(publicKey, key.publicKey),
    )
    return held === undefined ? undefined : { ...held, key }
  }
}

function plain(status: number): WitnessAnswer {
  return { status, body: "", checkpoint: undefined }
}

function refusal(cause: unknown, status: number): WitnessAnswer {
  if (!(cause instanceof ChappeError)) throw cause
  return plain(status)
}
