// Keeps a link to every relay that the roster names: TLS 1.3 with the relay's key pinned by the
// directory, then a WebSocket, then HELLOs signed over the TLS exporter. docs/PROTOCOL.md, "Links".

import { type TLSSocket, connect } from "node:tls"
import { WebSocket } from "ws"
import { makeLinkCertificate, spkiKeyOf } from "../../keys/link-certificate.ts"
import { equalBytes } from "../../protocol/bytes.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { limits } from "../../protocol/limits.ts"
import type { LinkMessage } from "../../protocol/link-messages.ts"
import { type LinkEvent, LinkSession } from "../../protocol/link-session.ts"
import { nodeLimits } from "../limits.ts"
import type { Clock, LinkRequest, Log, Random, RelayLink } from "../core/ports.ts"
import { RelayConversation } from "./relay-conversation.ts"

export type RelayAddress = {
  readonly relay: string
  /** `wss://host:port`, tried in turn. */
  readonly urls: readonly string[]
  readonly pinnedKeys: readonly Uint8Array[]
  /** Our link key's seed for this attempt. */
  readonly linkSecret: Uint8Array
}

export type DiallerOptions = {
  readonly me: string
  /** Where to connect on this attempt; undefined while the directory does not tell. */
  readonly address: (relay: string, attempt: number) => RelayAddress | undefined
  readonly hello: (relay: string, exporter: Uint8Array) => Promise<Uint8Array>
  /** Refused: `hello`, `clone`. */
  readonly confirm: (relay: string, hello: Uint8Array, exporter: Uint8Array) => Promise<void>
  readonly handle: (link: RelayLink, message: LinkMessage) => Promise<LinkRequest>
  readonly up: (link: RelayLink) => void
  readonly down: (link: RelayLink) => void
  /** The reason why a link could not be made, for who waits. */
  readonly failed: (relay: string, code: string) => void
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
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
    const connection = new Connection(address, url, this.#options)
    this.#end = () => connection.end("done")
    void this.#follow(connection)
  }

  async #follow(connection: Connection): Promise<void> {
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

type Closed = { readonly wasUp: boolean; readonly code: string }

class Connection {
  readonly closed: Promise<Closed>
  readonly #relay: string
  readonly #options: DiallerOptions
  readonly #session: LinkSession
  readonly #socket: TLSSocket
  #webSocket: WebSocket | undefined
  #link: RelayConversation | undefined
  #early: LinkEvent[] = []
  #exporter: Uint8Array = new Uint8Array(32)
  #code = "link-down"
  #wasUp = false
  #isClosed = false
  #resolve: (closed: Closed) => void = () => undefined
  #cancelTick: () => void = () => undefined

  constructor(address: RelayAddress, url: URL, options: DiallerOptions) {
    this.#relay = address.relay
    this.#options = options
    this.#session = new LinkSession(options.clock.monotonicMs())
    this.closed = new Promise((resolve) => (this.#resolve = resolve))
    const certificate = makeLinkCertificate({
      name: options.me,
      seed: address.linkSecret,
      serial: options.random(16),
      notBefore: options.clock.seconds() - limits.secondsPerDay,
    })
    this.#socket = connect({
      host: url.hostname,
      port: Number(url.port === "" ? "443" : url.port),
      cert: certificate.certPem,
      key: certificate.keyPem,
      minVersion: "TLSv1.3",
      rejectUnauthorized: false,
    })
    this.#socket.on("error", () => this.#close("link-down"))
    this.#socket.on("close", () => this.#close(this.#code))
    this.#socket.once("secureConnect", () => this.#secured(address, url))
    this.#tick()
  }

  end(code: string): void {
    this.#link?.end(code)
    this.#close(code)
  }

  /** Nothing is sent to whoever does not hold the relay's key. */
  #secured(address: RelayAddress, url: URL): void {
    const raw = this.#socket.getPeerX509Certificate()?.raw
    const key = raw === undefined ? undefined : spkiKeyOf(new Uint8Array(raw))
    if (key === undefined || !address.pinnedKeys.some((pinned) => equalBytes(pinned, key)))
      return this.#close("unknown-key")
    this.#exporter = new Uint8Array(
      this.#socket.exportKeyingMaterial(32, exporterLabel, Buffer.alloc(0)),
    )
    const webSocket = new WebSocket(`ws://${url.host}/`, {
      createConnection: () => this.#socket,
      perMessageDeflate: false,
      maxPayload: limits.frameBytesMax,
      maxFragments: 16,
      maxBufferedChunks: 1_024,
    })
    this.#webSocket = webSocket
    webSocket.on("error", () => this.#close("link-down"))
    webSocket.on("close", () => this.#close(this.#code))
    webSocket.on("message", (data, isBinary) => this.#frame(data, isBinary))
    webSocket.on("open", () => void this.#greet())
  }

  async #greet(): Promise<void> {
    try {
      this.#session.sendHello(await this.#options.hello(this.#relay, this.#exporter))
      this.#flush()
    } catch (cause) {
      this.#failed(cause)
    }
  }

  async #confirm(hello: Uint8Array): Promise<void> {
    try {
      await this.#options.confirm(this.#relay, hello, this.#exporter)
      this.#up()
    } catch (cause) {
      this.#failed(cause)
    }
  }

  #frame(data: unknown, isBinary: boolean): void {
    if (!isBinary || !(data instanceof Uint8Array)) return this.#close("frame")
    try {
      const frame = Uint8Array.from(data)
      for (const event of this.#session.receive(frame, this.#options.clock.monotonicMs()))
        this.#event(event)
      this.#flush()
    } catch (cause) {
      this.#failed(cause)
    }
  }

  #event(event: LinkEvent): void {
    switch (event.kind) {
      case "hello":
        void this.#confirm(event.hello)
        return
      case "message":
        if (this.#link === undefined) this.#early.push(event)
        else this.#link.received(event.lane, event.bytes, event.handle)
        return
      case "close":
        this.#close(event.code)
        return
      case "pong":
        return
    }
  }

  #up(): void {
    if (this.#isClosed) return
    const link = new RelayConversation({
      relay: this.#relay,
      session: this.#session,
      wire: {
        send: (frame) => this.#send(frame),
        end: () => this.#webSocket?.close(),
      },
      clock: this.#options.clock,
      handle: this.#options.handle,
    })
    this.#link = link
    this.#wasUp = true
    this.#options.up(link)
    for (const event of this.#early.splice(0)) this.#event(event)
    this.#flush()
  }

  #send(frame: Uint8Array): void {
    if (this.#webSocket?.readyState === WebSocket.OPEN) this.#webSocket.send(frame)
  }

  #flush(): void {
    if (this.#link !== undefined) return this.#link.flush()
    for (const frame of this.#session.takeFrames(this.#options.clock.monotonicMs()))
      this.#send(frame)
  }

  #tick(): void {
    this.#cancelTick = this.#options.clock.after(nodeLimits.tickMs, () => {
      if (this.#isClosed) return
      const now = this.#options.clock.monotonicMs()
      const isStuck = (this.#webSocket?.bufferedAmount ?? 0) > nodeLimits.socketBufferBytesMax
      if (this.#session.isDeadAt(now)) return this.#close("link-down")
      if (!isStuck) this.#flush()
      this.#tick()
    })
  }

  #failed(cause: unknown): void {
    if (!(cause instanceof ChappeError)) throw cause
    this.#options.log.warn("link-refused", { relay: this.#relay, code: cause.code })
    this.#session.close(cause.code)
    this.#flush()
    this.#close(cause.code)
  }

  #close(code: string): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#code = code
    this.#cancelTick()
    const link = this.#link
    if (link !== undefined) {
      link.down()
      this.#options.down(link)
    }
    this.#webSocket?.terminate()
    this.#socket.destroy()
    this.#resolve({ wasUp: this.#wasUp, code })
  }
}
