// One link to a relay: requests and answers over a link session.

import type { LinkLane } from "../../protocol/frames.ts"
import { linkLanes } from "../../protocol/frames.ts"
import { ChappeError } from "../../protocol/errors.ts"
import {
  type LinkMessage,
  encodeLinkMessage,
  isAnswer,
  readLinkMessage,
  type UnknownRequest,
  unknownRequestAnswer,
} from "../../protocol/link-messages.ts"
import type { LinkSession } from "../../protocol/link-session.ts"
import { nodeLimits } from "../limits.ts"
import type { Clock, LinkRequest, RelayLink } from "./ports.ts"

/** `dueMs`: when even a slow link would have brought the answer. */
type Waiting = {
  readonly dueMs: number
  readonly resolve: (answer: LinkMessage) => void
  readonly reject: (error: ChappeError) => void
}

/** Where a link's frames go. */
export interface Wire {
  readonly isOpen: boolean
  /** Bytes that were sent and have not left this process. */
  readonly bufferedBytes: number
  /** What is sent while it is not open is gone. */
  send(frame: Uint8Array): void
  /** Ends the connection after what was sent. */
  end(): void
  /** Ends it at once. */
  cut(): void
}

export class RelayConversation implements RelayLink {
  readonly relay: string
  readonly #session: LinkSession
  readonly #wire: Wire
  readonly #clock: Clock
  readonly #handle: (link: RelayLink, message: LinkMessage) => Promise<LinkRequest>
  readonly #waiting = new Map<number, Waiting>()
  /** What the session's lanes have no room for yet. */
  readonly #queued = new Map<LinkLane, Uint8Array[]>()
  #requests = 0
  #isDown = false

  constructor(options: {
    readonly relay: string
    readonly session: LinkSession
    readonly wire: Wire
    readonly clock: Clock
    readonly handle: (link: RelayLink, message: LinkMessage) => Promise<LinkRequest>
  }) {
    this.relay = options.relay
    this.#session = options.session
    this.#wire = options.wire
    this.#clock = options.clock
    this.#handle = options.handle
  }

  ask(lane: LinkLane, message: LinkRequest): Promise<LinkMessage> {
    if (this.#isDown) return Promise.reject(new ChappeError("link-down"))
    this.#requests = (this.#requests % 0xffff_ffff) + 1
    const request = this.#requests
    const encoded = encodeLinkMessage({ ...message, request })
    return new Promise((resolve, reject) => {
      this.#waiting.set(request, { dueMs: this.#dueMs(encoded.length), resolve, reject })
      this.#send(lane, encoded)
    })
  }

  /** A relay that is heard, and does not answer what it was asked, is of no use. */
  isOverdueAt(nowMs: number): boolean {
    return [...this.#waiting.values()].some(({ dueMs }) => dueMs <= nowMs)
  }

  #dueMs(length: number): number {
    const here = [...this.#queued.values()].flat().reduce((sum, one) => sum + one.length, 0)
    const { queuedBytes, unacknowledgedBytes } = this.#session
    const before = here + queuedBytes + unacknowledgedBytes
    const { answerMsMax, slowestLinkBytesPerMs } = nodeLimits
    return this.#clock.monotonicMs() + answerMsMax + (before + length) / slowestLinkBytesPerMs
  }

  end(code: string): void {
    if (this.#isDown) return
    this.#session.close(code)
    this.flush()
    this.down()
  }

  /** The connection is over: nothing asked has an answer. */
  down(): void {
    if (this.#isDown) return
    this.#isDown = true
    for (const { reject } of this.#waiting.values()) reject(new ChappeError("link-down"))
    this.#waiting.clear()
    this.#queued.clear()
    this.#wire.end()
  }

  /** A whole message has come. */
  received(lane: LinkLane, bytes: Uint8Array, handle: number): void {
    let message: LinkMessage | UnknownRequest
    try {
      message = readLinkMessage(bytes)
    } catch (cause) {
      if (!(cause instanceof ChappeError)) throw cause
      this.end("frame")
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
      waiting?.resolve(message)
      return
    }
    void this.#answer(message, handle, lane)
  }

  /** Sends what may go now. */
  flush(): void {
    for (;;) {
      this.#refill()
      const frames = this.#session.takeFrames(this.#clock.monotonicMs())
      if (frames.length === 0) return
      for (const frame of frames) this.#wire.send(frame)
    }
  }

  async #answer(message: LinkMessage, handle: number, lane: LinkLane): Promise<void> {
    const { request } = message
    let answer: LinkRequest
    try {
      answer = await this.#handle(this, message)
    } catch (cause) {
      if (!(cause instanceof ChappeError)) throw cause
      // The disk failed: the process is about to end, and nothing may be answered.
      this.end("storage")
      return
    }
    if (this.#isDown) return
    this.#session.handled(handle)
    this.#send(answerLane(lane), encodeLinkMessage({ ...answer, request }))
  }

  #send(lane: LinkLane, encoded: Uint8Array): void {
    const queue = this.#queued.get(lane) ?? []
    this.#queued.set(lane, queue)
    queue.push(encoded)
    this.flush()
  }

  #refill(): void {
    for (const [lane, queue] of this.#queued) {
      let sent = 0
      for (const encoded of queue) {
        if (this.#session.send(lane, encoded).kind !== "queued") break
        sent += 1
      }
      queue.splice(0, sent)
      if (queue.length === 0) this.#queued.delete(lane)
    }
  }
}

/** Answers overtake mail, but an answer to bulk waits with bulk. */
function answerLane(lane: LinkLane): LinkLane {
  return lane === linkLanes.bulk ? linkLanes.bulk : linkLanes.control
}
