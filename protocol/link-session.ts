// One link between two stations, sans I/O: frames and the time come in, events and frames go out.
// docs/PROTOCOL.md, "Links".
//
// The adapter passes each WebSocket message to `receive`, acts on the events, and then sends what
// `takeFrames` gives. It also calls `takeFrames` after `send` and `handled`, and every second for pings,
// and ends the connection when `isDeadAt` says so.

import { ChappeError } from "./errors.ts"
import {
  type Frame,
  type LinkLane,
  type MoreFrame,
  type OpenFrame,
  decodeFrame,
  encodeFrame,
} from "./frames.ts"
import { LaneQueues, type NextChunk } from "./lane-queues.ts"
import { limits } from "./limits.ts"
import { Reassembly } from "./reassembly.ts"
import { ReceiveCredit } from "./receive-credit.ts"
import { SendWindow } from "./send-window.ts"

export type LinkEvent =
  /** Comes first and once. Nothing of ours but our own hello leaves before it. */
  | { readonly kind: "hello"; readonly hello: Uint8Array }
  /** To be answered with `handled(handle)` once the application is done with it. */
  | {
      readonly kind: "message"
      readonly lane: LinkLane
      readonly bytes: Uint8Array
      readonly handle: number
    }
  | { readonly kind: "pong"; readonly roundTripMs: number }
  /** The peer sends nothing more and takes nothing more. */
  | { readonly kind: "close"; readonly code: string }

export type SendResult =
  | { readonly kind: "queued" }
  /** The lane is full: offer the message again after the next `takeFrames` that gave frames. */
  | { readonly kind: "full" }
  /** One side has closed the session. */
  | { readonly kind: "closed" }

type Ping = { readonly number: number; readonly sentAtMs: number }

/** All times are of one monotonic clock, in milliseconds. */
export class LinkSession {
  readonly #queues = new LaneQueues()
  readonly #window = new SendWindow()
  readonly #reassembly = new Reassembly()
  readonly #credit = new ReceiveCredit()
  #ownHello = false
  #peerHello = false
  readonly #waiting: Frame[] = []
  #closed: "no" | "by-us" | "by-peer" = "no"
  #receivedAtMs: number
  #ping: Ping | undefined
  #pings = 0
  #isPingWanted = false
  #pongDue: number | undefined

  constructor(nowMs: number) {
    this.#receivedAtMs = nowMs
  }

  /** When the peer was last heard, or the session began. */
  get idleSince(): number {
    return this.#receivedAtMs
  }

  /** Messages not yet wholly taken; each counts 256 bytes at least. */
  get queuedBytes(): number {
    return this.#queues.queuedBytes
  }

  /** Taken and not yet acknowledged; each chunk counts 256 bytes at least. */
  get unacknowledgedBytes(): number {
    return this.#window.unacknowledgedBytes
  }

  /** How much of lanes below flash may be unacknowledged at the moment. */
  get windowBytes(): number {
    return this.#window.windowBytes
  }

  /** The signed HELLO, once. Whoever refuses the peer sends its own first, so that `close` can follow. */
  sendHello(hello: Uint8Array): void {
    if (this.#ownHello) throw new RangeError("the hello was sent before")
    this.#ownHello = true
    this.#waiting.push({ kind: 0, hello })
  }

  /**
   * Queues 1 … limits.messageBytesMax bytes, which must not be changed afterwards. Messages of a lane
   * arrive in this order. Each lane has its own bound, so bulk never keeps a flash out.
   */
  send(lane: LinkLane, message: Uint8Array): SendResult {
    if (message.length === 0 || message.length > limits.messageBytesMax)
      throw new RangeError(`message of ${message.length} bytes`)
    if (this.#closed !== "no") return { kind: "closed" }
    return { kind: this.#queues.add(lane, message) ? "queued" : "full" }
  }

  /** Asks for a pong at once; the one that is under way serves too. */
  ping(): void {
    this.#isPingWanted = true
  }

  /** The application has finished with a message; an unknown or repeated handle is a RangeError. */
  handled(handle: number): void {
    this.#credit.handled(handle)
  }

  /** Drops what is queued; the close frame is the last that `takeFrames` gives. Closing again changes nothing. */
  close(code: string): void {
    if (this.#closed !== "no") return
    this.#closed = "by-us"
    this.#queues.clear()
    if (this.#ownHello) this.#waiting.push({ kind: 6, code })
  }

  /** True when the hello is late, or nothing at all has come for too long: end the connection. */
  isDeadAt(nowMs: number): boolean {
    const quietMs = nowMs - this.#receivedAtMs
    return quietMs >= (this.#peerHello ? limits.deadAfterMs : limits.helloSeconds * 1_000)
  }

  /**
   * One WebSocket message. Refused with `frame`: everything that breaks layout, order or credit; the
   * session is then of no more use than to `close("frame")`. After our own close nothing is read.
   */
  receive(frame: Uint8Array, nowMs: number): readonly LinkEvent[] {
    if (this.#closed === "by-us") return []
    if (this.#closed === "by-peer") throw new ChappeError("frame", "a frame after the close")
    const decoded = decodeFrame(frame)
    if ((decoded.kind === 0) === this.#peerHello)
      throw new ChappeError(
        "frame",
        this.#peerHello ? "a second hello" : "a frame before the hello",
      )
    this.#receivedAtMs = nowMs
    const event = this.#act(decoded, nowMs)
    return event === undefined ? [] : [event]
  }

  /** What may go out now, in this order. Acknowledgements and pings are among it. */
  takeFrames(nowMs: number): readonly Uint8Array[] {
    if (this.#peerHello && this.#ownHello && this.#closed === "no") this.#fill(nowMs)
    return this.#waiting.splice(0).map(encodeFrame)
  }

  #act(frame: Frame, nowMs: number): LinkEvent | undefined {
    switch (frame.kind) {
      case 0:
        this.#peerHello = true
        return { kind: "hello", hello: frame.hello }
      case 1:
      case 2:
        return this.#chunk(frame)
      case 3:
        this.#window.acknowledged(frame.charge, nowMs)
        return undefined
      case 4:
        if (this.#pongDue !== undefined)
          throw new ChappeError("frame", "a ping before the pong of the last")
        this.#pongDue = frame.number
        return undefined
      case 5:
        return this.#pong(frame.number, nowMs)
      case 6:
        this.#closed = "by-peer"
        this.#queues.clear()
        this.#waiting.length = 0
        return { kind: "close", code: frame.code }
    }
  }

  #chunk(frame: OpenFrame | MoreFrame): LinkEvent | undefined {
    this.#credit.received(frame.chunk)
    const whole = this.#reassembly.add(frame)
    if (whole === undefined) return undefined
    return { kind: "message", ...whole, handle: this.#credit.deliver(whole.bytes) }
  }

  #pong(number: number, nowMs: number): LinkEvent {
    const ping = this.#ping
    if (ping?.number !== number) throw new ChappeError("frame", "a pong without its ping")
    this.#ping = undefined
    const roundTripMs = nowMs - ping.sentAtMs
    this.#window.roundTrip(roundTripMs)
    return { kind: "pong", roundTripMs }
  }

  #fill(nowMs: number): void {
    if (this.#pongDue !== undefined) this.#waiting.push({ kind: 5, number: this.#pongDue })
    this.#pongDue = undefined
    const charge = this.#credit.takeAcknowledgement()
    if (charge > 0) this.#waiting.push({ kind: 3, charge })
    if (this.#isPingDue(nowMs)) {
      this.#isPingWanted = false
      this.#ping = { number: this.#pings, sentAtMs: nowMs }
      this.#pings = (this.#pings + 1) >>> 0
      this.#waiting.push({ kind: 4, number: this.#ping.number })
    }
    this.#fillWindow(nowMs)
  }

  /** The first ping measures the round trip while nothing waits in the kernel. */
  #isPingDue(nowMs: number): boolean {
    if (this.#ping !== undefined) return false
    return (
      this.#pings === 0 || this.#isPingWanted || nowMs - this.#receivedAtMs >= limits.pingAfterMs
    )
  }

  #fillWindow(nowMs: number): void {
    const take = (): NextChunk | undefined => this.#queues.take(this.#window)
    for (let next = take(); next !== undefined; next = take()) {
      this.#window.sent(next.lane, next.charge, nowMs)
      this.#waiting.push(next.frame)
    }
  }
}
