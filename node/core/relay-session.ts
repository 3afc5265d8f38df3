// One connection to a relay, from the HELLOs to its end. The socket is somebody else's; frames go through `Wire`.
// docs/PROTOCOL.md, "Links".

import { ChappeError } from "../../protocol/errors.ts"
import type { LinkMessage } from "../../protocol/link-messages.ts"
import { type LinkEvent, LinkSession } from "../../protocol/link-session.ts"
import { nodeLimits } from "../limits.ts"
import type { Clock, LinkRequest, Log, RelayLink } from "./ports.ts"
import { RelayConversation, type Wire } from "./relay-conversation.ts"

export type SessionOptions = {
  readonly hello: (relay: string, exporter: Uint8Array) => Promise<Uint8Array>
  /** Refused: `hello`, `clone`. */
  readonly confirm: (relay: string, hello: Uint8Array, exporter: Uint8Array) => Promise<void>
  readonly handle: (link: RelayLink, message: LinkMessage) => Promise<LinkRequest>
  readonly up: (link: RelayLink) => void
  readonly down: (link: RelayLink) => void
  readonly clock: Clock
  readonly log: Log
}

export type Closed = { readonly wasUp: boolean; readonly code: string }

export class RelaySession {
  readonly closed: Promise<Closed>
  readonly #relay: string
  readonly #options: SessionOptions
  readonly #wire: Wire
  readonly #startedMs: number
  #session: LinkSession
  #isOpen = false
  #link: RelayConversation | undefined
  #early: LinkEvent[] = []
  #exporter: Uint8Array = new Uint8Array(32)
  #wasUp = false
  #isClosed = false
  #resolve: (closed: Closed) => void = () => undefined
  #cancelTick: () => void = () => undefined

  constructor(relay: string, wire: Wire, options: SessionOptions) {
    this.#relay = relay
    this.#wire = wire
    this.#options = options
    this.#startedMs = options.clock.monotonicMs()
    this.#session = new LinkSession(this.#startedMs)
    this.closed = new Promise((resolve) => (this.#resolve = resolve))
    this.#tick()
  }

  /** The wire is open, to whoever holds the relay's key. */
  opened(exporter: Uint8Array): void {
    this.#exporter = exporter
    // The relay's HELLO has its time from here on: on a long path connecting takes most of it.
    this.#isOpen = true
    this.#session = new LinkSession(this.#options.clock.monotonicMs())
    void this.#greet()
  }

  /** Undefined for what is no frame. */
  received(frame: Uint8Array | undefined): void {
    if (frame === undefined) return this.close("frame")
    try {
      for (const event of this.#session.receive(frame, this.#options.clock.monotonicMs()))
        this.#event(event)
      this.#flush()
    } catch (cause) {
      this.#failed(cause)
    }
  }

  /** Takes leave and ends; the relay is told `code`. */
  end(code: string): void {
    this.#link?.end(code)
    this.close(code)
  }

  /** The connection is over. */
  close(code: string): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#cancelTick()
    const link = this.#link
    if (link !== undefined) {
      link.down()
      this.#options.down(link)
    }
    this.#wire.cut()
    this.#resolve({ wasUp: this.#wasUp, code })
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
        this.close(event.code)
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
      wire: this.#wire,
      clock: this.#options.clock,
      handle: this.#options.handle,
    })
    this.#link = link
    this.#wasUp = true
    this.#options.up(link)
    for (const event of this.#early.splice(0)) this.#event(event)
    this.#flush()
  }

  #flush(): void {
    if (this.#link !== undefined) return this.#link.flush()
    for (const frame of this.#session.takeFrames(this.#options.clock.monotonicMs()))
      this.#wire.send(frame)
  }

  #tick(): void {
    this.#cancelTick = this.#options.clock.after(nodeLimits.tickMs, () => {
      if (this.#isClosed) return
      const now = this.#options.clock.monotonicMs()
      const isStuck = this.#wire.bufferedBytes > nodeLimits.socketBufferBytesMax
      if (this.#isDeadAt(now)) return this.close("link-down")
      if (this.#link?.isOverdueAt(now) === true) {
        this.#options.log.warn("answer-overdue", { relay: this.#relay })
        return this.end("link-down")
      }
      if (!isStuck) this.#flush()
      this.#tick()
    })
  }

  #isDeadAt(nowMs: number): boolean {
    return this.#isOpen
      ? this.#session.isDeadAt(nowMs)
      : nowMs - this.#startedMs >= nodeLimits.connectMs
  }

  #failed(cause: unknown): void {
    if (!(cause instanceof ChappeError)) throw cause
    this.#options.log.warn("link-refused", { relay: this.#relay, code: cause.code })
    this.#session.close(cause.code)
    this.#flush()
    this.close(cause.code)
  }
}
