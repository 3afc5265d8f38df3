// A WebSocket under a link.

import type { TLSSocket } from "node:tls"
import { WebSocket } from "ws"
import { limits } from "../../protocol/limits.ts"
import type { PinnedPeer } from "../core/introductions.ts"
import type { Wire } from "../core/peer-link.ts"
import { type LinkParts, startPeerSession } from "../core/peer-session.ts"

/** What ws must be told on both sides; the reasons stand in relay/limits.ts. */
export const webSocketOptions = {
  perMessageDeflate: false,
  maxPayload: limits.frameBytesMax,
  maxFragments: 16,
  maxBufferedChunks: 1_024,
} as const

const exporterLabel = "EXPORTER-Channel-Binding"

function exporterOf(socket: TLSSocket): Uint8Array {
  return new Uint8Array(socket.exportKeyingMaterial(32, exporterLabel, Buffer.alloc(0)))
}

function bytesOf(data: unknown): Uint8Array | undefined {
  if (data instanceof ArrayBuffer) return new Uint8Array(data)
  return data instanceof Uint8Array ? new Uint8Array(data) : undefined
}

/** What is written in this turn of the event loop leaves as one TLS record and one call. */
function together(socket: TLSSocket): void {
  if (socket.writableCorked > 0) return
  socket.cork()
  setImmediate(() => {
    socket.uncork()
  })
}

/** Runs a link on an open WebSocket. `role` is ours: 0 opener, 1 answerer. */
export function runLink(
  parts: LinkParts,
  options: {
    readonly webSocket: WebSocket
    readonly socket: TLSSocket
    readonly peer: PinnedPeer
    readonly role: 0 | 1
  },
): void {
  const { webSocket, socket, peer, role } = options
  const wire: Wire = {
    get isOpen() {
      return webSocket.readyState === WebSocket.OPEN
    },
    get bufferedBytes() {
      return webSocket.bufferedAmount
    },
    send: (frame) => {
      if (webSocket.readyState !== WebSocket.OPEN) return
      together(socket)
      webSocket.send(frame)
    },
    end: () => webSocket.close(),
    cut: () => webSocket.terminate(),
  }
  webSocket.on("error", (cause) => {
    parts.journal.warn("socket", { peer: peer.name, why: cause.message })
  })
  const session = startPeerSession(parts, { wire, exporter: exporterOf(socket), peer, role })
  webSocket.on("message", (data, isBinary) =>
    session.received(isBinary ? bytesOf(data) : undefined),
  )
  webSocket.on("close", () => session.ended())
}
