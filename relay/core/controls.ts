// Controls: signed requests between nodes, carried like mail but never logged. docs/PROTOCOL.md, "Controls".

import { verify } from "../../keys/ed25519.ts"
import { controlPae, decodeControl, decodeSignedControl } from "../../protocol/control.ts"
import type { Directory } from "../../protocol/directory.ts"
import { ChappeError } from "../../protocol/errors.ts"
import type { Committer } from "./committer.ts"
import type { Links, Peer } from "./links.ts"
import type { Mail } from "./mail.ts"
import type { NetworkClock } from "./network-clock.ts"
import { evidenceLane, queueNames } from "./records.ts"
import type { Routes } from "./routes.ts"

export class Controls {
  readonly #directory: Directory
  readonly #network: NetworkClock
  readonly #committer: Committer
  readonly #mail: Mail
  readonly #routes: Routes
  readonly #links: Links

  constructor(parts: {
    readonly directory: Directory
    readonly network: NetworkClock
    readonly committer: Committer
    readonly mail: Mail
    readonly routes: Routes
    readonly links: Links
  }) {
    this.#directory = parts.directory
    this.#network = parts.network
    this.#committer = parts.committer
    this.#mail = parts.mail
    this.#routes = parts.routes
    this.#links = parts.links
  }

  /** Queues it for its receiver. Refused: `not-canonical`, `sender-key`, `signature`, `unknown-recipient`. */
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
    const queue = this.#queueFor(peer, control.to)
    if (queue === undefined)
      throw new ChappeError("unknown-recipient", `${control.to} is not a member here`)
    await this.#committer.commit(async (draft) => {
      const item = { name: "control", to: control.to, control: bytes } as const
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
