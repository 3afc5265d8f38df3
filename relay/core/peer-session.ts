// One connection to a peer, from the HELLOs to its end, without its socket: hellos first, within 3 s; then the
// conversation. Whoever never reads, never answers or breaks a frame is cut off. docs/PROTOCOL.md, "Links".

import { ChappeError } from "../../protocol/errors.ts"
import { limits } from "../../protocol/limits.ts"
import { type LinkEvent, LinkSession } from "../../protocol/link-session.ts"
import { relayLimits } from "../limits.ts"
import type { Introductions, PinnedPeer } from "./introductions.ts"
import { type Handler, PeerLink, type Wire } from "./peer-link.ts"
import type { Clock, Journal } from "./ports.ts"

/** What a link's socket asks the relay about its peer. */
export type LinkParts = {
  readonly introductions: Introductions
  readonly clock: Clock
  readonly journal: Journal
  readonly handler: Handler
  /** A link with verified HELLOs is up; and down again, though its socket may last a while. */
  readonly up: (link: PeerLink) => void
  readonly down: (link: PeerLink) => void
  /** A link of this peer's was refused or has broken the rules. */
  readonly refused: (peer: string, code: string) => void
}

/** What the socket tells. */
export type PeerSession = {
  /** Undefined for what is no frame. */
  readonly received: (frame: Uint8Array | undefined) => void
  /** The connection is over. */
  readonly ended: () => void
}

/** Runs a link on an open wire. `role` is ours: 0 opener, 1 answerer. */
export function startPeerSession(
  parts: LinkParts,
  options: {
    readonly wire: Wire
    readonly exporter: Uint8Array
    readonly peer: PinnedPeer
    readonly role: 0 | 1
  },
): PeerSession {
  const { wire, exporter, peer, role } = options
  const { introductions, clock, journal } = parts
  const session = new LinkSession(clock.monotonicMs())
  let link: PeerLink | undefined
  let early: LinkEvent[] = []

  const fail = (code: string): void => {
    journal.warn("link-refused", { peer: peer.name, code })
    parts.refused(peer.name, code)
    if (link === undefined) {
      session.close(code)
      sendFrames()
      wire.end()
    } else link.close(code)
  }
  const sendFrames = (): void => {
    for (const frame of session.takeFrames(clock.monotonicMs())) wire.send(frame)
  }
  const open = (): void => {
    const { handler } = parts
    link = new PeerLink({ ...peer, session, wire, clock, journal, handler, ended: parts.down })
    parts.up(link)
    link.take(early)
    early = []
  }
  const greet = async (signed: Uint8Array): Promise<void> => {
    try {
      if (role === 0) introductions.confirm(peer, signed, exporter)
      else {
        const { hello, isClone } = await introductions.answer(peer, signed, exporter)
        session.sendHello(hello)
        if (isClone) return fail("clone")
      }
      sendFrames()
      if (wire.isOpen) open()
    } catch (cause) {
      if (!(cause instanceof ChappeError)) throw cause
      if (role === 1) session.sendHello(introductions.farewell(peer.name, exporter))
      fail(cause.code)
    }
  }
  const say = (): void => {
    try {
      session.sendHello(introductions.open(peer.name, exporter))
    } catch (cause) {
      // No key of ours is valid now, as far as our clock tells.
      if (!(cause instanceof ChappeError)) throw cause
      fail(cause.code)
    }
  }
  const take = (events: readonly LinkEvent[]): void => {
    for (const event of events) {
      if (event.kind === "hello") {
        greet(event.hello).catch((cause: unknown) => {
          journal.warn("hello", { peer: peer.name, why: String(cause) })
          wire.cut()
        })
      } else if (link === undefined) early.push(event)
      else link.take([event])
    }
    if (link === undefined) sendFrames()
    else link.flush()
  }

  const stopWatching = watch(wire, session, clock, () => {
    if (link === undefined) sendFrames()
    else link.flush()
  })
  if (role === 0) say()
  sendFrames()
  return {
    received: (frame) => {
      try {
        if (frame === undefined) throw new ChappeError("frame", "a text message")
        take(session.receive(frame, clock.monotonicMs()))
      } catch (cause) {
        if (!(cause instanceof ChappeError)) throw cause
        fail(cause.code)
      }
    },
    ended: () => {
      stopWatching()
      link?.down()
    },
  }
}

/** Pings, and the end of links that are dead or never read. */
function watch(wire: Wire, session: LinkSession, clock: Clock, flush: () => void): () => void {
  let buffered = 0
  let stuckChecks = 0
  const checksMax = Math.ceil((limits.helloSeconds * 1_000) / relayLimits.bufferedCheckMs)
  const stopBuffered = clock.every(relayLimits.bufferedCheckMs, () => {
    const now = wire.bufferedBytes
    // Ours fill up in one go and drain again; a peer that does not read lets them stand.
    const isStuck = now > relayLimits.bufferedBytesMax && now >= buffered
    stuckChecks = isStuck ? stuckChecks + 1 : 0
    buffered = now
    if (stuckChecks >= checksMax) wire.cut()
  })
  const stopTick = clock.every(relayLimits.tickMs, () => {
    if (session.isDeadAt(clock.monotonicMs())) wire.cut()
    else flush()
  })
  return () => {
    stopBuffered()
    stopTick()
  }
}
