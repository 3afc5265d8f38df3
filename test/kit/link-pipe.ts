// Two link sessions and a wire between them with a rate and a delay, in simulated milliseconds.

import { type LinkEvent, LinkSession } from "../../protocol/link-session.ts"

export type Arrival = { readonly atMs: number; readonly event: LinkEvent }

export type Wire = { readonly bytesPerSecond: number; readonly delayMs: number }

type Flight = { readonly atMs: number; readonly to: LinkEnd; readonly frame: Uint8Array }

/** One end: its session, what arrived, and what it does with arrivals. */
export class LinkEnd {
  readonly session = new LinkSession(0)
  readonly arrivals: Arrival[] = []
  /** By default every message is handled at once. */
  onMessage: (message: Extract<LinkEvent, { kind: "message" }>) => void = (message) =>
    this.session.handled(message.handle)
  wireFreeAtMs = 0

  messages(): readonly (Extract<LinkEvent, { kind: "message" }> & { readonly atMs: number })[] {
    return this.arrivals.flatMap(({ atMs, event }) =>
      event.kind === "message" ? [{ ...event, atMs }] : [],
    )
  }
}

export class LinkPipe {
  readonly left = new LinkEnd()
  readonly right = new LinkEnd()
  /** Called before each step: the place to send more. */
  onStep: (nowMs: number) => void = () => undefined
  nowMs = 0
  readonly #wire: Wire
  #flights: Flight[] = []

  constructor(wire: Wire) {
    this.#wire = wire
    for (const end of [this.left, this.right]) end.session.sendHello(Uint8Array.of(1))
  }

  /** Runs until `done` holds, or until nothing is under way. Says whether `done` holds. */
  run(done: () => boolean = () => false): boolean {
    for (;;) {
      this.onStep(this.nowMs)
      this.#send(this.left, this.right)
      this.#send(this.right, this.left)
      if (done()) return true
      const flight = this.#earliest()
      if (flight === undefined) return false
      this.nowMs = flight.atMs
      this.#deliver(flight)
    }
  }

  #earliest(): Flight | undefined {
    let first: Flight | undefined
    for (const flight of this.#flights)
      if (first === undefined || flight.atMs < first.atMs) first = flight
    this.#flights = this.#flights.filter((flight) => flight !== first)
    return first
  }

  #send(from: LinkEnd, to: LinkEnd): void {
    for (const frame of from.session.takeFrames(this.nowMs)) {
      const begin = Math.max(this.nowMs, from.wireFreeAtMs)
      from.wireFreeAtMs = begin + (frame.length / this.#wire.bytesPerSecond) * 1_000
      this.#flights.push({ atMs: from.wireFreeAtMs + this.#wire.delayMs, to, frame })
    }
  }

  #deliver(flight: Flight): void {
    for (const event of flight.to.session.receive(flight.frame, this.nowMs)) {
      flight.to.arrivals.push({ atMs: this.nowMs, event })
      if (event.kind === "message") flight.to.onMessage(event)
    }
  }
}
