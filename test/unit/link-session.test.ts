import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { toHex } from "../../protocol/bytes.ts"
import { ChappeError } from "../../protocol/errors.ts"
import {
  type Frame,
  type LinkLane,
  chargeOf,
  decodeFrame,
  encodeFrame,
  linkLaneOf,
  linkLanes,
} from "../../protocol/frames.ts"
import { limits } from "../../protocol/limits.ts"
import { LinkSession } from "../../protocol/link-session.ts"
import { LinkPipe } from "../kit/link-pipe.ts"

const { bulk, routine, priority, immediate, flash, control } = linkLanes
const quick = { bytesPerSecond: 12_500_000, delayMs: 5 }
const narrow = { bytesPerSecond: 32_000, delayMs: 20 } // 256 kbit/s
const mebibyte = 1_048_576

const filled = (length: number, byte: number): Uint8Array => new Uint8Array(length).fill(byte)

/** A session that has exchanged hellos; what it had to say so far is thrown away. */
function established(nowMs = 0): LinkSession {
  const session = new LinkSession(nowMs)
  session.sendHello(Uint8Array.of(1))
  session.receive(encodeFrame({ kind: 0, hello: Uint8Array.of(2) }), nowMs)
  session.takeFrames(nowMs)
  return session
}

function framesOf(session: LinkSession, nowMs = 0): readonly Frame[] {
  return session.takeFrames(nowMs).map(decodeFrame)
}

function chunksOf(session: LinkSession, nowMs = 0): readonly Frame[] {
  return framesOf(session, nowMs).filter(({ kind }) => kind === 1 || kind === 2)
}

function receive(session: LinkSession, ...frames: readonly Frame[]): void {
  for (const frame of frames) session.receive(encodeFrame(frame), 0)
}

function codeOf(action: () => unknown): string {
  try {
    action()
  } catch (error) {
    if (error instanceof ChappeError) return error.code
    throw error
  }
  return "no error"
}

/** Messages of one lane in hex: quicker to compare than arrays. */
function textOf(
  messages: readonly { readonly lane: LinkLane; readonly bytes: Uint8Array }[],
  lane: LinkLane,
): readonly string[] {
  return messages.filter((one) => one.lane === lane).map(({ bytes }) => toHex(bytes))
}

/** Layouts that our own encoder will not make. */
const raw = (...bytes: readonly number[]): Uint8Array => Uint8Array.from(bytes)
const bin16 = (length: number): readonly number[] => [0xc5, length >> 8, length & 0xff]

describe("messages", () => {
  it("arrive whole, and in order within their lane, whatever their sizes and lanes", () => {
    const size = fc.oneof(
      fc.integer({ min: 1, max: 300 }),
      fc.integer({ min: 1, max: 4 }).map((chunks) => chunks * limits.chunkBytes),
      fc.integer({ min: 1, max: 200_000 }),
    )
    const lane = fc.constantFrom<LinkLane>(...Object.values(linkLanes))
    fc.assert(
      fc.property(fc.array(fc.tuple(lane, size), { maxLength: 40 }), (messages) => {
        const pipe = new LinkPipe(quick)
        const toSend = messages.map(([lane, length], i) => ({ lane, bytes: filled(length, i) }))
        const waiting = [...toSend]
        pipe.onStep = () => {
          for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
            if (pipe.left.session.send(next.lane, next.bytes).kind === "full") return
            waiting.shift()
          }
        }
        pipe.run()
        const arrived = pipe.right.messages()
        for (const one of Object.values(linkLanes))
          expect(textOf(arrived, one)).toEqual(textOf(toSend, one))
        expect(pipe.left.session.unacknowledgedBytes).toBe(0)
        expect(pipe.left.session.queuedBytes).toBe(0)
      }),
      { numRuns: 60 },
    )
  })

  it("pass in both directions at once", () => {
    const pipe = new LinkPipe(quick)
    pipe.left.session.send(routine, filled(300_000, 1))
    pipe.right.session.send(bulk, filled(limits.messageBytesMax, 2))
    pipe.run()
    expect(pipe.right.messages().map(({ bytes }) => bytes.length)).toEqual([300_000])
    expect(pipe.left.messages().map(({ bytes }) => bytes.length)).toEqual([limits.messageBytesMax])
  })

  it("of each precedence travel in the lane above bulk that is theirs", () => {
    expect(Object.values(linkLanes)).toHaveLength(limits.streamsMax)
    expect(([0, 1, 2, 3] as const).map(linkLaneOf)).toEqual([routine, priority, immediate, flash])
  })

  it("of no bytes or too many are the caller's mistake", () => {
    const session = established()
    expect(() => session.send(flash, new Uint8Array(0))).toThrow(RangeError)
    expect(() => session.send(flash, new Uint8Array(limits.messageBytesMax + 1))).toThrow(
      RangeError,
    )
  })
})

describe("turns", () => {
  it("a flash sent behind 50 MiB of bulk at 256 kbit/s waits for a window and a chunk at most", () => {
    const pipe = new LinkPipe(narrow)
    const part = filled(limits.bodyPartBytesMax, 1)
    let bulkLeft = 50 * mebibyte
    let flashes: number[] = []
    let flashAtMs = 0
    pipe.onStep = (nowMs) => {
      while (bulkLeft > 0 && pipe.left.session.send(bulk, part).kind === "queued")
        bulkLeft -= part.length
      if (nowMs < flashAtMs) return
      pipe.left.session.send(flash, filled(2_000, 2))
      flashes = [...flashes, nowMs]
      flashAtMs = nowMs + 20_011
    }
    pipe.run(() => bulkLeft <= 0 && pipe.left.session.queuedBytes === 0)
    const arrived = pipe.right.messages().filter(({ lane }) => lane === flash)
    const boundMs =
      ((limits.windowBytesMin + limits.chunkBytes + 2_100) / narrow.bytesPerSecond) * 1_000 + 20
    const waits = arrived.map(({ atMs }, i) => atMs - (flashes[i] ?? 0))
    expect(waits.length).toBeGreaterThan(70)
    expect(Math.max(...waits)).toBeLessThanOrEqual(boundMs)
  })

  it("an endless flash lets routine and bulk have a seventeenth each", () => {
    const pipe = new LinkPipe(quick)
    pipe.onStep = () => {
      for (const lane of [bulk, routine, flash])
        while (pipe.left.session.send(lane, filled(limits.chunkBytes, lane)).kind === "queued");
    }
    pipe.run(() => pipe.right.messages().length >= 1_000)
    const lanes = pipe.right.messages().map(({ lane }) => lane)
    const share = (one: LinkLane): number => lanes.filter((lane) => lane === one).length
    expect(share(routine)).toBeGreaterThan(45)
    expect(share(bulk)).toBeGreaterThan(45)
    expect(share(flash)).toBeGreaterThan(850)
  })

  it("a big chunk of a starved lane is not kept out for ever by small messages above it", () => {
    const pipe = new LinkPipe({ bytesPerSecond: 32_000, delayMs: 300 })
    pipe.onStep = () => {
      while (pipe.left.session.send(routine, filled(700, 1)).kind === "queued");
    }
    pipe.left.session.send(bulk, filled(limits.chunkBytes, 2))
    expect(
      pipe.run(
        () =>
          pipe.right.messages().some(({ lane }) => lane === bulk) ||
          pipe.right.arrivals.length > 500,
      ),
    ).toBe(true)
    expect(pipe.right.messages().some(({ lane }) => lane === bulk)).toBe(true)
  })

  it("the highest lane goes first, a control message before a flash", () => {
    const session = established()
    for (const lane of [bulk, priority, control, flash, immediate, routine])
      session.send(lane, filled(10, lane))
    const lanes = chunksOf(session).map((frame) => (frame.kind === 1 ? frame.lane : -1))
    expect(lanes).toEqual([control, flash, immediate, priority, routine, bulk])
  })
})

describe("the window", () => {
  it("is 16 KiB in four chunks before anything is measured", () => {
    const session = established()
    session.send(bulk, filled(limits.messageBytesMax, 1))
    expect(chunksOf(session)).toHaveLength(limits.chunksPerWindow)
    expect(session.unacknowledgedBytes).toBe(limits.windowBytesMin)
  })

  it("grows to a quarter of a second's bytes and not beyond", () => {
    const pipe = new LinkPipe({ bytesPerSecond: 400_000, delayMs: 5 })
    const most: number[] = []
    pipe.onStep = () => {
      while (pipe.left.session.send(bulk, filled(100_000, 1)).kind === "queued");
      most.push(pipe.left.session.unacknowledgedBytes)
    }
    pipe.run(() => pipe.nowMs > 20_000)
    expect(Math.max(...most)).toBeLessThanOrEqual(100_000)
    expect(most.at(-1)).toBeGreaterThan(80_000)
  })

  it("falls when the wire slows down, but not because of pauses", () => {
    const session = established()
    let nowMs = 0
    const exchange = (times: number, roundTripMs: number, pauseMs: number): void => {
      for (let i = 0; i < times; i++) {
        nowMs += pauseMs
        while (session.send(bulk, filled(100_000, 1)).kind === "queued");
        const charges = chunksOf(session, nowMs).map((frame) =>
          "chunk" in frame ? chargeOf(frame.chunk.length) : 0,
        )
        nowMs += roundTripMs
        const charge = charges.reduce((sum, one) => sum + one, 0)
        session.receive(encodeFrame({ kind: 3, charge }), nowMs)
      }
    }
    exchange(10, 10, 0)
    expect(session.windowBytes).toBe(limits.windowBytesMax)
    exchange(20, 10, 60_000)
    expect(session.windowBytes).toBe(limits.windowBytesMax)
    exchange(40, 5_000, 0)
    expect(session.windowBytes).toBe(limits.windowBytesMin)
  })

  it.each([
    ["near", { bytesPerSecond: 12_500_000, delayMs: 10 }],
    ["across an ocean", { bytesPerSecond: 3_000_000, delayMs: 140 }],
    ["by satellite", { bytesPerSecond: 1_000_000, delayMs: 300 }],
  ])("fills a wire that is %s", (_, wire) => {
    const pipe = new LinkPipe(wire)
    pipe.onStep = () => {
      while (pipe.left.session.send(bulk, filled(100_000, 1)).kind === "queued");
    }
    const bytes = 30 * mebibyte
    pipe.run(() => pipe.right.messages().length * 100_000 >= bytes)
    expect(bytes / (pipe.nowMs / 1_000)).toBeGreaterThan(0.7 * wire.bytesPerSecond)
  })

  it("does not hold a flash, which is held by the credit", () => {
    const session = established()
    session.send(bulk, filled(limits.messageBytesMax, 1))
    for (let i = 0; i < 2; i++) session.send(flash, filled(mebibyte, 2))
    chunksOf(session)
    expect(session.unacknowledgedBytes).toBe(limits.creditBytes)
    expect(session.queuedBytes).toBeGreaterThan(0)
  })
})

describe("back-pressure", () => {
  it("refuses what a lane cannot hold, and leaves the other lanes free", () => {
    const session = established()
    expect(session.send(bulk, filled(limits.messageBytesMax, 1))).toEqual({ kind: "queued" })
    expect(session.send(bulk, filled(limits.messageBytesMax, 1))).toEqual({ kind: "full" })
    for (const lane of [routine, priority, immediate, flash, control])
      expect(session.send(lane, filled(limits.messageBytesMax, 1))).toEqual({ kind: "queued" })
  })

  it("counts tiny messages for more than their bytes", () => {
    const session = established()
    let queued = 0
    while (session.send(routine, Uint8Array.of(1)).kind === "queued") queued += 1
    expect(queued).toBe(limits.laneQueueBytesMax / limits.chunkChargeMin)
  })

  it("comes from an application that does not handle: the rest stays with the sender", () => {
    const pipe = new LinkPipe(quick)
    const handles: number[] = []
    pipe.right.onMessage = ({ handle }) => handles.push(handle)
    pipe.onStep = () => {
      while (pipe.left.session.send(bulk, filled(50_000, 1)).kind === "queued");
    }
    expect(pipe.run(() => pipe.nowMs > 60_000)).toBe(false)
    const received = pipe.right.messages().length * 50_000
    expect(received).toBeGreaterThan(limits.unhandledBytesMax)
    expect(received).toBeLessThanOrEqual(limits.unhandledBytesMax + limits.creditBytes)

    // Handled, they flow again.
    for (const handle of handles.splice(0)) pipe.right.session.handled(handle)
    pipe.right.onMessage = ({ handle }) => pipe.right.session.handled(handle)
    expect(pipe.run(() => pipe.right.messages().length > 500)).toBe(true)
  })

  it("does not take a handle twice", () => {
    const session = established()
    receive(session, { kind: 1, stream: 0, lane: 1, total: 1, chunk: Uint8Array.of(7) })
    session.handled(0)
    expect(() => session.handled(0)).toThrow(RangeError)
  })
})

describe("hello, pings and the end", () => {
  it("nothing but the own hello leaves before the peer's has come", () => {
    const session = new LinkSession(0)
    session.send(flash, Uint8Array.of(1))
    expect(framesOf(session)).toEqual([])
    session.sendHello(Uint8Array.of(5))
    expect(framesOf(session)).toEqual([{ kind: 0, hello: Uint8Array.of(5) }])
    expect(session.receive(encodeFrame({ kind: 0, hello: Uint8Array.of(6) }), 3)).toEqual([
      { kind: "hello", hello: Uint8Array.of(6) },
    ])
    expect(framesOf(session).map(({ kind }) => kind)).toEqual([4, 1])
    expect(() => session.sendHello(Uint8Array.of(5))).toThrow(RangeError)
  })

  it("an answerer says nothing before its own hello", () => {
    const session = new LinkSession(0)
    receive(session, { kind: 0, hello: Uint8Array.of(6) }, { kind: 4, number: 0 })
    session.send(flash, Uint8Array.of(1))
    expect(framesOf(session)).toEqual([])
  })

  it("a ping is answered, and its pong tells the round trip", () => {
    const pipe = new LinkPipe({ bytesPerSecond: 1e9, delayMs: 40 })
    pipe.run()
    for (const end of [pipe.left, pipe.right])
      expect(end.arrivals.map(({ event }) => event)).toEqual([
        { kind: "hello", hello: Uint8Array.of(1) },
        { kind: "pong", roundTripMs: expect.closeTo(80, 1) as number },
      ])
  })

  it("a quiet link is pinged after 10 s, once, and dead after 30 s", () => {
    const session = established()
    receive(session, { kind: 5, number: 0 })
    expect(session.idleSince).toBe(0)
    expect(framesOf(session, limits.pingAfterMs - 1)).toEqual([])
    expect(framesOf(session, limits.pingAfterMs)).toEqual([{ kind: 4, number: 1 }])
    expect(framesOf(session, limits.pingAfterMs + 1)).toEqual([])
    expect(session.isDeadAt(limits.deadAfterMs - 1)).toBe(false)
    expect(session.isDeadAt(limits.deadAfterMs)).toBe(true)
    session.receive(encodeFrame({ kind: 5, number: 1 }), limits.deadAfterMs)
    expect(session.idleSince).toBe(limits.deadAfterMs)
    expect(session.isDeadAt(limits.deadAfterMs)).toBe(false)
  })

  it("a link without a hello is dead after 3 s", () => {
    const session = new LinkSession(500)
    expect(session.isDeadAt(3_499)).toBe(false)
    expect(session.isDeadAt(3_500)).toBe(true)
  })

  it("closing drops what waits, says why, and ends both sides", () => {
    const ours = established()
    const theirs = established()
    ours.send(bulk, filled(mebibyte, 1))
    ours.close("clock")
    ours.close("done")
    expect(ours.queuedBytes).toBe(0)
    const frames = ours.takeFrames(0)
    expect(frames.map(decodeFrame)).toEqual([{ kind: 6, code: "clock" }])
    expect(ours.takeFrames(0)).toEqual([])
    expect(ours.send(flash, Uint8Array.of(1))).toEqual({ kind: "closed" })
    expect(ours.receive(filled(9, 9), 0)).toEqual([])
    theirs.send(bulk, filled(mebibyte, 1))
    expect(frames.flatMap((frame) => theirs.receive(frame, 0))).toEqual([
      { kind: "close", code: "clock" },
    ])
    expect(theirs.takeFrames(0)).toEqual([])
    expect(theirs.send(flash, Uint8Array.of(1))).toEqual({ kind: "closed" })
    expect(theirs.queuedBytes).toBe(0)
  })

  it("whoever refuses a hello says its own and then why", () => {
    const session = new LinkSession(0)
    receive(session, { kind: 0, hello: Uint8Array.of(6) })
    session.sendHello(Uint8Array.of(1))
    session.close("hello")
    expect(framesOf(session).map(({ kind }) => kind)).toEqual([0, 6])
  })
})

describe("a peer that breaks the rules is refused with `frame`:", () => {
  const one = Uint8Array.of(1)
  const opened: Frame = { kind: 1, stream: 0, lane: 0, total: 10, chunk: one }
  const violations: readonly (readonly [string, readonly Frame[]])[] = [
    ["a second hello", [{ kind: 0, hello: one }]],
    ["an unknown stream", [{ kind: 2, stream: 0, chunk: one }]],
    ["a stream out of turn", [{ ...opened, stream: 1 }]],
    ["a stream opened twice", [opened, { ...opened, lane: 1 }]],
    ["a second stream in a lane", [opened, { ...opened, stream: 1 }]],
    ["more bytes than announced at once", [{ ...opened, chunk: filled(11, 1) }]],
    ["more bytes than announced", [opened, { kind: 2, stream: 0, chunk: filled(10, 1) }]],
    [
      "a chunk for a finished stream",
      [
        { ...opened, total: 1 },
        { kind: 2, stream: 0, chunk: one },
      ],
    ],
    ["a total of nothing", [{ ...opened, total: 0 }]],
    ["an acknowledgement of nothing sent", [{ kind: 3, charge: 256 }]],
    ["an acknowledgement of no bytes", [{ kind: 3, charge: 0 }]],
    ["a pong without a ping", [{ kind: 5, number: 1 }]],
    [
      "a ping before the pong of the last",
      [
        { kind: 4, number: 0 },
        { kind: 4, number: 1 },
      ],
    ],
    [
      "a frame after the close",
      [
        { kind: 6, code: "done" },
        { kind: 4, number: 0 },
      ],
    ],
  ]
  it.each(violations)("%s", (_, frames) => {
    const session = established()
    receive(session, ...frames.slice(0, -1))
    expect(codeOf(() => receive(session, ...frames.slice(-1)))).toBe("frame")
  })

  it.each<Frame>([
    opened,
    { kind: 2, stream: 0, chunk: one },
    { kind: 3, charge: 1 },
    { kind: 4, number: 0 },
    { kind: 5, number: 0 },
    { kind: 6, code: "done" },
  ])("frame of kind $kind before the hello", (frame) => {
    expect(codeOf(() => receive(new LinkSession(0), frame))).toBe("frame")
  })

  it.each([
    ["no bytes", raw()],
    ["no array", raw(0xc0)],
    ["no kind", raw(0x90)],
    ["an unknown kind", raw(0x92, 7, 0)],
    ["an empty chunk", raw(0x93, 2, 0, 0xc4, 0)],
    ["an empty first chunk", raw(0x95, 1, 0, 0, 1, 0xc4, 0)],
    [
      "a chunk that is too long",
      raw(0x93, 2, 0, ...bin16(limits.chunkBytes + 1), ...filled(limits.chunkBytes + 1, 0)),
    ],
    ["a lane that does not exist", raw(0x95, 1, 0, 6, 1, 0xc4, 1, 0)],
    ["a total that is too long", raw(0x95, 1, 0, 0, 0xce, 0, 0x18, 0, 1, 0xc4, 1, 0)],
    ["a field too many", raw(0x93, 4, 0, 0)],
    ["a field too few", raw(0x91, 4)],
    ["a byte left over", raw(0x92, 4, 0, 0)],
    ["a longer form of a number", raw(0x92, 4, 0xcc, 1)],
    ["a close code that is none", raw(0x92, 6, 0xa1, 0x20)],
    ["a frame beyond all bounds", new Uint8Array(limits.frameBytesMax + 1)],
  ])("%s", (_, frame) => {
    expect(codeOf(() => established().receive(frame, 0))).toBe("frame")
  })

  it("more acknowledged than is outstanding, or part of a chunk", () => {
    for (const charge of [limits.chunkBytes + 1, limits.chunkBytes - 1, 2 * limits.chunkBytes]) {
      const session = established()
      session.send(bulk, filled(3 * limits.chunkBytes, 1))
      session.takeFrames(0)
      expect(codeOf(() => receive(session, { kind: 3, charge }))).toBe("frame")
    }
  })

  it("bytes beyond the credit, tiny chunks counting 256", () => {
    for (const length of [limits.chunkBytes, 1]) {
      const session = established()
      const chunk = filled(length, 1)
      const chunks = limits.creditBytes / chargeOf(length)
      for (let stream = 0; stream < chunks; stream++)
        receive(session, { kind: 1, stream, lane: 0, total: length, chunk })
      const next: Frame = { kind: 1, stream: chunks, lane: 0, total: length, chunk }
      expect(codeOf(() => receive(session, next))).toBe("frame")
    }
  })
})
