// Links to other relays. Of two relays the one whose name comes first dials; it tries again for as long as
// the roster names the other. The certificate is compared before anything is sent.

import { type TLSSocket, connect } from "node:tls"
import { WebSocket } from "ws"
import { spkiKeyOf } from "../../keys/link-certificate.ts"
import { equalBytes } from "../../protocol/bytes.ts"
import type { LinkParts } from "../core/peer-session.ts"
import { relayLimits } from "../limits.ts"
import type { CertificatePem } from "./link-listener.ts"
import { runLink, webSocketOptions } from "./link-socket.ts"

export type DialledRelay = {
  readonly name: string
  /** `wss://host:port`, tried in turn. */
  readonly urls: readonly string[]
  readonly linkKeys: readonly Uint8Array[]
}

export type DiallerParts = LinkParts & {
  /** The relays to be linked to now. */
  readonly relays: () => readonly DialledRelay[]
  readonly isLinked: (name: string) => boolean
  readonly certificate: () => CertificatePem
}

type Attempt = { tries: number; isRunning: boolean; notBeforeMs: number }

/** Dials until stopped. */
export function dialRelays(parts: DiallerParts): () => void {
  const attempts = new Map<string, Attempt>()
  const open = new Set<TLSSocket>()
  const dialDue = (): void => {
    for (const relay of parts.relays()) {
      const attempt = attempts.get(relay.name) ?? { tries: 0, isRunning: false, notBeforeMs: 0 }
      attempts.set(relay.name, attempt)
      if (parts.isLinked(relay.name)) attempt.tries = 0
      else if (!attempt.isRunning && parts.clock.monotonicMs() >= attempt.notBeforeMs)
        dial(parts, relay, attempt, open)
    }
  }
  const stop = parts.clock.every(relayLimits.bufferedCheckMs, dialDue)
  dialDue()
  return () => {
    stop()
    for (const socket of open) socket.destroy()
  }
}

function dial(
  parts: DiallerParts,
  relay: DialledRelay,
  attempt: Attempt,
  open: Set<TLSSocket>,
): void {
  const url = addressOf(relay.urls[attempt.tries % relay.urls.length] ?? "")
  if (url === undefined) return
  attempt.isRunning = true
  attempt.tries += 1
  const { certPem, keyPem } = parts.certificate()
  const socket = connect({
    host: url.hostname,
    port: Number(url.port === "" ? 443 : url.port),
    cert: certPem,
    key: keyPem,
    minVersion: "TLSv1.3",
    rejectUnauthorized: false,
    timeout: relayLimits.headersMs,
  })
  open.add(socket)
  socket.on("timeout", () => {
    // Only for the handshake: a link has its own pings.
    if (!socket.authorized && socket.getProtocol() === null) socket.destroy()
  })
  socket.on("error", () => socket.destroy())
  socket.on("close", () => {
    open.delete(socket)
    attempt.isRunning = false
    const wait = Math.min(relayLimits.dialMsMax, relayLimits.dialMs * 2 ** (attempt.tries - 1))
    attempt.notBeforeMs = parts.clock.monotonicMs() + wait
  })
  socket.on("secureConnect", () => {
    socket.setTimeout(0)
    const key = spkiKeyOf(socket.getPeerX509Certificate()?.raw ?? new Uint8Array(0))
    if (key === undefined || !relay.linkKeys.some((known) => equalBytes(known, key))) {
      parts.journal.warn("pin", { peer: relay.name, code: "unknown-key" })
      socket.destroy()
      return
    }
    const webSocket = new WebSocket(`ws://${url.host}/`, {
      ...webSocketOptions,
      createConnection: () => socket,
      handshakeTimeout: relayLimits.headersMs,
    })
    webSocket.on("error", () => socket.destroy())
    webSocket.on("open", () => {
      const peer = { name: relay.name, role: "relay", linkKey: key } as const
      runLink(parts, { webSocket, socket, peer, role: 0 })
    })
  })
}

function addressOf(url: string): URL | undefined {
  try {
    return new URL(url)
  } catch {
    // A malformed address is the other relay's mistake; its next one is tried.
    return undefined
  }
}
