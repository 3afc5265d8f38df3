// Who is connected, and how to ask them something. One link counts for each peer: the newest.

import { ChappeError } from "../../protocol/errors.ts"
import type { LinkLane } from "../../protocol/frames.ts"
import type { LinkMessage } from "../../protocol/link-messages.ts"
import { relayLimits } from "../limits.ts"

/** A link message without its request number. */
export type Unnumbered<M> = M extends { readonly request: number } ? Omit<M, "request"> : never
export type Request = Unnumbered<LinkMessage>

export type PeerRole = "node" | "relay"

/** A connected node or relay whose HELLO was verified. */
export interface Peer {
  readonly name: string
  readonly role: PeerRole
  /** The pinned link key that it showed. */
  readonly linkKey: Uint8Array
  /** Resolves with the answer, whatever it is. Refused: `link-down`, `busy`. */
  request(lane: LinkLane, request: Request): Promise<LinkMessage>
  /** What was to be sent and has not left for the link. */
  readonly unsentBytes: number
  /** Whether the peer answers a ping within that time. */
  isAlive(patienceMs: number): Promise<boolean>
  /** Ends the link; the code tells the peer why. */
  close(code: string): void
}

export class Links {
  readonly #peers = new Map<string, Peer>()
  readonly #downSince = new Map<string, number>()
  readonly #draining = new WeakSet<Peer>()
  readonly #silent = new Map<string, { readonly sinceMs: number; readonly untilMs: number }>()
  readonly #nowMs: () => number

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  /** The older link of the same peer is closed. */
  add(peer: Peer): void {
    const older = this.#peers.get(peer.name)
    this.#peers.set(peer.name, peer)
    this.#downSince.delete(peer.name)
    older?.close("done")
  }

  /** False when a newer link of that peer has taken its place. */
  remove(peer: Peer): boolean {
    if (this.#peers.get(peer.name) !== peer) return false
    this.#peers.delete(peer.name)
    this.#downSince.set(peer.name, this.#nowMs())
    return true
  }

  isLinked(name: string): boolean {
    return this.#peers.has(name)
  }

  /** Linked, and nothing says that it does not answer: mail may go there. */
  isReached(name: string): boolean {
    return this.#peers.has(name) && !this.#isSilent(name)
  }

  /**
   * The relay has not taken its mail as it must since `sinceMs`: for a while it counts as away, even linked,
   * so that mail goes around it; then it may show that it does.
   */
  goAround(name: string, sinceMs: number): void {
    const before = this.#isSilent(name) ? this.#silent.get(name) : undefined
    const untilMs = this.#nowMs() + relayLimits.silentMs
    this.#silent.set(name, { sinceMs: before?.sinceMs ?? sinceMs, untilMs })
  }

  #isSilent(name: string): boolean {
    const silent = this.#silent.get(name)
    if (silent === undefined) return false
    if (this.#nowMs() < silent.untilMs) return true
    this.#silent.delete(name)
    return false
  }

  /** The relay is being emptied and asks to be spared, or takes new mail again. */
  drains(peer: Peer, isOn: boolean): void {
    if (isOn) this.#draining.add(peer)
    else this.#draining.delete(peer)
  }

  /** Reached, and not being emptied. */
  isOpen(name: string): boolean {
    const peer = this.#peers.get(name)
    return peer !== undefined && this.isReached(name) && !this.#draining.has(peer)
  }

  /** How long the peer has been away or silent; from the first question on for one never seen. */
  downMs(name: string): number {
    if (this.isReached(name)) return 0
    const silent = this.#silent.get(name)
    if (silent !== undefined) return this.#nowMs() - silent.sinceMs
    const since = this.#downSince.get(name) ?? this.#nowMs()
    this.#downSince.set(name, since)
    return this.#nowMs() - since
  }

  get(name: string): Peer | undefined {
    return this.#peers.get(name)
  }

  all(role?: PeerRole): readonly Peer[] {
    const peers = [...this.#peers.values()]
    return role === undefined ? peers : peers.filter((peer) => peer.role === role)
  }
}

/** The answer, if it has that name. Refused: the code of a `refused`, `frame` for another answer. */
export function expectAnswer<Name extends LinkMessage["name"]>(
  answer: LinkMessage,
  name: Name,
): Extract<LinkMessage, { readonly name: Name }> {
  if (isNamed(answer, name)) return answer
  throw new ChappeError("frame", `a ${answer.name} is not the answer to this request`)
}

function isNamed<Name extends LinkMessage["name"]>(
  message: LinkMessage,
  name: Name,
): message is Extract<LinkMessage, { readonly name: Name }> {
  return message.name === name
}
