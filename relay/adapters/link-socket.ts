// A WebSocket under a link: hellos first, within 3 s; then the conversation. Whoever never reads, never
// answers or breaks a frame is cut off.

import type { TLSSocket } from "node:tls"
import { WebSocket } from "ws"
import { ChappeError } from "../../protocol/errors.ts"
import { limits } from "../../protocol/limits.ts"
import { type LinkEvent, LinkSession } from "../../protocol/link-session.ts"
import type { Introductions, PinnedPeer } from "../core/introductions.ts"
import { type Handler, PeerLink, type Wire } from "../core/peer-link.ts"
import type { Clock, Journal } from "../core/ports.ts"
import { relayLimits } from "../limits.ts"

export type LinkParts = {
  readonly introductions: Introductions
  readonly clock: Clock
  readonly journal: Journal
  readonly handler: Handler
  /** A link with verified HELLOs is up; and down again. */
  readonly up: (link: PeerLink) => void
  readonly down: (link: PeerLink) => void
}

/** What ws must be told on both sides; the reasons stand in relay/limits.ts. */
export const webSocketOptions = {
  perMessageDeflate: false,
  maxPayload: limits.frameBytesMax,
  maxFragments: 16,
  maxBufferedChunks: 1_024,
} as const

const exporterLabel = "EXPORTER-Channel-Binding"

export function exporterOf(socket: TLSSocket): Uint8Array {
  return Uint8Array.from(socket.exportKeyingMaterial(32, exporterLabel, Buffer.alloc(0)))
}

function bytesOf(data: unknown): Uint8Array | undefined {
  if (data instanceof ArrayBuffer) return new Uint8Array(data)
  return data instanceof Uint8Array ? Uint8Array.from(data) : undefined
}

/** Runs a link on an open WebSocket. `role` is ours: 0 opener, 1 answerer. */
export function runLink(
  parts: LinkParts,
  options: {
    readonly webSocket: WebSocket
    readonly exporter: Uint8Array
    readonly peer: PinnedPeer
    readonly role: 0 | 1
    readonly closed?: () => void
  },
): void {
  const { webSocket, exporter, peer, role } = options
  const { introductions, clock, journal } = parts
  const session = new LinkSession(clock.monotonicMs())
  const wire: Wire = {
    send: (frame) => {
      if (webSocket.readyState === WebSocket.OPEN) webSocket.send(frame)
    },
    get bufferedBytes() {
      return webSocket.bufferedAmount
    },
    end: () => {
      webSocket.close()
    },
  }
  let link: PeerLink | undefined
  let early: LinkEvent[] = []

  const fail = (code: string): void => {
    journal.warn("link-refused", { peer: peer.name, code })
    if (link === undefined) {
      session.close(code)
      sendFrames()
      webSocket.close()
    } else link.close(code)
  }
  const sendFrames = (): void => {
    for (const frame of session.takeFrames(clock.monotonicMs())) wire.send(frame)
  }
  const open = (): void => {
    const { handler } = parts
    link = new PeerLink({ ...peer, session, wire, clock, journal, handler })
    parts.up(link)
    link.take(early)
    early = []
  }
  const greet = async (signed: Uint8Array): Promise<void> => {
    try {
      if (role === 0) introductions.confirm(peer, signed, exporter)
      else session.sendHello(await introductions.answer(peer, signed, exporter))
      sendFrames()
      if (webSocket.readyState === WebSocket.OPEN) open()
    } catch (cause) {
      if (!(cause instanceof ChappeError)) throw cause
      if (role === 1) session.sendHello(introductions.farewell(peer.name, exporter))
      fail(cause.code)
    }
  }
  const take = (events: readonly LinkEvent[]): void => {
    for (const event of events) {
      if (event.kind === "hello") {
        greet(event.hello).catch((cause: unknown) => {
          journal.warn("hello", { peer: peer.name, why: String(cause) })
          webSocket.terminate()
        })
      } else if (link === undefined) early.push(event)
      else link.take([event])
    }
    if (link === undefined) sendFrames()
    else link.flush()
  }

  webSocket.on("message", (data, isBinary) => {
    const frame = isBinary ? bytesOf(data) : undefined
    try {
      if (frame === undefined) throw new ChappeError("frame", "a text message")
      take(session.receive(frame, clock.monotonicMs()))
    } catch (cause) {
      if (!(cause instanceof ChappeError)) throw cause
      fail(cause.code)
    }
  })
  webSocket.on("error", (cause) => {
    journal.warn("socket", { peer: peer.name, why: cause.message })
  })
  const stopWatching = watch(webSocket, session, clock, () => {
    if (link === undefined) sendFrames()
    else link.flush()
  })
  webSocket.on("close", () => {
    stopWatching()
    options.closed?.()
    if (link === undefined) return
    link.down()
    parts.down(link)
  })
  if (role === 0) session.sendHello(introductions.open(peer.name, exporter))
  sendFrames()
}

/** Pings, and the end of links that are dead or never read. */
function watch(
  webSocket: WebSocket,
  session: LinkSession,
  clock: Clock,
  flush: () => void,
): () => void {
  let buffered = 0
  let stuckChecks = 0
  const checksMax = Math.ceil((limits.helloSeconds * 1_000) / relayLimits.bufferedCheckMs)
  const stopBuffered = clock.every(relayLimits.bufferedCheckMs, () => {
    const now = webSocket.bufferedAmount
    // Ours fill up in one go and drain again; a peer that does not read lets them stand.
    const isStuck = now > relayLimits.bufferedBytesMax && now >= buffered
    stuckChecks = isStuck ? stuckChecks + 1 : 0
    buffered = now
    if (stuckChecks >= checksMax) webSocket.terminate()
  })
  const stopTick = clock.every(relayLimits.tickMs, () => {
    if (session.isDeadAt(clock.monotonicMs())) webSocket.terminate()
    else flush()
  })
  return () => {
    stopBuffered()
    stopTick()
  }
}
