// A relay in memory for tests of the node: it accepts, logs and delivers as a relay does, and lies as told.
// Nothing moves by itself: a test says when mail goes out.

import { sha256 } from "../../keys/crypto.ts"
import { publicKeysOf } from "../../keys/prekey-period.ts"
import { decodeAuth } from "../../protocol/batch.ts"
import { concat, emptyBytes, fromUtf8, toHex } from "../../protocol/bytes.ts"
import { decodeControl, decodeSignedControl } from "../../protocol/control.ts"
import {
  type LogEntry,
  type SignedEntry,
  type SignedKind,
  encodeEntry,
} from "../../protocol/entry.ts"
import { decodeHeader, decodeLeaf } from "../../protocol/envelope.ts"
import { ChappeError } from "../../protocol/errors.ts"
import type { LinkLane } from "../../protocol/frames.ts"
import { typedKeyHash } from "../../protocol/key-id.ts"
import {
  type Acceptance,
  type LinkMessage,
  type LogStatement,
  decodeLinkMessage,
  encodeLinkMessage,
} from "../../protocol/link-messages.ts"
import { formatPromiseText } from "../../protocol/promise.ts"
import { formatNote, signNote } from "../../protocol/signed-note.ts"
import { decodeTombstone } from "../../protocol/tombstone.ts"
import { inclusionPaths, leafHash, treeRoot } from "../../protocol/tree.ts"
import type { LinkRequest, RelayLink } from "../../node/core/ports.ts"
import type { Statement, World } from "./world.ts"

export type DeliverRequest = Omit<LinkMessage<"deliver">, "request">
export type EvidenceRequest = Omit<LinkMessage<"evidence">, "request">
type Queued = { readonly to: string; readonly message: DeliverRequest }

/** Whoever answers a relay: a node's requests desk. */
export type Answerer = (link: RelayLink, message: LinkMessage) => Promise<LinkRequest>

const kemKeys = new WeakMap<World, ReadonlyMap<string, Uint8Array>>()

/** Every member's published keys by their hashes; made once for a world. */
function kemKeysOf(world: World): ReadonlyMap<string, Uint8Array> {
  const known = kemKeys.get(world)
  if (known !== undefined) return known
  const keys = [...world.members.values()]
    .flatMap(({ periods }) => periods.flatMap(publicKeysOf))
    .map((key) => [toHex(typedKeyHash(sha256, "prekey", key)), key] as const)
  const made = new Map(keys)
  kemKeys.set(world, made)
  return made
}

export class RelayDouble {
  readonly name: string
  readonly world: World
  readonly now: () => number
  readonly mail: Queued[] = []
  readonly evidence: { readonly to: string; readonly message: EvidenceRequest }[] = []
  readonly controls: { readonly to: string; readonly control: Uint8Array }[] = []
  readonly tombstones: { readonly to: string; readonly tombstone: Uint8Array }[] = []
  /** Everything that nodes asked, in order. */
  readonly asked: { readonly from: string; readonly message: LinkRequest }[] = []
  readonly statements: Statement[]
  readonly bodies = new Map<string, Uint8Array>()
  /** What it was asked and left without an answer. */
  readonly silenced: LinkRequest[] = []
  /** What this relay answers instead of doing what it is asked. */
  refuse: (from: string, message: LinkRequest) => LinkRequest | "silence" | undefined = () =>
    undefined
  /** Bends the log entry that it accepts something with, before it promises it. */
  bendEntry: (entry: SignedEntry) => SignedEntry = (entry) => entry
  #trafficOrigin: string
  readonly #nodes = new Map<string, { readonly link: DoubleLink; readonly answer: Answerer }>()
  #index = 0

  constructor(name: string, world: World, now: () => number) {
    this.name = name
    this.world = world
    this.now = now
    this.statements = [...world.statements]
    this.#trafficOrigin = world.relay(name).trafficLog.origin
  }

  /** Goes on with another traffic log that its root has named, as after the loss of its disk. */
  begin(origin: string): void {
    this.#trafficOrigin = origin
    this.#index = 0
  }

  connect(node: string, answer: Answerer): DoubleLink {
    const link = new DoubleLink(this, node)
    this.#nodes.set(node, { link, answer })
    return link
  }

  disconnect(node: string): void {
    this.#nodes.get(node)?.link.break()
    this.#nodes.delete(node)
  }

  /** Hands a message to a node as it would come over the wire. */
  async tell(node: string, message: LinkRequest): Promise<LinkRequest> {
    const found = this.#nodes.get(node)
    if (found === undefined) throw new ChappeError("link-down")
    const wire = decodeLinkMessage(encodeLinkMessage({ ...message, request: 1 }))
    return await found.answer(found.link, wire)
  }

  /** Delivers what waits, in order, and says what was answered. `bend` may change it, or drop it. */
  async deliver(
    bend: (message: DeliverRequest) => DeliverRequest | undefined = (message) => message,
  ): Promise<readonly LinkRequest[]> {
    const answers: LinkRequest[] = []
    for (const { to, message } of this.mail.splice(0)) {
      const bent = bend(message)
      if (bent !== undefined) answers.push(await this.tell(to, bent))
    }
    return answers
  }

  async passEvidence(): Promise<void> {
    for (const { to, message } of this.evidence.splice(0)) await this.tell(to, message)
  }

  async passControls(): Promise<void> {
    for (const { to, control } of this.controls.splice(0))
      await this.tell(to, { name: "control", control })
  }

  async passTombstones(): Promise<readonly LinkRequest[]> {
    const answers: LinkRequest[] = []
    for (const { to, tombstone } of this.tombstones.splice(0))
      answers.push(await this.tell(to, { name: "tombstone", tombstone }))
    return answers
  }

  async answer(from: string, message: LinkRequest): Promise<LinkRequest> {
    this.asked.push({ from, message })
    switch (message.name) {
      case "submit":
        return this.#submit(message)
      case "receipts":
        return this.#receipts(from, message)
      case "journal":
        return { name: "accepted", acceptance: this.#accept("journal", message.statement) }
      case "directoryGet":
        return this.#directory(message.from)
      case "prekeysGet":
        return { name: "prekeysPart", keys: message.hashes.map((hash) => this.#kemKey(hash)) }
      case "control": {
        const { to } = decodeControl(decodeSignedControl(message.control).control)
        this.controls.push({ to, control: message.control })
        return { name: "done" }
      }
      case "tombstone": {
        const { leaf } = decodeTombstone(message.tombstone)
        this.tombstones.push({ to: decodeLeaf(leaf).node, tombstone: message.tombstone })
        return { name: "done" }
      }
      case "statementPut":
        this.statements.push({ kind: message.sort, statement: message.statement })
        return { name: "done" }
      case "bodyOffer":
        return this.#have(toHex(message.body.hash))
      case "bodyPut": {
        const name = toHex(message.hash)
        this.bodies.set(name, concat(this.bodies.get(name) ?? emptyBytes, message.part))
        return this.#have(name)
      }
      case "bodyGet": {
        const body = this.bodies.get(toHex(message.hash)) ?? emptyBytes
        return {
          name: "bodyPart",
          part: body.slice(message.offset, message.offset + message.length),
        }
      }
      case "prekeysPut":
      // Of this relay's own log: that the double was shown it is all that a test asks.
      case "checkpoint":
      case "promise":
        return { name: "done" }
      case "proofsGet":
      case "consistencyGet":
        return { name: "refused", code: "not-ready", final: false, retrySeconds: 60 }
      case "done":
      case "refused":
      case "accepted":
      case "deliver":
      case "cosignatures":
      case "forward":
      case "custody":
      case "evidence":
      case "bodyHave":
      case "bodyPart":
      case "directoryPart":
      case "prekeysPart":
      case "cosigned":
      case "proofs":
      case "consistency":
      case "draining":
      case "probe":
      case "echo":
        throw new Error(`a node does not ask for ${message.name}`)
    }
  }

  #have(name: string): LinkRequest {
    return { name: "bodyHave", offset: this.bodies.get(name)?.length ?? 0 }
  }

  #submit(message: Extract<LinkRequest, { name: "submit" }>): LinkRequest {
    const { header, auth, body, attachments, leaves, statement } = message
    if (statement.origin !== this.#trafficOrigin)
      return { name: "refused", code: "stale", final: false, retrySeconds: 0 }
    const acceptance = this.#accept("envelope", statement)
    const paths = inclusionPaths(
      sha256,
      leaves.map((leaf) => leafHash(sha256, leaf)),
    )
    leaves.forEach((leaf, i) => {
      const slice = { leaf, path: paths[i] ?? [] }
      const parts = { header, auth, slice, acceptance, attachments, body }
      this.mail.push({ to: decodeLeaf(leaf).node, message: { name: "deliver", ...parts } })
    })
    return { name: "accepted", acceptance }
  }

  #receipts(from: string, message: Extract<LinkRequest, { name: "receipts" }>): LinkRequest {
    const acceptance = this.#accept("receipts", message.statement)
    for (const item of message.items)
      this.evidence.push({
        to: item.to,
        message: { name: "evidence", from, items: [item], acceptance },
      })
    return { name: "accepted", acceptance }
  }

  #accept(kind: SignedKind, statement: LogStatement): Acceptance {
    const { trafficLog, laterLogs } = this.world.relay(this.name)
    const log = [trafficLog, ...laterLogs].find(({ origin }) => origin === this.#trafficOrigin)
    if (log === undefined) throw new Error(`no log ${this.#trafficOrigin}`)
    const { origin, promise } = log
    const { commit, keyId, seq, salt } = statement
    const time = this.now()
    const entry = encodeEntry(
      this.bendEntry({
        kind,
        time,
        commit,
        keyId,
        seq,
        directorySize: this.statements.length,
        auth: decodeAuth(statement.auth),
      }),
    )
    const leaves = [leafHash(sha256, entry)]
    const index = this.#index++
    const text = formatPromiseText({
      origin,
      first: index,
      count: 1,
      root: treeRoot(sha256, leaves),
      time,
    })
    const signatures = [signNote(promise.key, text, promise.sign)]
    return { entry, salt, promise: fromUtf8(formatNote({ text, signatures })), index, path: [] }
  }

  entries(): readonly Uint8Array[] {
    const time = this.world.at
    return this.statements.map(({ kind, statement: body }): Uint8Array => {
      const stored = kind === "policy" ? "delivery-policy" : kind
      const entry: LogEntry = { kind: stored, time, body }
      return encodeEntry(entry)
    })
  }

  #directory(from: number): LinkRequest {
    const entries = this.entries()
    return {
      name: "directoryPart",
      size: entries.length,
      entries: entries.slice(from, from + 256),
    }
  }

  #kemKey(hash: Uint8Array): Uint8Array | null {
    return kemKeysOf(this.world).get(toHex(hash)) ?? null
  }
}

export class DoubleLink implements RelayLink {
  readonly relay: string
  readonly #double: RelayDouble
  readonly #node: string
  #isBroken = false
  readonly #waiting = new Set<(error: ChappeError) => void>()

  constructor(double: RelayDouble, node: string) {
    this.relay = double.name
    this.#double = double
    this.#node = node
  }

  async ask(_lane: LinkLane, message: LinkRequest): Promise<LinkMessage> {
    if (this.#isBroken) throw new ChappeError("link-down")
    const told = this.#double.refuse(this.#node, message)
    if (told === "silence") this.#double.silenced.push(message)
    if (told === "silence")
      return await new Promise((_, reject) => {
        this.#waiting.add(reject)
      })
    const answer = told ?? (await this.#double.answer(this.#node, message))
    return decodeLinkMessage(encodeLinkMessage({ ...answer, request: 1 }))
  }

  end(): void {
    this.break()
  }

  break(): void {
    this.#isBroken = true
    for (const reject of this.#waiting) reject(new ChappeError("link-down"))
  }
}

/** The message id's sender and place, for tests that look at what was submitted. */
export function placesOf(message: DeliverRequest): {
  readonly seq: number
  readonly sender: string
} {
  return {
    seq: decodeLeaf(message.slice.leaf).channelSeq,
    sender: decodeHeader(message.header).core.senderNode,
  }
}
