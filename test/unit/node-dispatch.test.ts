// To how many relays an envelope goes, and what a relay gets again that lost its disk.

import { beforeEach, describe, expect, test } from "vitest"
import { sha256 } from "../../keys/crypto.ts"
import { keepUp, tick } from "../../node/core/node-core.ts"
import { overall } from "../../node/core/ladder.ts"
import type { LinkRequest } from "../../node/core/ports.ts"
import type { SignedEntry } from "../../protocol/entry.ts"
import type { ErrorCode } from "../../protocol/errors.ts"
import { MemoryNode, StillClock, settle } from "../kit/memory-node.ts"
import { RelayDouble } from "../kit/relay-double.ts"
import { World } from "../kit/world.ts"

const at = 1_800_000_000
let world: World
let clock: StillClock
let home: RelayDouble
let next: RelayDouble
let fr: MemoryNode
let jp: MemoryNode

beforeEach(async () => {
  world = new World({ at, members: ["FR", "HQ", "JP"] })
  clock = new StillClock(at)
  const now = (): number => clock.seconds()
  fr = new MemoryNode(world, "FR", clock)
  jp = new MemoryNode(world, "JP", clock)
  await fr.start()
  await jp.start()
  const [first = "", second = ""] = fr.core.directory.homes("FR")
  home = new RelayDouble(first, world, now)
  next = new RelayDouble(second, world, now)
  await fr.link(home)
  await jp.link(home)
})

const submitsOf = (relay: RelayDouble): readonly Uint8Array[] =>
  relay.asked.flatMap(({ message }) => (message.name === "submit" ? [message.header] : []))

const seqsOf = (relay: RelayDouble): readonly number[] =>
  relay.asked.flatMap(({ message }) => (message.name === "submit" ? [message.statement.seq] : []))

async function pass(seconds: number): Promise<void> {
  clock.move(seconds)
  await tick(fr.core)
  await settle()
}

async function stateOf(id: Uint8Array): Promise<string> {
  const item = await fr.core.outbox.byId(id)
  return item === undefined ? "none" : overall(item.recipients.map(({ rung }) => rung))
}

describe("a flash", () => {
  test("goes to two relays at once, and is shown once", async () => {
    await fr.link(next)
    await jp.link(next)
    home.refuse = (_, { name }) => (name === "submit" ? "silence" : undefined)
    const { id } = await fr.send({ lane: 3, subject: "Now" })
    await settle()
    // Nobody has waited for the first answer.
    expect(await stateOf(id)).toBe("custody")
    home.refuse = () => undefined
    await fr.send({ lane: 3, subject: "And now" })
    await settle()
    expect(submitsOf(home)).toHaveLength(1)
    expect(submitsOf(next)).toHaveLength(2)
    await next.deliver()
    await home.deliver()
    expect(await jp.subjects()).toEqual(["Now", "And now"])
  })

  test("goes to the second relay when that comes up, if nobody has received it", async () => {
    await fr.send({ lane: 3 })
    await settle()
    expect(submitsOf(home)).toHaveLength(1)
    await fr.link(next)
    await settle()
    expect(submitsOf(next)).toEqual(submitsOf(home))
  })

  test("that was received goes nowhere else", async () => {
    await fr.send({ lane: 3 })
    await settle()
    await home.deliver()
    await settle()
    await home.passEvidence()
    await fr.link(next)
    await pass(600)
    expect(submitsOf(next)).toHaveLength(0)
  })
})

describe("a routine message", () => {
  test("goes to one relay, and to the next after its deadline without a receipt", async () => {
    await fr.link(next)
    await fr.send()
    await settle()
    await pass(7_100)
    expect([submitsOf(home).length, submitsOf(next).length]).toEqual([1, 0])
    await pass(101)
    expect([submitsOf(home).length, submitsOf(next).length]).toEqual([1, 1])
  })

  test("that the only relay took and lost is handed in again after its deadline, ever less often", async () => {
    await fr.send()
    await settle()
    home.mail.length = 0
    await pass(7_201)
    expect(submitsOf(home)).toHaveLength(2)
    await pass(7_100)
    expect(submitsOf(home)).toHaveLength(2)
    await pass(101)
    expect(submitsOf(home)).toHaveLength(3)
    await home.deliver()
    expect(await jp.subjects()).toEqual(["Vehicle"])
  })

  test("has its turn while flashes fill every place", async () => {
    fr.unlink(home)
    for (let i = 0; i < 20; i++) await fr.send({ lane: 3, subject: `flash ${i}` })
    await fr.send({ subject: "routine" })
    home.refuse = (_, message) => (message.name === "submit" ? "silence" : undefined)
    await fr.link(home)
    await settle()
    const { header } = (await fr.core.outbox.headOf(
      (await fr.core.outbox.list(1))[0]?.envelopes[0] ?? new Uint8Array(),
    )) ?? { header: undefined }
    const begun = home.silenced.flatMap((message) =>
      message.name === "submit" ? [message.header] : [],
    )
    expect(begun).toHaveLength(17)
    expect(begun).toContainEqual(header)
  })
})

describe("a number that a busy relay did not take", () => {
  const busy = { name: "refused", code: "busy", final: false, retrySeconds: 4 } as const

  test("is handed in there when it said so, though the message went another way", async () => {
    await fr.link(next)
    home.refuse = (_, { name }) => (name === "submit" ? busy : undefined)
    await fr.send({ subject: "elsewhere" })
    await settle()
    home.refuse = () => undefined
    await fr.send({ subject: "here" })
    await settle()
    expect([seqsOf(home), seqsOf(next)]).toEqual([[2], [1]])
    await pass(3)
    expect(seqsOf(home)).toEqual([2])
    await pass(2)
    expect(seqsOf(home)).toEqual([2, 1])
    await pass(60)
    expect([seqsOf(home), seqsOf(next)]).toEqual([[2, 1], [1]])
  })

  test("is offered again after each refusal", async () => {
    await fr.link(next)
    home.refuse = (_, { name }) => (name === "submit" ? busy : undefined)
    await fr.send()
    await settle()
    await pass(5)
    home.refuse = () => undefined
    await pass(3)
    expect(seqsOf(home)).toEqual([])
    await pass(2)
    expect(seqsOf(home)).toEqual([1])
  })
})

describe("a relay that lost its disk", () => {
  test("and begins another log gets all that it had in custody, under numbers of that log", async () => {
    const { id } = await fr.send({ subject: "one" })
    await fr.send({ subject: "two" })
    await settle()
    const before = submitsOf(home)
    home.mail.length = 0
    fr.unlink(home)
    const { origin } = world.nameLog(home.name, `${home.name}/traffic/2027.2`)
    home.begin(origin)
    home.statements.splice(0, home.statements.length, ...world.statements)
    await fr.link(home)
    await settle()
    const again = home.asked.flatMap(({ message }) =>
      message.name === "submit" && message.statement.origin === origin ? [message] : [],
    )
    expect(again.map(({ header }) => header)).toEqual(before)
    expect(again.map(({ statement }) => statement.seq)).toEqual([1, 2])
    expect(await stateOf(id)).toBe("custody")
    await jp.link(home)
    await home.deliver()
    expect(await jp.subjects()).toEqual(["one", "two"])
  })

  test("and goes on with its log, but holds fewer numbers than it promised, gets what is above them", async () => {
    for (const subject of ["one", "two", "three"]) await fr.send({ subject })
    await settle()
    const before = submitsOf(home)
    fr.unlink(home)
    fr.core.greetings.heldNumber = () => 1
    await fr.link(home)
    await settle()
    expect(submitsOf(home).slice(3)).toEqual(before.slice(1))
  })

  test("and is slow to take it again does not hold up what else a new link brings", async () => {
    await fr.send({ subject: "one" })
    await settle()
    fr.unlink(home)
    fr.core.greetings.heldNumber = () => 0
    const before = submitsOf(home).length
    home.refuse = (_, { name }) => (name === "submit" ? "silence" : undefined)
    await fr.link(home)
    await settle()
    expect(home.silenced).toHaveLength(1)
    home.refuse = () => undefined
    await fr.send({ subject: "two" })
    await settle()
    expect(submitsOf(home)).toHaveLength(before + 1)
    expect(home.mail).toHaveLength(2)
  })

  test("and one that did not is asked to take nothing twice", async () => {
    await fr.send()
    await settle()
    fr.unlink(home)
    fr.core.greetings.heldNumber = () => 1
    await fr.link(home)
    await settle()
    expect(submitsOf(home)).toHaveLength(1)
  })
})

describe("a relay that lies", () => {
  test.each<readonly [string, (entry: SignedEntry) => SignedEntry]>([
    ["another number", (entry) => ({ ...entry, seq: entry.seq + 1 })],
    ["another key", (entry) => ({ ...entry, keyId: new Uint8Array(entry.keyId.length) })],
    ["another kind", (entry) => ({ ...entry, kind: "receipts" })],
    ["a time in the future", (entry) => ({ ...entry, time: entry.time + 10 * 365 * 86_400 })],
    ["a time that no record holds", (entry) => ({ ...entry, time: 2 ** 40 })],
  ])("with %s has nothing in custody", async (_, bend) => {
    home.bendEntry = bend
    const { id } = await fr.send()
    await settle()
    expect(submitsOf(home)).toHaveLength(1)
    expect(await stateOf(id)).toBe("queued")
    expect(fr.core.alarms.list().map(({ kind }) => kind)).toContain("evidence-refused")
    await fr.link(next)
    await settle()
    expect(await stateOf(id)).toBe("custody")
  })

  test("about the time of its entry puts nothing off", async () => {
    home.bendEntry = (entry) => ({ ...entry, time: entry.time + 299 })
    await fr.send({ lane: 2 })
    await settle()
    await fr.link(next)
    await settle()
    expect(submitsOf(next)).toHaveLength(0)
    await pass(300)
    expect(submitsOf(next)).toHaveLength(1)
  })
})

describe("a refusal", () => {
  /** How often each relay was asked to take something that it refuses. */
  let asked: Map<string, number>
  beforeEach(() => {
    asked = new Map()
  })

  function refuse(
    relay: RelayDouble,
    code: ErrorCode,
    { final = false, retrySeconds = 0 } = {},
  ): void {
    relay.refuse = (_, { name }): LinkRequest | undefined => {
      if (name !== "submit") return undefined
      asked.set(relay.name, (asked.get(relay.name) ?? 0) + 1)
      return { name: "refused", code, final, retrySeconds }
    }
  }

  test("for good by one relay ends no message while another is slow", async () => {
    await fr.link(next)
    home.refuse = (_, { name }) => (name === "submit" ? "silence" : undefined)
    refuse(next, "size", { final: true })
    const { id } = await fr.send({ lane: 3 })
    await settle()
    expect(await stateOf(id)).toBe("queued")
    home.disconnect("FR")
    home.refuse = () => undefined
    await fr.link(home)
    await settle()
    expect(await stateOf(id)).toBe("custody")
  })

  test("for good by one relay ends no message while another is away", async () => {
    home.disconnect("FR")
    await fr.link(next)
    refuse(next, "size", { final: true })
    const { id } = await fr.send()
    await settle()
    await pass(60)
    expect(await stateOf(id)).toBe("queued")
    // What it refused for good is not asked again.
    expect(asked.get(next.name)).toBe(1)
    await fr.link(home)
    await settle()
    expect(await stateOf(id)).toBe("custody")
  })

  test("with a time is kept to, relay by relay", async () => {
    await fr.link(next)
    refuse(home, "busy", { retrySeconds: 60 })
    refuse(next, "busy", { retrySeconds: 2 })
    await fr.send()
    await settle()
    for (let second = 0; second < 58; second++) await pass(1)
    expect(asked.get(home.name)).toBe(1)
    expect(asked.get(next.name)).toBeGreaterThan(2)
    await pass(5)
    expect(asked.get(home.name)).toBe(2)
  })

  test.each(["storage", "disk-full", "damaged", "tampered", "key-expired", "internal"] as const)(
    "with %s tells of the relay's trouble, not of ours",
    async (code) => {
      home.refuse = (_, { name }) =>
        name === "submit" || name === "prekeysPut" || name === "journal"
          ? { name: "refused", code, final: true, retrySeconds: 0 }
          : undefined
      const { id } = await fr.send()
      await settle()
      expect(await stateOf(id)).toBe("queued")
      home.refuse = () => undefined
      await pass(10)
      expect(await stateOf(id)).toBe("custody")
    },
  )
})

test("a message that expired while a relay with a number for it was away is handed in there once more, for the number", async () => {
  const photo = new Uint8Array(50_000)
  const attachment = await fr.core.attachments.upload(
    {
      officer: fr.session().officer.officer,
      name: "photo.png",
      mediaType: "image/png",
      size: photo.length,
      sha256: sha256(photo),
    },
    (async function* () {
      yield photo
    })(),
  )
  home.refuse = (_, { name }) => (name === "submit" ? "silence" : undefined)
  const { id } = await fr.send({ attachments: [attachment], expiresSeconds: 3_600 })
  await settle()
  const [messageId = new Uint8Array()] = (await fr.core.outbox.byId(id))?.envelopes ?? []
  fr.unlink(home)
  await fr.link(next)
  clock.move(2 * 86_400)
  await keepUp(fr.core)
  expect(await fr.core.outbox.envelope(messageId)).toBeDefined()
  home.bodies.clear()
  const handed: number[] = []
  home.refuse = (_, message) => {
    if (message.name !== "submit") return undefined
    handed.push(message.statement.seq)
    return { name: "refused", code: "expired", final: true, retrySeconds: 0 }
  }
  await fr.link(home)
  await settle()
  expect(handed).toEqual([1])
  await keepUp(fr.core)
  expect(await fr.core.outbox.envelope(messageId)).toBeUndefined()
  expect(await stateOf(id)).toBe("expired")
})
