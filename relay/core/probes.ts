// Probes: whether a member's node answers, asked by the relay's operator. The node signs what the relay drew
// at random, so only it can have answered. A member that is linked elsewhere is asked through that relay, with
// one hop. docs/PROTOCOL.md, "Probes".

import { verify } from "../../keys/ed25519.ts"
import { equalBytes, toHex } from "../../protocol/bytes.ts"
import {
  controlPae,
  decodeControl,
  decodeSignedControl,
  probeBody,
} from "../../protocol/control.ts"
import type { Directory } from "../../protocol/directory.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { linkLanes } from "../../protocol/frames.ts"
import type { LinkMessage } from "../../protocol/link-messages.ts"
import { relayLimits } from "../limits.ts"
import type { ProbeFacts } from "../operator-facts.ts"
import { type Links, type Peer, type Request, expectAnswer } from "./links.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { Clock, Random } from "./ports.ts"

export class Probes {
  readonly #self: string
  readonly #directory: Directory
  readonly #links: Links
  readonly #network: NetworkClock
  readonly #clock: Clock
  readonly #random: Random

  constructor(parts: {
    readonly self: string
    readonly directory: Directory
    readonly links: Links
    readonly network: NetworkClock
    readonly clock: Clock
    readonly random: Random
  }) {
    this.#self = parts.self
    this.#directory = parts.directory
    this.#links = parts.links
    this.#network = parts.network
    this.#clock = parts.clock
    this.#random = parts.random
  }

  /** Refused: `unknown-member`; `not-linked`; what the node answers; `sender-key`, `signature` for a false echo. */
  async probe(member: string): Promise<ProbeFacts> {
    if (this.#directory.member(member) === undefined)
      throw new ChappeError("unknown-member", `the roster does not name ${member}`)
    const direct = this.#links.get(member)
    if (direct !== undefined) return this.#ask(direct, member)
    const homes = this.#directory.homes(member)
    const place = ({ name }: Peer): number =>
      (homes.indexOf(name) + homes.length + 1) % (homes.length + 1)
    for (const relay of this.#links.all("relay").toSorted((a, b) => place(a) - place(b))) {
      try {
        return await this.#ask(relay, member)
      } catch (cause) {
        // It is not linked there either, or that relay is older or gone: another may know more.
        if (!(cause instanceof ChappeError) || !isElsewhere(cause)) throw cause
      }
    }
    throw new ChappeError("not-linked", `${member} is linked to no relay that answers`)
  }

  async #ask(peer: Peer, member: string): Promise<ProbeFacts> {
    const nonce = this.#random(32)
    const began = this.#clock.monotonicMs()
    const request = { name: "probe", relay: this.#self, to: member, nonce } as const
    const answer = await this.#inTime(peer.request(linkLanes.control, request), peer)
    const roundTripMs = this.#clock.monotonicMs() - began
    const { at, keyId } = this.#open(member, nonce, expectAnswer(answer, "echo").echo)
    return {
      member,
      relay: this.#self,
      via: peer.role === "relay" ? peer.name : null,
      roundTripMs: Math.round(roundTripMs * 10) / 10,
      skewSeconds: at - this.#network.own,
      keyId: toHex(keyId),
    }
  }

  /** Refused: `not-canonical`, `signature`, `sender-key`. */
  #open(
    member: string,
    nonce: Uint8Array,
    echo: Uint8Array,
  ): { readonly at: number; readonly keyId: Uint8Array } {
    const { control, keyId, signature } = decodeSignedControl(echo)
    const { from, to, n, at, op, body } = decodeControl(control)
    const said = probeBody.fromValue(body, "body")
    const isFitting =
      from === member &&
      to === member &&
      n === 0 &&
      op === "probe" &&
      said.relay === this.#self &&
      equalBytes(said.nonce, nonce)
    if (!isFitting) throw new ChappeError("signature", "the echo answers another probe")
    const key = this.#directory.requireStationKey(member, keyId, "now", this.#network.now)
    if (!verify(key.key, controlPae(control), signature))
      throw new ChappeError("signature", `the echo is not signed by ${member}'s node`)
    return { at, keyId }
  }

  /** Another relay asks for a member that is linked here. Refused: `not-linked`, what the node answers. */
  async passOn({ relay, to, nonce }: LinkMessage<"probe">): Promise<Request> {
    const peer = this.#links.get(to)
    if (peer?.role !== "node") throw new ChappeError("not-linked", `${to} is not linked here`)
    const request = { name: "probe", relay, to, nonce } as const
    const answer = await this.#inTime(peer.request(linkLanes.control, request), peer)
    return { name: "echo", echo: expectAnswer(answer, "echo").echo }
  }

  async #inTime(asked: Promise<LinkMessage>, { name }: Peer): Promise<LinkMessage> {
    return new Promise((resolve, reject) => {
      const stop = this.#clock.after(relayLimits.probeMs, () => {
        reject(new ChappeError("link-down", `${name} does not answer`))
      })
      asked.then(resolve, reject).finally(stop)
    })
  }
}

function isElsewhere({ code }: ChappeError): boolean {
  return code === "not-linked" || code === "link-down" || code === "unknown-request"
}
