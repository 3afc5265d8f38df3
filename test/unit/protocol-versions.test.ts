// Version N talks with N − 1: peers find their version out, and a newer one learns what the older does not know.

import { pack } from "msgpackr"
import { describe, expect, test } from "vitest"
import { openHello, signHello } from "../../keys/link-hello.ts"
import { RelayConversation } from "../../node/core/relay-conversation.ts"
import { linkLanes } from "../../protocol/frames.ts"
import {
  commonVersion,
  decodeHello,
  decodeSignedHello,
  encodeHello,
  encodeSignedHello,
  helloPae,
} from "../../protocol/hello.ts"
import {
  type LinkMessage,
  decodeLinkMessage,
  readLinkMessage,
} from "../../protocol/link-messages.ts"
import type { LinkSession } from "../../protocol/link-session.ts"
import { PeerLink } from "../../relay/core/peer-link.ts"
import { systemClock } from "../../relay/adapters/system-clock.ts"
import { codeOf } from "../kit/refusal.ts"
import { silentJournal } from "../kit/test-node.ts"
import { twoEnds } from "../kit/two-ends.ts"
import { World } from "../kit/world.ts"

describe("the version of a link", () => {
  test("is the highest that both list; N talks with N − 1 and not with N − 2", () => {
    expect(commonVersion([2, 3], [1, 2])).toBe(2)
    expect(commonVersion([2, 3], [2, 3])).toBe(3)
    expect(commonVersion([1], [2, 1])).toBe(1)
    expect(commonVersion([2, 3], [1])).toBeUndefined()
  })

  test("is found in the HELLO of a newer peer, and none with one that has left us behind", () => {
    const world = new World({ at: 1_800_000_000 })
    const fr = world.member("FR")
    const exporter = new Uint8Array(32)
    const signed = signHello(fr.node, {
      exporter,
      from: "FR",
      to: "hub1",
      role: 0,
      at: world.at,
      suites: [1],
      head: { size: 0, root: new Uint8Array(32) },
      incarnation: fr.incarnation,
      held: { seq: 0, session: 1 },
    })
    const opened = (versions: readonly number[]): number => {
      const hello = decodeHello(decodeSignedHello(signed).hello)
      const bytes = encodeHello({ ...hello, versions })
      const again = encodeSignedHello({ hello: bytes, signature: fr.node.sign(helloPae(bytes)) })
      const expected = { exporter, from: "FR", to: "hub1", role: 0 as const, now: world.at }
      return openHello(world.directory(), again, expected).version
    }
    expect(opened([1, 2])).toBe(1)
    expect(codeOf(() => opened([2, 3]))).toBe("version")
  })
})

/** What a newer peer might ask: kind 99, request 7, and things that this version cannot read. */
const newer = pack([99, 7, "what comes next"])

function answersTo(theirs: LinkSession, frames: readonly Uint8Array[]): readonly LinkMessage[] {
  return frames
    .flatMap((frame) => theirs.receive(frame, 0))
    .flatMap((event) => (event.kind === "message" ? [decodeLinkMessage(event.bytes)] : []))
}

const refused = {
  name: "refused",
  request: 7,
  code: "unknown-request",
  final: true,
  retrySeconds: 0,
}

describe("a request of a newer peer", () => {
  test("is refused by a relay, and the link goes on", () => {
    const { ours, theirs } = twoEnds()
    const sent: Uint8Array[] = []
    let isEnded = false
    const link = new PeerLink({
      name: "FR",
      role: "node",
      linkKey: new Uint8Array(32),
      session: ours,
      wire: {
        isOpen: true,
        bufferedBytes: 0,
        send: (frame) => sent.push(frame),
        end: () => (isEnded = true),
        cut: () => undefined,
      },
      clock: { ...systemClock, monotonicMs: () => 0 },
      journal: silentJournal,
      handler: async () => ({ name: "done" }),
      ended: () => undefined,
    })
    theirs.send(linkLanes.control, newer)
    for (const frame of theirs.takeFrames(0)) link.take(ours.receive(frame, 0))
    expect(answersTo(theirs, sent.splice(0))).toEqual([refused])
    expect(isEnded).toBe(false)
    theirs.send(linkLanes.control, pack([99, "no number"]))
    for (const frame of theirs.takeFrames(0)) link.take(ours.receive(frame, 0))
    expect(isEnded).toBe(true)
  })

  test("is refused by a node, and the link goes on", () => {
    const { ours, theirs } = twoEnds()
    const sent: Uint8Array[] = []
    let isEnded = false
    const link = new RelayConversation({
      relay: "hub1",
      session: ours,
      wire: {
        isOpen: true,
        bufferedBytes: 0,
        send: (frame) => sent.push(frame),
        end: () => (isEnded = true),
        cut: () => undefined,
      },
      clock: { ...systemClock, monotonicMs: () => 0 },
      handle: async () => ({ name: "done" }),
    })
    const take = (message: Uint8Array): void => {
      theirs.send(linkLanes.control, message)
      for (const frame of theirs.takeFrames(0))
        for (const event of ours.receive(frame, 0))
          if (event.kind === "message") link.received(event.lane, event.bytes, event.handle)
      link.flush()
    }
    take(newer)
    expect(answersTo(theirs, sent.splice(0))).toEqual([refused])
    expect(isEnded).toBe(false)
    take(pack([99]))
    expect(isEnded).toBe(true)
  })

  test("is told apart from a known kind whose layout is broken", () => {
    expect(readLinkMessage(newer)).toEqual({ name: "unknown", request: 7 })
    expect(codeOf(() => readLinkMessage(pack([1, "x"])))).toBe("not-canonical")
    expect(codeOf(() => readLinkMessage(pack([0, 7])))).toBe("not-canonical")
  })
})
