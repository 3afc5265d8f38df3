// Controls and tombstones: signed words between nodes, carried like mail but never logged.
// docs/PROTOCOL.md, "Controls" and "Tombstones".

import { verify } from "../../keys/ed25519.ts"
import { openTombstone } from "../../keys/open-tombstone.ts"
import type { BatchVerifier } from "../../protocol/batch.ts"
import { controlPae, decodeControl, decodeSignedControl } from "../../protocol/control.ts"
import type { Directory } from "../../protocol/directory.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { relayLimits } from "../limits.ts"
import type { Committer } from "./committer.ts"
import type { Links, Peer } from "./links.ts"
import type { Mail } from "./mail.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { QueueGauge } from "./queue-gauge.ts"
import { type QueueItem, evidenceLane, queueNames } from "./records.ts"
import type { Routes } from "./routes.ts"

export class Controls {
  readonly #directory: Directory
  readonly #batches: BatchVerifier
  readonly #network: NetworkClock
  readonly #committer: Committer
  readonly #mail: Mail
  readonly #routes: Routes
  readonly #links: Links
  readonly #gauge: QueueGauge
  readonly #hasRoom: () => boolean

  constructor(parts: {
    readonly directory: Directory
    readonly batches: BatchVerifier
    readonly network: NetworkClock
    readonly committer: Committer
    readonly mail: Mail
    readonly routes: Routes
    readonly links: Links
    readonly gauge: QueueGauge
    /** Whether the disk has room for new mail. */
    readonly hasRoom: () => boolean
  }) {
    this.#directory = parts.directory
    this.#batches = parts.batches
    this.#network = parts.network
    this.#committer = parts.committer
    this.#mail = parts.mail
    this.#routes = parts.routes
    this.#links = parts.links
    this.#gauge = parts.gauge
    this.#hasRoom = parts.hasRoom
  }

  /** Queues it for its receiver. Refused: `not-canonical`, `sender-key`, `signature`, `unknown-recipient`, `busy`. */
  async take(peer: Peer, bytes: Uint8Array): Promise<void> {
    const signed = decodeSignedControl(bytes)
    const control = decodeControl(signed.control)
    if (peer.role === "node" && control.from !== peer.name)
      throw new ChappeError("sender-key", `${peer.name} sends a control of ${control.from}`)
    const key = this.#directory.requireStationKey(
      control.from,
      signed.keyId,
      "now",
      this.#network.now,
    )
    if (!verify(key.key, controlPae(signed.control), signed.signature))
      throw new ChappeError("signature", "the control's signature does not hold")
    await this.#enqueue(peer, { name: "control", to: control.to, control: bytes })
  }

  /**
   * Queues it for its recipient. Refused: `not-canonical`, `sender-key`, `signature`, `slice`, `tombstone`,
   * `too-early`, `unknown-recipient`, `busy`.
   */
  async takeTombstone(peer: Peer, bytes: Uint8Array): Promise<void> {
    const { now } = this.#network
    const facts = { now, directory: this.#directory, batches: this.#batches }
    const { header, leaf, signer } = openTombstone(bytes, facts)
    if (peer.role === "node" && (header.core.senderNode !== peer.name || signer !== peer.name))
      throw new ChappeError("sender-key", `${peer.name} sends another's tombstone`)
    await this.#enqueue(peer, { name: "tombstone", to: leaf.node, tombstone: bytes })
  }

  async #enqueue(
    peer: Peer,
    item: Extract<QueueItem, { readonly name: "control" | "tombstone" }>,
  ): Promise<void> {
    const queue = this.#queueFor(peer, item.to)
    if (queue === undefined)
      throw new ChappeError("unknown-recipient", `${item.to} is not a member here`)
    if (!this.#hasRoom() || this.#gauge.wordsFor(item.to) > relayLimits.memberWordsBytesMax)
      throw new ChappeError("busy", `no room for what ${item.to} has not fetched`)
    await this.#committer.commit(async (draft) => {
      await this.#mail.enqueue(draft, queue, evidenceLane, item)
      return () => undefined
    })
  }

  /** A receiver that is linked here gets it here; what another relay brought goes no further. */
  #queueFor(peer: Peer, to: string): string | undefined {
    if (this.#directory.member(to) === undefined) return undefined
    if (peer.role === "relay" || this.#links.isLinked(to)) return queueNames.member(to)
    return this.#routes.queueFor(to)
  }
}
