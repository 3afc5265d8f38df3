// Hostile frames in every state of a link session: only `frame` comes out, and memory stays bounded.
// FUZZ_INPUTS sets how many frames; 50,000 by default.

import { expect, it } from "vitest"
import { ChappeError } from "../../protocol/errors.ts"
import { type Frame, type LinkLane, encodeFrame, linkLanes } from "../../protocol/frames.ts"
import { limits } from "../../protocol/limits.ts"
import { LinkSession } from "../../protocol/link-session.ts"
import { type Prng, mutate, prng } from "../kit/mutate.ts"

const inputs = Number(process.env["FUZZ_INPUTS"] ?? 50_000)
const lanes: readonly LinkLane[] = Object.values(linkLanes)

/** A session and an honest peer of it, both in the middle of their work. */
function pair(random: Prng): { readonly ours: LinkSession; readonly peer: LinkSession } {
  const [ours, peer] = [new LinkSession(0), new LinkSession(0)]
  for (const session of [ours, peer]) {
    session.sendHello(random.bytes(20))
    for (let i = 0; i < 12; i++)
      session.send(random.pick(lanes), new Uint8Array(1 + random.below(random.pick([40, 9_000]))))
  }
  for (const frame of ours.takeFrames(0)) peer.receive(frame, 0)
  return { ours, peer }
}

/** Well-formed and mostly wrong. */
function wellFormed(random: Prng): Frame {
  const stream = random.below(8)
  const chunk = random.bytes(1 + random.below(30))
  const number = random.below(3)
  return random.pick<Frame>([
    { kind: 0, hello: chunk },
    { kind: 1, stream, lane: random.pick(lanes), total: random.below(60), chunk },
    { kind: 1, stream, lane: random.pick(lanes), total: limits.messageBytesMax, chunk },
    { kind: 2, stream, chunk },
    { kind: 3, charge: 256 * random.below(80) },
    { kind: 4, number },
    { kind: 5, number },
    { kind: 6, code: "done" },
  ])
}

function hostile(random: Prng, honest: Uint8Array): Uint8Array {
  return random.below(3) === 0 ? encodeFrame(wellFormed(random)) : mutate(random, honest)
}

/** Whether the session took the frame. */
function isTaken(session: LinkSession, frame: Uint8Array, nowMs: number): boolean {
  try {
    for (const event of session.receive(frame, nowMs))
      if (event.kind === "message") session.handled(event.handle)
    return true
  } catch (error) {
    if (error instanceof ChappeError && error.code === "frame") return false
    throw error
  }
}

it(`takes or refuses ${inputs} hostile frames`, { timeout: 20_000 + inputs }, () => {
  const random = prng(7)
  let given = 0
  let taken = 0
  let most = 0
  let least = 0
  while (given < inputs) {
    const { ours, peer } = pair(random)
    let open = true
    for (let nowMs = 0; open && given < inputs && nowMs < 60; nowMs++) {
      for (const frame of [...peer.takeFrames(nowMs), new Uint8Array(0)]) {
        const isHostile = frame.length === 0 || random.below(10) === 0
        if (isHostile) given += 1
        open &&= isTaken(ours, isHostile ? hostile(random, frame) : frame, nowMs)
        if (open && isHostile) taken += 1
        most = Math.max(most, ours.unacknowledgedBytes)
        least = Math.min(least, ours.unacknowledgedBytes)
      }
      for (const frame of ours.takeFrames(nowMs)) isTaken(peer, frame, nowMs)
    }
  }
  expect(least).toBe(0)
  expect(most).toBeLessThanOrEqual(limits.creditBytes)
  // Both outcomes are common, so the sessions are met in the middle of their work.
  expect(taken).toBeGreaterThan(inputs / 20)
  expect(taken).toBeLessThan((inputs * 19) / 20)
})

it("what is announced takes no memory before it comes", () => {
  const before = process.memoryUsage().arrayBuffers
  const sessions = Array.from({ length: 100 }, () => {
    const session = new LinkSession(0)
    session.receive(encodeFrame({ kind: 0, hello: Uint8Array.of(1) }), 0)
    for (const [stream, lane] of lanes.entries())
      session.receive(
        encodeFrame({
          kind: 1,
          stream,
          lane,
          total: limits.messageBytesMax,
          chunk: Uint8Array.of(1),
        }),
        0,
      )
    return session
  })
  const taken = process.memoryUsage().arrayBuffers - before
  expect(sessions).toHaveLength(100)
  expect(taken).toBeLessThan(64 * 1_048_576)
})
