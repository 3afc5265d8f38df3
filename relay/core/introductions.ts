// HELLOs of this relay: what it says, whom it believes, and what it remembers of a node's links, so that a
// node which was cloned or restored finds itself behind. docs/PROTOCOL.md, "Links".

import { openHello, signHello } from "../../keys/link-hello.ts"
import { toHex } from "../../protocol/bytes.ts"
import type { Directory } from "../../protocol/directory.ts"
import { suites } from "../../protocol/envelope.ts"
import type { Hello } from "../../protocol/hello.ts"
import type { Committer } from "./committer.ts"
import type { Keyring } from "./keyring.ts"
import type { PeerRole } from "./links.ts"
import type { Logs } from "./logs.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { PeerWatch } from "./peer-watch.ts"
import type { Journal, Metrics } from "./ports.ts"
import type { PublishedHead } from "./published-log.ts"
import { highestRecord, numberRecord } from "./records.ts"
import { highestKey } from "./sequence.ts"
import { recordKey } from "./tables.ts"

/** Whose pinned link key the connection has. */
export type PinnedPeer = {
  readonly name: string
  readonly role: PeerRole
  readonly linkKey: Uint8Array
}

export class Introductions {
  readonly #name: string
  readonly #directory: Directory
  readonly #keyring: Keyring
  readonly #network: NetworkClock
  readonly #committer: Committer
  readonly #logs: Logs
  readonly #head: () => PublishedHead
  readonly #watch: PeerWatch
  readonly #isAlive: (peer: string) => Promise<boolean>
  readonly #metrics: Metrics
  readonly #journal: Journal
  /** The key that a peer's newest link was opened with, in hex. */
  readonly #keys = new Map<string, string>()

  constructor(parts: {
    readonly name: string
    readonly directory: Directory
    readonly keyring: Keyring
    readonly network: NetworkClock
    readonly committer: Committer
    readonly logs: Logs
    /** Of the own directory log, as published. */
    readonly head: () => PublishedHead
    readonly watch: PeerWatch
    /** Whether an older link of that peer still answers. */
    readonly isAlive: (peer: string) => Promise<boolean>
    readonly metrics: Metrics
    readonly journal: Journal
  }) {
    this.#name = parts.name
    this.#directory = parts.directory
    this.#keyring = parts.keyring
    this.#network = parts.network
    this.#committer = parts.committer
    this.#logs = parts.logs
    this.#head = parts.head
    this.#watch = parts.watch
    this.#isAlive = parts.isAlive
    this.#metrics = parts.metrics
    this.#journal = parts.journal
  }

  /** Our HELLO as the one who opens a link to another relay. */
  open(to: string, exporter: Uint8Array): Uint8Array {
    return this.#sign(to, exporter, 0, { seq: 0, session: 0 })
  }

  /** The answerer's HELLO. Refused: `hello`. */
  confirm(peer: PinnedPeer, signed: Uint8Array, exporter: Uint8Array): void {
    this.#judge(peer, signed, exporter, 1)
  }

  /**
   * Our HELLO to an opener, with what we hold of its key. A clone gets one from which it learns that it is
   * one; no link is opened to it. Refused: `hello`.
   */
  async answer(
    peer: PinnedPeer,
    signed: Uint8Array,
    exporter: Uint8Array,
  ): Promise<{ readonly hello: Uint8Array; readonly isClone: boolean }> {
    const hello = this.#judge(peer, signed, exporter, 0)
    const key = toHex(hello.keyId)
    // One process has one link: while the older one with the same key answers, this is another process.
    const isSecond = this.#keys.get(peer.name) === key && (await this.#isAlive(peer.name))
    const held = await this.#held(peer, hello, isSecond)
    const isClone = isSecond || (peer.role === "node" && hello.held.session <= held.session)
    if (isClone) this.#alarm(peer, hello, held)
    else this.#keys.set(peer.name, key)
    return { hello: this.#sign(peer.name, exporter, 1, held), isClone }
  }

  /** A HELLO for a peer that is refused, so that the code can follow it. */
  farewell(to: string, exporter: Uint8Array): Uint8Array {
    return this.#sign(to, exporter, 1, { seq: 0, session: 0 })
  }

  #sign(to: string, exporter: Uint8Array, role: 0 | 1, held: Hello["held"]): Uint8Array {
    return signHello(this.#keyring.relayKey(this.#network.now), {
      exporter,
      from: this.#name,
      to,
      role,
      at: this.#network.own,
      suites: [suites.one],
      head: this.#head(),
      incarnation: 0,
      held,
    })
  }

  #judge(peer: PinnedPeer, signed: Uint8Array, exporter: Uint8Array, role: 0 | 1): Hello {
    const { now } = this.#network
    const expected = { exporter, from: peer.name, to: this.#name, role, now }
    const { hello, version } = openHello(this.#directory, signed, expected)
    this.#watch.heard(peer.name, { version, skewSeconds: hello.at - this.#network.own })
    this.#network.heard(peer.name, hello.at)
    return hello
  }

  /** What was held before this link; its number is remembered before we answer, unless a clone says it. */
  async #held(peer: PinnedPeer, hello: Hello, isSecond: boolean): Promise<Hello["held"]> {
    if (peer.role !== "node") return { seq: 0, session: 0 }
    const { keyId } = hello
    const origin = this.#logs.traffic.own.origin
    return await this.#committer.commit(async (draft) => {
      const key = recordKey("session", keyId)
      const session = (await draft.get(numberRecord, key))?.value ?? 0
      const seq = (await draft.get(highestRecord, highestKey(origin, keyId)))?.seq ?? 0
      if (isSecond) return () => ({ seq, session: Math.max(session, hello.held.session) })
      if (hello.held.session > session) draft.put(numberRecord, key, { value: hello.held.session })
      return () => ({ seq, session })
    })
  }

  #alarm(peer: PinnedPeer, hello: Hello, held: Hello["held"]): void {
    this.#metrics.count("chappe_relay_clone_alarms_total")
    this.#journal.warn("clone", {
      peer: peer.name,
      session: hello.held.session,
      held: held.session,
    })
  }
}
