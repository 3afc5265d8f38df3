// The links listener: TLS 1.3 with pinned certificates. A stranger costs one handshake and is dropped before
// a byte of HTTP is parsed. docs/PROTOCOL.md, "Links"; values in SECURITY.md, "Limits".

import { type Server, createServer } from "node:https"
import type { AddressInfo } from "node:net"
import type { TLSSocket } from "node:tls"
import { WebSocketServer } from "ws"
import { spkiKeyOf } from "../../keys/link-certificate.ts"
import { ChappeError } from "../../protocol/errors.ts"
import type { PinnedPeer } from "../core/introductions.ts"
import type { Metrics } from "../core/ports.ts"
import type { LinkParts } from "../core/peer-session.ts"
import { relayLimits } from "../limits.ts"
import { capByAddress } from "./address-cap.ts"
import { codeOf } from "../../store/durable-files.ts"
import { runLink, webSocketOptions } from "./link-socket.ts"

export type CertificatePem = { readonly certPem: string; readonly keyPem: string }

export type LinkListenerParts = LinkParts & {
  readonly metrics: Metrics
  /** Whose link key this is now; undefined for strangers. */
  readonly ownerOf: (linkKey: Uint8Array) => PinnedPeer | undefined
}

export type Listener = {
  readonly port: number
  readonly renew: (certificate: CertificatePem) => void
  readonly close: () => Promise<void>
}

/** Refused: `port-taken`. */
export async function listenForLinks(
  parts: LinkListenerParts,
  options: { readonly host: string; readonly port: number } & CertificatePem,
): Promise<Listener> {
  const server = createServer({
    ...hardening,
    cert: options.certPem,
    key: options.keyPem,
    minVersion: "TLSv1.3",
    requestCert: true,
    rejectUnauthorized: false,
  })
  server.maxConnections = relayLimits.linksMax
  capByAddress(server, { max: relayLimits.handshakesPerAddressMax, until: "secure" })
  const peers = pinPeers(server, parts)
  const sockets = new WebSocketServer({ noServer: true, ...webSocketOptions })
  server.on("clientError", (_error, socket) => socket.destroy())
  server.on("tlsClientError", () => parts.metrics.count("chappe_relay_strangers_total"))
  server.on("request", (request) => request.socket.destroy())
  server.on("upgrade", (request, socket, head) => {
    const pinned = peers.get(socket)
    if (pinned === undefined || request.url !== "/") {
      socket.destroy()
      return
    }
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      runLink(parts, { webSocket, ...pinned, role: 1 })
    })
  })
  demandHardening(server)
  await listen(server, options)
  return {
    port: portOf(server),
    renew: ({ certPem, keyPem }) => {
      server.setSecureContext({ cert: certPem, key: keyPem, minVersion: "TLSv1.3" })
    },
    close: async () => {
      for (const client of sockets.clients) client.terminate()
      await closeServer(server)
    },
  }
}

type Pinned = { readonly socket: TLSSocket; readonly peer: PinnedPeer }

/** Checks each connection's certificate before HTTP sees the socket. */
function pinPeers(server: Server, parts: LinkListenerParts): WeakMap<object, Pinned> {
  const pinned = new WeakMap<object, Pinned>()
  const byAddress = new Map<string, number>()
  const byPeer = new Map<string, number>()
  server.prependListener("secureConnection", (socket: TLSSocket) => {
    socket.on("error", () => socket.destroy())
    const raw = socket.getPeerX509Certificate()?.raw
    const key = raw === undefined ? undefined : spkiKeyOf(raw)
    const peer = key === undefined ? undefined : parts.ownerOf(key)
    if (peer === undefined) {
      parts.metrics.count("chappe_relay_strangers_total")
      socket.destroy()
      return
    }
    const address = socket.remoteAddress ?? ""
    const ofAddress = count(byAddress, address, 1)
    const ofPeer = count(byPeer, peer.name, 1)
    socket.on("close", () => {
      count(byAddress, address, -1)
      count(byPeer, peer.name, -1)
    })
    pinned.set(socket, { socket, peer })
    if (ofAddress > relayLimits.linksPerAddressMax || ofPeer > relayLimits.linksPerMemberMax)
      socket.destroy()
  })
  return pinned
}

function count(counts: Map<string, number>, name: string, change: number): number {
  const now = Math.max(0, (counts.get(name) ?? 0) + change)
  if (now === 0) counts.delete(name)
  else counts.set(name, now)
  return now
}

/** The same for both listeners. */
export const hardening = {
  handshakeTimeout: relayLimits.headersMs,
  headersTimeout: relayLimits.headersMs,
  requestTimeout: relayLimits.requestMs,
  keepAliveTimeout: relayLimits.keepAliveMs,
  connectionsCheckingInterval: relayLimits.checkMs,
  maxHeaderSize: relayLimits.headerBytesMax,
} as const

/** An option that was ignored is silent: so they are read back. */
export function demandHardening(server: {
  readonly headersTimeout: number
  readonly requestTimeout: number
  readonly keepAliveTimeout: number
}): void {
  const isSet =
    server.headersTimeout === hardening.headersTimeout &&
    server.requestTimeout === hardening.requestTimeout &&
    server.keepAliveTimeout === hardening.keepAliveTimeout
  if (!isSet) throw new RangeError("the server ignores a time-out")
}

async function listen(
  server: Server,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) => reject(listenError(cause, port)))
    server.listen({ host, port }, () => resolve())
  })
}

export function listenError(cause: unknown, port: number): ChappeError {
  if (codeOf(cause) === "EADDRINUSE")
    return new ChappeError("port-taken", `port ${port} is taken`, { cause })
  return new ChappeError("config", `port ${port} cannot be opened (${codeOf(cause)})`, { cause })
}

export function portOf(server: { readonly address: () => AddressInfo | string | null }): number {
  const address = server.address()
  if (address === null || typeof address === "string") throw new RangeError("no port")
  return address.port
}

async function closeServer(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
