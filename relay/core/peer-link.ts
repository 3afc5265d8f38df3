// One link's conversation: requests and answers over a link session. The socket is somebody else's; frames
// go through `Wire`. docs/PROTOCOL.md, "Link messages".

import { ChappeError, type ErrorCode, isErrorCode } from "../../protocol/errors.ts"
import { type LinkLane, linkLanes } from "../../protocol/frames.ts"
import { limits } from "../../protocol/limits.ts"
import {
  type LinkMessage,
  encodeLinkMessage,
  isAnswer,
  readLinkMessage,
  type UnknownRequest,
  unknownRequestAnswer,
} from "../../protocol/link-messages.ts"
import type { LinkEvent, LinkSession } from "../../protocol/link-session.ts"
import { relayLimits } from "../limits.ts"
import { isFinal } from "./admit-submit.ts"
import { AnswerRoom } from "./answer-room.ts"
import type { Peer, PeerRole, Request } from "./links.ts"
import type { Clock, Journal } from "./ports.ts"
import { Later } from "./turns.ts"

/** Where a link's frames go. */
export interface Wire {
  readonly isOpen: boolean
  /** What is sent while it is not open is gone. */
  send(frame: Uint8Array): void
  /** Bytes that were sent and have not left this process. */
  readonly bufferedBytes: number
  /** Ends the connection after what was sent. */
  end(): void
  /** Ends it at once. */
  cut(): void
}

/** What we answer to a peer's request; nothing for messages that need none. */
export type Handler = (peer: Peer, message: LinkMessage) => Promise<Request>

type Waiting = {
  readonly resolve: (answer: LinkMessage) => void
  readonly reject: (why: ChappeError) => void
}

/** Requests for what is read from the disk, long answers to short questions: one after another. */
const readLanes: Partial<Record<LinkMessage["name"], LinkLane>> = {
  bodyGet: linkLanes.bulk,
  consistencyGet: linkLanes.priority,
  directoryGet: linkLanes.priority,
  prekeysGet: linkLanes.priority,
  proofsGet: linkLanes.priority,
}

/** What waits for the link; `room` for an answer. */
type Outgoing = { readonly bytes: Uint8Array; readonly room: AnswerRoom | undefined }

/** How long a peer waits before it asks again, by code; for others 5 s. */
const retryAfter: Partial<Record<ErrorCode, number>> = {
  busy: 2,
  clock: 30,
  draining: 30,
  "attachments-missing": 1,
  "not-ready": 1,
  "sender-key": 2,
  "entry-key": 2,
}

export class PeerLink implements Peer {
  readonly name: string
  readonly role: PeerRole
  readonly linkKey: Uint8Array
  readonly #session: LinkSession
  readonly #wire: Wire
  readonly #clock: Clock
  readonly #journal: Journal
  readonly #handler: Handler
  readonly #ended: (link: PeerLink) => void
  readonly #waiting = new Map<number, Waiting>()
  readonly #outbox = new Map<LinkLane, Outgoing[]>()
  readonly #reads = new Map<LinkLane, AnswerRoom>()
  readonly #answers = new Map<LinkLane, AnswerRoom>()
  readonly #probes = new Set<(isAlive: boolean) => void>()
  #requests = 0
  #isDown = false

  constructor(parts: {
    readonly name: string
    readonly role: PeerRole
    readonly linkKey: Uint8Array
    readonly session: LinkSession
    readonly wire: Wire
    readonly clock: Clock
    readonly journal: Journal
    readonly handler: Handler
    /** Called once, when nothing goes over this link any more, whatever its socket still does. */
    readonly ended: (link: PeerLink) => void
  }) {
    this.name = parts.name
    this.role = parts.role
    this.linkKey = parts.linkKey
    this.#session = parts.session
    this.#wire = parts.wire
    this.#clock = parts.clock
    this.#journal = parts.journal
    this.#handler = parts.handler
    this.#ended = parts.ended
  }

  get unsentBytes(): number {
    let bytes = this.#session.queuedBytes
    for (const queue of this.#outbox.values()) for (const one of queue) bytes += one.bytes.length
    return bytes
  }

  /** Refused: `link-down`, `busy`, `size`, and what the peer refuses. */
  async request(lane: LinkLane, request: Request): Promise<LinkMessage> {
    if (this.#isDown) throw new ChappeError("link-down")
    if (this.#waiting.size >= relayLimits.requestsMax)
      throw new ChappeError("busy", `${this.name} has too many requests to answer`)
    this.#requests = (this.#requests % 0xffff_ffff) + 1
    const number = this.#requests
    const bytes = encodeLinkMessage({ ...request, request: number })
    if (bytes.length > limits.messageBytesMax)
      throw new ChappeError("size", `${request.name} of ${bytes.length} bytes`)
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject })
      this.#send(lane, bytes)
    })
  }

  /** Events of the session after the hello. */
  take(events: readonly LinkEvent[]): void {
    for (const event of events) {
      if (event.kind === "message") this.#message(event.bytes, event.handle, event.lane)
      else if (event.kind === "close") this.down()
      else if (event.kind === "pong") this.#probed(true)
    }
    this.flush()
  }

  /** Sends what may go now. To be called after every change and once a second. */
  flush(): void {
    if (this.#isDown) return
    for (;;) {
      this.#refill()
      const frames = this.#session.takeFrames(this.#clock.monotonicMs())
      if (frames.length === 0) return
      for (const frame of frames) this.#wire.send(frame)
    }
  }

  isAlive(patienceMs: number): Promise<boolean> {
    if (this.#isDown) return Promise.resolve(false)
    return new Promise((resolve) => {
      const stop = this.#clock.after(patienceMs, () => this.#probed(false))
      this.#probes.add((isAlive) => {
        stop()
        resolve(isAlive)
      })
      this.#session.ping()
      this.flush()
    })
  }

  #probed(isAlive: boolean): void {
    for (const tell of this.#probes) tell(isAlive)
    this.#probes.clear()
  }

  close(code: string): void {
    if (this.#isDown) return
    this.#session.close(code)
    for (const frame of this.#session.takeFrames(this.#clock.monotonicMs())) this.#wire.send(frame)
    this.down()
  }

  /** The connection has ended: whatever was asked has no answer. */
  down(): void {
    if (this.#isDown) return
    this.#isDown = true
    this.#ended(this)
    for (const { reject } of this.#waiting.values()) reject(new ChappeError("link-down"))
    this.#waiting.clear()
    this.#outbox.clear()
    this.#probed(false)
    this.#wire.end()
  }

  #send(lane: LinkLane, bytes: Uint8Array, room?: AnswerRoom): void {
    const queue = this.#outbox.get(lane) ?? []
    queue.push({ bytes, room })
    this.#outbox.set(lane, queue)
    this.flush()
  }

  #refill(): void {
    for (const [lane, queue] of this.#outbox) {
      let sent = 0
      for (const { bytes } of queue) {
        if (this.#session.send(lane, bytes).kind !== "queued") break
        sent += 1
      }
      const gone = queue.splice(0, sent)
      if (queue.length === 0) this.#outbox.delete(lane)
      for (const { bytes, room } of gone) room?.taken(bytes.length)
    }
  }

  #message(bytes: Uint8Array, handle: number, lane: LinkLane): void {
    let message: LinkMessage | UnknownRequest
    try {
      message = readLinkMessage(bytes)
    } catch (cause) {
      if (!(cause instanceof ChappeError)) throw cause
      this.#journal.warn("frame", { peer: this.name, code: cause.code })
      this.close("frame")
      return
    }
    if (message.name === "unknown") {
      this.#session.handled(handle)
      const { request } = message
      this.#send(answerLane(lane), encodeLinkMessage({ ...unknownRequestAnswer, request }))
      return
    }
    if (isAnswer(message)) {
      this.#session.handled(handle)
      const waiting = this.#waiting.get(message.request)
      this.#waiting.delete(message.request)
      if (message.name === "refused") waiting?.reject(refusal(message))
      else waiting?.resolve(message)
      return
    }
    void this.#answer(message, handle, lane)
  }

  async #answer(message: LinkMessage, handle: number, lane: LinkLane): Promise<void> {
    const { request } = message
    const read = readLanes[message.name]
    const answersIn = read ?? answerLane(lane)
    const room =
      read === undefined ? roomOf(this.#answers, answersIn, Infinity) : roomOf(this.#reads, read, 1)
    await room.enter()
    if (this.#isDown) return
    let answer: Request
    try {
      answer = await this.#handler(this, message)
    } catch (cause) {
      answer = this.#refused(message, cause)
    }
    if (this.#isDown) return
    this.#session.handled(handle)
    const bytes = encodeLinkMessage({ ...answer, request })
    room.answered(bytes.length)
    this.#send(answersIn, bytes, room)
  }

  #refused(message: LinkMessage, cause: unknown): Request {
    const code = cause instanceof ChappeError ? cause.code : "internal"
    // What comes by the thousand when it comes at all is counted, and not written down.
    if (!(cause instanceof Later))
      this.#journal.warn("refused", {
        peer: this.name,
        request: message.name,
        code,
        ...(cause instanceof Error && { why: cause.message }),
      })
    const final = isFinal(code)
    const later = cause instanceof Later ? cause.retrySeconds : (retryAfter[code] ?? 5)
    return { name: "refused", code, final, retrySeconds: final ? 0 : later }
  }
}

function roomOf(rooms: Map<LinkLane, AnswerRoom>, lane: LinkLane, atOnceMax: number): AnswerRoom {
  const room = rooms.get(lane) ?? new AnswerRoom(atOnceMax)
  rooms.set(lane, room)
  return room
}

/** Answers overtake mail, but an answer to bulk waits with bulk. */
function answerLane(lane: LinkLane): LinkLane {
  return lane === linkLanes.bulk ? linkLanes.bulk : linkLanes.control
}

/** A peer's refusal as an error of ours; `Refusal` keeps what it said about trying again. */
export class Refusal extends ChappeError {
  readonly isFinal: boolean
  readonly retrySeconds: number

  constructor(code: ErrorCode, advice: { readonly final: boolean; readonly retrySeconds: number }) {
    super(code)
    this.isFinal = advice.final
    this.retrySeconds = advice.retrySeconds
  }
}

function refusal(message: LinkMessage<"refused">): Refusal {
  const code = isErrorCode(message.code) ? message.code : "internal"
  return new Refusal(code, message)
}
