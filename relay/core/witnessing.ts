// Shows each new checkpoint to whoever is linked: nodes answer with their cosignature, relays read on.
// Bodies are those of tlog-witness. docs/PROTOCOL.md, "Witness protocol".

import { crypto } from "../../keys/crypto.ts"
import { fromUtf8, utf8 } from "../../protocol/bytes.ts"
import type { Directory } from "../../protocol/directory.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { linkLanes } from "../../protocol/frames.ts"
import { parseVerifierKey } from "../../protocol/verifier-key.ts"
import { encodeAddCheckpoint, parseWitnessSize } from "../../protocol/witness-request.ts"
import { type Links, type Peer, expectAnswer } from "./links.ts"
import type { Journal, Metrics } from "./ports.ts"
import type { CosignedHeads } from "./cosigned-heads.ts"
import type { Publisher } from "./publisher.ts"

type Shown = {
  cosigned: number
  isBusy: boolean
  isStale: boolean
  /** The peer has seen of the log what is not in it. */
  isBehind: boolean
  /** Resolves when the peer has answered for the first time. */
  first: Promise<void> | undefined
}

export class Witnessing {
  readonly #links: Links
  readonly #directory: Directory
  readonly #metrics: Metrics
  readonly #journal: Journal
  /** By link, so that a new link starts afresh. */
  readonly #shown = new WeakMap<Peer, Map<string, Shown>>()
  readonly #heads: CosignedHeads
  readonly #cosigned: (publisher: Publisher, witness: string) => void

  constructor(parts: {
    readonly links: Links
    readonly directory: Directory
    readonly metrics: Metrics
    readonly journal: Journal
    readonly heads: CosignedHeads
    /** A new cosignature is there to be published. */
    readonly cosigned: (publisher: Publisher, witness: string) => void
  }) {
    this.#links = parts.links
    this.#directory = parts.directory
    this.#metrics = parts.metrics
    this.#journal = parts.journal
    this.#heads = parts.heads
    this.#cosigned = parts.cosigned
  }

  /** To every linked peer that is not still at the one before; that one gets it afterwards. */
  showAll(publisher: Publisher): void {
    for (const peer of this.#links.all()) this.show(peer, publisher)
  }

  show(peer: Peer, publisher: Publisher): void {
    if (publisher.log.checkpoint.length === 0) return
    const shown = this.#stateOf(peer, publisher.origin)
    if (shown.isBusy) {
      shown.isStale = true
      return
    }
    shown.isBusy = true
    shown.isStale = false
    const answered = this.#exchange(peer, publisher, shown)
      .catch((cause: unknown) => {
        if (!(cause instanceof ChappeError)) throw cause
        if (cause.code !== "link-down")
          this.#journal.warn("witness", { peer: peer.name, code: cause.code })
      })
      .finally(() => {
        shown.isBusy = false
        if (shown.isStale && this.#links.get(peer.name) === peer) this.show(peer, publisher)
      })
    shown.first ??= answered
  }

  /** Resolves when the peer has answered to our logs on this link: whether it has seen what they have not. */
  async hasSeenMore(peer: Peer): Promise<boolean> {
    const shown = [...(this.#shown.get(peer)?.values() ?? [])]
    for (const { first } of shown) await first
    return shown.some(({ isBehind }) => isBehind)
  }

  /** Work of a node that knows more of our logs than we do waits until it is settled who is right. Refused: `not-ready`. */
  async admit(peer: Peer): Promise<void> {
    if (await this.hasSeenMore(peer))
      throw new ChappeError("not-ready", `${peer.name} has seen more of our logs than there is`)
  }

  #stateOf(peer: Peer, origin: string): Shown {
    const byOrigin = this.#shown.get(peer) ?? new Map<string, Shown>()
    this.#shown.set(peer, byOrigin)
    const state = byOrigin.get(origin) ?? {
      cosigned: 0,
      isBusy: false,
      isStale: false,
      isBehind: false,
      first: undefined,
    }
    byOrigin.set(origin, state)
    return state
  }

  async #exchange(peer: Peer, publisher: Publisher, shown: Shown): Promise<void> {
    const { log, origin } = publisher
    const { checkpoint, head } = log
    const old = Math.min(shown.cosigned, head.size)
    const path = await log.consistency(old, head.size)
    const body = fromUtf8(encodeAddCheckpoint({ old, path, checkpoint }))
    const request = { name: "checkpoint", origin, body } as const
    const answer = await peer.request(linkLanes.control, request)
    if (peer.role === "relay") return
    const { status, body: text } = expectAnswer(answer, "cosigned")
    if (status === 409) {
      const size = parseWitnessSize(utf8(text))
      // A witness that has seen more than we have is an alarm, never a reason to sign.
      shown.isBehind = size > log.head.size
      if (shown.isBehind)
        this.#journal.warn("witness-ahead", { peer: peer.name, size, own: log.head.size })
      else if (size !== shown.cosigned) {
        shown.cosigned = size
        shown.isStale = true
      }
      return
    }
    if (status !== 200) {
      shown.isBehind ||= status === 422
      this.#journal.warn("witness-refused", { peer: peer.name, status })
      return
    }
    shown.cosigned = head.size
    this.#heads.take(checkpoint, text)
    await this.#take(peer, publisher, text)
  }

  async #take(peer: Peer, publisher: Publisher, lines: string): Promise<void> {
    for (const { vkey } of this.#directory.station(peer.name)?.witnesses ?? []) {
      if (!(await publisher.cosigned(lines, parseVerifierKey(crypto, vkey)))) continue
      this.#metrics.count("chappe_relay_cosignatures_total")
      this.#cosigned(publisher, peer.name)
    }
  }
}
