// One link of a relay's: what a peer can make it keep, and when it is over.

import { describe, expect, test } from "vitest"
import { linkLanes } from "../../protocol/frames.ts"
import { type LinkMessage, encodeLinkMessage } from "../../protocol/link-messages.ts"
import { systemClock } from "../../relay/adapters/system-clock.ts"
import type { Request } from "../../relay/core/links.ts"
import { PeerLink } from "../../relay/core/peer-link.ts"
import { relayLimits } from "../../relay/limits.ts"
import { silentJournal } from "../kit/test-node.ts"
import { twoEnds } from "../kit/two-ends.ts"
import { seedOf } from "../kit/world.ts"

function linkTo(handler: (message: LinkMessage) => Promise<Request>) {
  const { ours, theirs } = twoEnds()
  const sent: Uint8Array[] = []
  const ends: string[] = []
  const link = new PeerLink({
    name: "FR",
    role: "node",
    linkKey: seedOf("link"),
    session: ours,
    wire: {
      isOpen: true,
      bufferedBytes: 0,
      send: (frame) => sent.push(frame),
      end: () => ends.push("wire"),
      cut: () => undefined,
    },
    clock: { ...systemClock, monotonicMs: () => 0 },
    journal: silentJournal,
    handler: async (_peer, message) => handler(message),
    ended: ({ name }) => ends.push(name),
  })
  /** What the peer has to say reaches the relay, and the relay does what it can. */
  const say = async (): Promise<void> => {
    for (const frame of theirs.takeFrames(0)) link.take(ours.receive(frame, 0))
    await new Promise((resolve) => setImmediate(resolve))
  }
  /** The peer takes all that was sent to it; the messages. */
  const listen = (): number => {
    const events = sent.splice(0).flatMap((frame) => theirs.receive(frame, 0))
    const messages = events.flatMap((event) => (event.kind === "message" ? [event] : []))
    for (const { handle } of messages) theirs.handled(handle)
    return messages.length
  }
  return { link, theirs, ends, say, listen }
}

const entry = new Uint8Array(60_000)
const part: Request = {
  name: "directoryPart",
  size: 8,
  entries: Array.from({ length: 8 }, () => entry),
}
const partBytes = 8 * entry.length

describe("a peer that asks and acknowledges nothing", () => {
  test("is read no more for when so much waits for it; what it asks besides is answered", async () => {
    let reads = 0
    let atOnce = 0
    let atOnceMax = 0
    let others = 0
    const { theirs, say, listen } = linkTo(async ({ name }) => {
      if (name !== "directoryGet") {
        others += 1
        return { name: "done" }
      }
      reads += 1
      atOnce += 1
      atOnceMax = Math.max(atOnceMax, atOnce)
      await Promise.resolve()
      atOnce -= 1
      return part
    })
    const asked = 40
    for (let request = 1; request <= asked; request++)
      theirs.send(
        linkLanes.control,
        encodeLinkMessage({ name: "directoryGet", request, origin: "hub1/directory", from: 0 }),
      )
    await say()
    // Beside what waits outside the session: a full lane of it, a window, and the one that was one too many.
    expect(reads).toBeGreaterThan(1)
    expect(reads * partBytes).toBeLessThan(relayLimits.outboundBytesMax + 4_194_304)
    expect(atOnceMax).toBe(1)
    theirs.send(
      linkLanes.control,
      encodeLinkMessage({ name: "draining", request: asked + 1, isOn: true }),
    )
    await say()
    expect(others).toBe(1)

    let answers = 0
    while (answers < asked + 1) {
      answers += listen()
      await say()
    }
    expect(reads).toBe(asked)
  })
})

describe("a link", () => {
  test("is over when the peer says so, whatever its socket does, and only once", async () => {
    const { link, theirs, ends, say } = linkTo(async () => ({ name: "done" }))
    theirs.close("done")
    await say()
    expect(ends).toEqual(["FR", "wire"])
    link.down()
    link.close("done")
    expect(ends).toEqual(["FR", "wire"])
  })

  test("is over when we say so", () => {
    const { link, ends } = linkTo(async () => ({ name: "done" }))
    link.close("clock")
    expect(ends).toEqual(["FR", "wire"])
  })
})
