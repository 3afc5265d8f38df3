// A node's link to a relay that is heard, and does not answer what it was asked.

import { expect, test } from "vitest"
import type { RelayLink } from "../../node/core/ports.ts"
import { type Closed, RelaySession } from "../../node/core/relay-session.ts"
import { nodeLimits } from "../../node/limits.ts"
import { linkLanes } from "../../protocol/frames.ts"
import { limits } from "../../protocol/limits.ts"
import { LinkSession } from "../../protocol/link-session.ts"
import { StillClock } from "../kit/memory-node.ts"

const silentLog = { info: () => undefined, warn: () => undefined, error: () => undefined }
const ping = { name: "bodyOffer", body: { hash: new Uint8Array(32), length: 1 } } as const

class Stage {
  readonly clock = new StillClock(1_800_000_000)
  readonly relay = new LinkSession(0)
  readonly session: RelaySession
  link: RelayLink | undefined
  closed: Closed | undefined

  constructor() {
    const wire = {
      isOpen: true,
      bufferedBytes: 0,
      send: (frame: Uint8Array) => void this.relay.receive(frame, this.clock.monotonicMs()),
      end: () => undefined,
      cut: () => undefined,
    }
    this.session = new RelaySession("hub1", wire, {
      hello: async () => Uint8Array.of(1),
      confirm: async () => undefined,
      handle: async () => ({ name: "done" }),
      up: (link) => (this.link = link),
      down: () => undefined,
      clock: this.clock,
      log: silentLog,
    })
    void this.session.closed.then((closed) => (this.closed = closed))
  }

  async up(): Promise<RelayLink> {
    this.session.opened(new Uint8Array(32))
    this.relay.sendHello(Uint8Array.of(1))
    await this.pass(0)
    if (this.link === undefined) throw new Error("no link")
    return this.link
  }

  /** The relay sends what its session has to say by itself: pongs and acknowledgements. */
  async pass(seconds: number): Promise<void> {
    this.clock.move(seconds)
    for (const frame of this.relay.takeFrames(this.clock.monotonicMs()))
      this.session.received(frame)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

async function secondsUntilClosed(stage: Stage): Promise<number> {
  for (let seconds = 0; seconds < 1_000; seconds++) {
    if (stage.closed !== undefined) return seconds
    // It keeps pinging: it is there.
    stage.relay.ping()
    await stage.pass(1)
  }
  return Infinity
}

test("a link whose relay answers pings and no request ends, and what was asked fails", async () => {
  const stage = new Stage()
  const link = await stage.up()
  const asked = link.ask(linkLanes.control, ping).catch((cause: unknown) => cause)
  expect(await secondsUntilClosed(stage)).toBeLessThan(nodeLimits.answerMsMax / 1_000 + 5)
  expect(await asked).toMatchObject({ code: "link-down" })
})

test("a link without an open request lasts", async () => {
  const stage = new Stage()
  await stage.up()
  expect(await secondsUntilClosed(stage)).toBe(Infinity)
})

test("what has to leave first has its time", async () => {
  const stage = new Stage()
  const link = await stage.up()
  const part = new Uint8Array(limits.bodyPartBytesMax)
  const asked = Array.from({ length: 8 }, async () =>
    link
      .ask(linkLanes.bulk, { name: "bodyPut", hash: new Uint8Array(32), offset: 0, part })
      .catch(() => undefined),
  )
  expect(await secondsUntilClosed(stage)).toBeGreaterThan(nodeLimits.answerMsMax / 1_000)
  await Promise.all(asked)
})
