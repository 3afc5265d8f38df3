// Keeps a link to every relay that the roster names: TLS 1.3 with the relay's key pinned by the
// directory, then a WebSocket, then HELLOs signed over the TLS exporter. docs/PROTOCOL.md, "Links".

import { type TLSSocket, connect } from "node:tls"
import { WebSocket } from "ws"
import { makeLinkCertificate, spkiKeyOf } from "../../keys/link-certificate.ts"
import { equalBytes } from "../../protocol/bytes.ts"
import { limits } from "../../protocol/limits.ts"
import { nodeLimits } from "../limits.ts"
import type { Random } from "../core/ports.ts"
import type { Wire } from "../core/relay-conversation.ts"
import { RelaySession, type SessionOptions } from "../core/relay-session.ts"

export type RelayAddress = {
  readonly relay: string
  /** `wss://host:port`, tried in turn. */
  readonly urls: readonly string[]
  readonly pinnedKeys: readonly Uint8Array[]
  /** Our link key's seed for this attempt. */
  readonly linkSecret: Uint8Array
}

export type DiallerOptions = SessionOptions & {
  readonly me: string
  /** Where to connect on this attempt; undefined while the directory does not tell. */
  readonly address: (relay: string, attempt: number) => RelayAddress | undefined
  /** Begins a connection. */
  readonly connect: (address: RelayAddress, url: URL, options: DiallerOptions) => RelaySession
  /** The reason why a link could not be made, for who waits. */
  readonly failed: (relay: string, code: string) => void
  readonly random: Random
}

const exporterLabel = "EXPORTER-Channel-Binding"

/** One relay's link, made again for as long as it is wanted. */
export class RelayDialler {
  readonly #relay: string
  readonly #options: DiallerOptions
  #attempt = 0
  #failures = 0
  #isStopped = false
  #cancel: () => void = () => undefined
  #end: () => void = () => undefined

  constructor(relay: string, options: DiallerOptions) {
    this.#relay = relay
    this.#options = options
    this.#dial()
  }

  stop(): void {
    this.#isStopped = true
    this.#cancel()
    this.#end()
  }

  #dial(): void {
    if (this.#isStopped) return
    const address = this.#options.address(this.#relay, this.#attempt++)
    if (address === undefined) return this.#later("unknown-key")
    const url = urlOf(address.urls[this.#attempt % Math.max(1, address.urls.length)])
    if (url === undefined) return this.#later("unknown-key")
    const connection = this.#options.connect(address, url, this.#options)
    this.#end = () => connection.end("done")
    void this.#follow(connection)
  }

  async #follow(connection: RelaySession): Promise<void> {
    const { wasUp, code } = await connection.closed
    if (wasUp) this.#failures = 0
    this.#later(code)
  }

  #later(code: string): void {
    if (this.#isStopped) return
    this.#options.failed(this.#relay, code)
    const full = Math.min(
      nodeLimits.reconnectMsMax,
      nodeLimits.reconnectFirstMs * 2 ** Math.min(this.#failures, 16),
    )
    this.#failures += 1
    // Half of it at random: all nodes come back from a relay's restart.
    const [random = 0] = this.#options.random(1)
    const wait = full / 2 + (full / 2) * (random / 255)
    this.#cancel = this.#options.clock.after(wait, () => this.#dial())
  }
}

function urlOf(text: string | undefined): URL | undefined {
  try {
    return text === undefined ? undefined : new URL(text)
  } catch {
    // Not a URL: another one may be.
    return undefined
  }
}

/** TLS, then a WebSocket. Nothing is sent to whoever does not hold the relay's key. */
export function connectTls(address: RelayAddress, url: URL, options: DiallerOptions): RelaySession {
  const certificate = makeLinkCertificate({
    name: options.me,
    seed: address.linkSecret,
    serial: options.random(16),
    notBefore: options.clock.seconds() - limits.secondsPerDay,
  })
  const socket = connect({
    host: url.hostname,
    port: Number(url.port === "" ? "443" : url.port),
    cert: certificate.certPem,
    key: certificate.keyPem,
    minVersion: "TLSv1.3",
    rejectUnauthorized: false,
  })
  let webSocket: WebSocket | undefined
  const wire: Wire = {
    get isOpen() {
      return webSocket?.readyState === WebSocket.OPEN
    },
    get bufferedBytes() {
      return webSocket?.bufferedAmount ?? 0
    },
    send: (frame) => {
      if (webSocket?.readyState === WebSocket.OPEN) webSocket.send(frame)
    },
    end: () => webSocket?.close(),
    cut: () => {
      webSocket?.terminate()
      socket.destroy()
    },
  }
  const session = new RelaySession(address.relay, wire, options)
  const over = (): void => session.close("link-down")
  socket.on("error", over)
  socket.on("close", over)
  socket.once("secureConnect", () => {
    if (!isPinned(socket, address)) return session.close("unknown-key")
    const exporter = new Uint8Array(socket.exportKeyingMaterial(32, exporterLabel, Buffer.alloc(0)))
    webSocket = new WebSocket(`ws://${url.host}/`, {
      createConnection: () => socket,
      perMessageDeflate: false,
      maxPayload: limits.frameBytesMax,
      maxFragments: 16,
      maxBufferedChunks: 1_024,
    })
    webSocket.on("error", over)
    webSocket.on("close", over)
    webSocket.on("message", (data, isBinary) =>
      session.received(isBinary && data instanceof Uint8Array ? new Uint8Array(data) : undefined),
    )
    webSocket.on("open", () => session.opened(exporter))
  })
  return session
}

function isPinned(socket: TLSSocket, { pinnedKeys }: RelayAddress): boolean {
  const raw = socket.getPeerX509Certificate()?.raw
  const key = raw === undefined ? undefined : spkiKeyOf(new Uint8Array(raw))
  return key !== undefined && pinnedKeys.some((pinned) => equalBytes(pinned, key))
}
