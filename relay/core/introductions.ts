// HELLOs of this relay: what it says, whom it believes, and what it remembers of a node's links, so that a
// node which was cloned or restored finds itself behind. docs/PROTOCOL.md, "Links".

import { openHello, signHello } from "../../keys/link-hello.ts"
import type { Directory } from "../../protocol/directory.ts"
import { suites } from "../../protocol/envelope.ts"
import type { Hello } from "../../protocol/hello.ts"
import type { Committer } from "./committer.ts"
import type { Keyring } from "./keyring.ts"
import type { PeerRole } from "./links.ts"
import type { Logs } from "./logs.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { Journal, Metrics } from "./ports.ts"
import type { PublishedHead } from "./published-log.ts"
import { highestRecord, numberRecord } from "./records.ts"
import { highestKey } from "./sequence.ts"
import { recordKey } from "./tables.ts"

/** Whose pinned link key the connection has. */
export type PinnedPeer = { readonly name: string; readonly role: PeerRole }

export class Introductions {
  readonly #name: string
  readonly #directory: Directory
  readonly #keyring: Keyring
  readonly #network: NetworkClock
  readonly #committer: Committer
  readonly #logs: Logs
  readonly #head: () => PublishedHead
  readonly #metrics: Metrics
  readonly #journal: Journal

  constructor(parts: {
    readonly name: string
    readonly directory: Directory
    readonly keyring: Keyring
    readonly network: NetworkClock
    readonly committer: Committer
    readonly logs: Logs
    /** Of the own directory log, as published. */
    readonly head: () => PublishedHead
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

  /** Our HELLO to an opener, with what we hold of its key. Refused: `hello`. */
  async answer(peer: PinnedPeer, signed: Uint8Array, exporter: Uint8Array): Promise<Uint8Array> {
    const hello = this.#judge(peer, signed, exporter, 0)
    const held = peer.role === "node" ? await this.#held(peer, hello) : { seq: 0, session: 0 }
    return this.#sign(peer.name, exporter, 1, held)
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
    const { hello } = openHello(this.#directory, signed, expected)
    if (peer.role === "relay") this.#network.heard(peer.name, hello.at)
    return hello
  }

  /** What was held before this link; its number is remembered before we answer. */
  async #held(peer: PinnedPeer, hello: Hello): Promise<Hello["held"]> {
    const { keyId } = hello
    const origin = this.#logs.traffic.own.origin
    const held = await this.#committer.commit(async (draft) => {
      const key = recordKey("session", keyId)
      const session = (await draft.get(numberRecord, key))?.value ?? 0
      const seq = (await draft.get(highestRecord, highestKey(origin, keyId)))?.seq ?? 0
      if (hello.held.session > session) draft.put(numberRecord, key, { value: hello.held.session })
      return () => ({ seq, session })
    })
    if (hello.held.session <= held.session) {
      this.#metrics.count("chappe_relay_clone_alarms_total")
      this.#journal.warn("clone", {
        peer: peer.name,
        session: hello.held.session,
        held: held.session,
      })
    }
    return held
  }
}
