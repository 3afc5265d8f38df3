// Mail between two nodes through a relay that a test holds in its hand.

import { beforeEach, describe, expect, test } from "vitest"
import { tick } from "../../node/core/node-core.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { overall } from "../../node/core/ladder.ts"
import { traceOf } from "../../node/core/views.ts"
import type { PlannedFailure } from "../../node/adapters/memory-record-store.ts"
import { Evidence } from "../../node/core/evidence.ts"
import { sha256 } from "../../keys/crypto.ts"
import { concat } from "../../protocol/bytes.ts"
import { MemoryNode, StillClock, settle } from "../kit/memory-node.ts"
import { type DeliverRequest, RelayDouble } from "../kit/relay-double.ts"
import { refusalOf } from "../kit/refusal.ts"
import { World } from "../kit/world.ts"

const at = 1_800_000_000

const world = new World({ at, members: ["BR", "FR", "HQ", "JP"] })
let clock: StillClock
let hub1: RelayDouble
let hub2: RelayDouble
let fr: MemoryNode
let jp: MemoryNode

beforeEach(async () => {
  clock = new StillClock(at)
  const now = (): number => clock.seconds()
  hub1 = new RelayDouble("hub1", world, now)
  hub2 = new RelayDouble("hub2", world, now)
  fr = new MemoryNode(world, "FR", clock)
  jp = new MemoryNode(world, "JP", clock)
  await fr.start()
  await jp.start()
  await fr.link(hub1)
  await jp.link(hub1)
})

const photo = Uint8Array.from({ length: 50_000 }, (_, i) => i % 251)

async function upload(node: MemoryNode, plain: Uint8Array): Promise<string> {
  const officer = node.session().officer.officer
  return await node.core.attachments.upload(
    {
      officer,
      name: "photo.png",
      mediaType: "image/png",
      size: plain.length,
      sha256: sha256(plain),
    },
    pieces(plain),
  )
}

async function stateOf(node: MemoryNode, id: Uint8Array): Promise<string> {
  const item = await node.core.outbox.byId(id)
  return item === undefined ? "none" : overall(item.recipients.map(({ rung }) => rung))
}

const refused = (code: string) => ({ name: "refused", code, final: true, retrySeconds: 0 }) as const

describe("a message", () => {
  test("is in custody, then shown, then its receipt comes back", async () => {
    const { id } = await fr.send()
    await settle()
    expect(await stateOf(fr, id)).toBe("custody")
    expect(await jp.subjects()).toEqual([])
    expect(await hub1.deliver()).toEqual([{ name: "done" }])
    expect(await jp.subjects()).toEqual(["Vehicle"])
    await settle()
    await hub1.passEvidence()
    expect(await stateOf(fr, id)).toBe("delivered")
  })

  test("that is read, taken in charge and answered shows each step to its sender only", async () => {
    const { id } = await fr.send()
    await settle()
    await hub1.deliver()
    const item = await jp.core.inbox.byId(id)
    if (item === undefined) throw new Error("nothing came")
    const { correspondence } = jp.core
    const opened = await correspondence.opened(jp.session(), item)
    await correspondence.takeInCharge(jp.session(), opened)
    await correspondence.reply(jp.session(), opened, { text: "Seen in Osaka." })
    await settle()
    const sealed = hub1.evidence.filter(({ message }) => message.items[0]?.auth === null)
    expect(sealed).toHaveLength(3)
    await hub1.passEvidence()
    const sent = await fr.core.outbox.byId(id)
    expect(sent?.recipients[0]?.rung).toBe("answered")
    const steps = sent === undefined ? {} : await traceOf(sent, fr.core.sources)
    expect(JSON.stringify(steps)).toContain("in-charge")
    expect(steps["steps"]).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ step: "opened", by: "JP/duty", recipient: "JP" }),
      ]),
    )
  })

  test("that one officer takes while another opens it stays taken", async () => {
    const { id } = await fr.send()
    await settle()
    await hub1.deliver()
    const item = await jp.core.inbox.byId(id)
    if (item === undefined) throw new Error("nothing came")
    const { correspondence } = jp.core
    await correspondence.takeInCharge(jp.session(), item)
    expect((await correspondence.opened(jp.session(), item)).state).toBe("in-charge")
    expect((await jp.core.inbox.byId(id))?.state).toBe("in-charge")
  })

  test("is queued without any relay, survives a restart, and goes when one is there", async () => {
    fr.unlink(hub1)
    const { id } = await fr.send({ subject: "Later" })
    await settle()
    expect(await stateOf(fr, id)).toBe("queued")
    await fr.start()
    expect(await stateOf(fr, id)).toBe("queued")
    await fr.link(hub1)
    await settle()
    await hub1.deliver()
    expect(await jp.subjects()).toEqual(["Later"])
  })

  test("that waits for a key is not overtaken by a later one of its channel", async () => {
    const { kemKeys } = fr.core
    const choose = kemKeys.choose.bind(kemKeys)
    kemKeys.choose = async (member) => {
      throw new ChappeError("no-prekey", member)
    }
    const first = await fr.send({ subject: "First" })
    const second = await fr.send({ subject: "Second" })
    kemKeys.choose = choose
    const third = await fr.send({ subject: "Third" })
    const other = await fr.send({ subject: "Other lane", lane: 1 })
    for (const { id } of [first, second, third]) expect(await stateOf(fr, id)).toBe("queued")
    await fr.core.outbox.seal(first.number)
    await settle()
    await hub1.deliver()
    expect(await jp.subjects()).toEqual(["Other lane", "First", "Second", "Third"])
    for (const { id } of [first, second, third, other])
      expect(await stateOf(fr, id)).toBe("custody")
  })

  test("goes through the next relay with the same bytes when an answer is late", async () => {
    await fr.link(hub2)
    await jp.link(hub2)
    const [home, next] = fr.core.directory.homes("FR")[0] === "hub1" ? [hub1, hub2] : [hub2, hub1]
    home.refuse = (_, message) => (message.name === "submit" ? "silence" : undefined)
    const { id } = await fr.send()
    await settle()
    expect(await stateOf(fr, id)).toBe("queued")
    clock.move(11)
    await settle()
    expect(await stateOf(fr, id)).toBe("custody")
    const [copy] = next.mail
    fr.unlink(home)
    home.refuse = () => undefined
    await fr.link(home)
    await settle()
    // What has a number in that relay's log goes there too: the log has no gap.
    expect(home.mail[0]?.message.header).toEqual(copy?.message.header)
    await hub1.deliver()
    await hub2.deliver()
    expect(await jp.subjects()).toEqual(["Vehicle"])
  })

  test("with an idempotency key is sent once", async () => {
    const key = { key: "case-12", request: new Uint8Array(32) }
    const first = await fr.send({ idempotency: key })
    const second = await fr.send({ idempotency: key })
    expect(second.id).toEqual(first.id)
    const other = { key: "case-12", request: new Uint8Array(32).fill(1) }
    expect(await refusalOf(fr.send({ idempotency: other }))).toBe("idempotency-key")
  })

  test("to several goes out once, and each recipient gets its own slice", async () => {
    const br = new MemoryNode(world, "BR", clock)
    await br.start()
    await br.link(hub1)
    await fr.send({ to: ["BR", "JP"], subject: "Both" })
    await settle()
    expect(hub1.mail).toHaveLength(2)
    await hub1.deliver()
    expect(await br.subjects()).toEqual(["Both"])
    expect(await jp.subjects()).toEqual(["Both"])
  })

  test("that one relay refuses for good goes through the next", async () => {
    await fr.link(hub2)
    const [home, next] = fr.core.directory.homes("FR")[0] === "hub1" ? [hub1, hub2] : [hub2, hub1]
    home.refuse = (_, { name }) => (name === "submit" ? refused("size") : undefined)
    const { id } = await fr.send({ subject: "Not ended by one relay" })
    await settle()
    expect(next.mail).toHaveLength(1)
    expect(await stateOf(fr, id)).toBe("custody")
  })

  test("that every relay refuses for good is rejected, with the reason", async () => {
    for (const hub of [hub1, hub2])
      hub.refuse = (_, { name }) => (name === "submit" ? refused("size") : undefined)
    await fr.link(hub2)
    const { id } = await fr.send({ subject: "Nobody takes it" })
    await settle()
    expect(await stateOf(fr, id)).toBe("rejected")
  })

  test("that expired before any relay took it says so", async () => {
    fr.unlink(hub1)
    const { id } = await fr.send({ expiresSeconds: 60 })
    clock.move(61)
    await fr.core.outbox.expire(clock.seconds())
    expect(await stateOf(fr, id)).toBe("expired")
  })
})

const failures = (["before", "after"] as const).flatMap((when) =>
  Array.from({ length: 12 }, (_, i) => ({ commit: i + 1, when })),
)

/** What the recipient's disk shows after the cut, if the message had been answered. */
async function shownAfterCut(
  failure: PlannedFailure,
  message: DeliverRequest,
): Promise<{ readonly isLost: boolean; readonly inTheEnd: readonly string[] }> {
  const cut = new MemoryNode(world, "JP", clock)
  await cut.start()
  await cut.start({ failure })
  let isAnswered = false
  const code = await refusalOf(
    (async () => {
      await cut.link(hub1)
      isAnswered = (await hub1.tell("JP", message)).name === "done"
      await settle()
    })(),
  )
  if (code !== undefined && code !== "storage") throw new Error(code)
  await cut.start()
  const isLost = isAnswered && (await cut.subjects()).length === 0
  await cut.link(hub1)
  await hub1.tell("JP", message)
  return { isLost, inTheEnd: await cut.subjects() }
}

/** The state of a message that was stored before the cut; none was, if that came too early. */
async function stateAfterCut(failure: PlannedFailure): Promise<string> {
  const cut = new MemoryNode(world, "BR", clock)
  await cut.start()
  await cut.start({ failure })
  let sent: Uint8Array | undefined
  const code = await refusalOf(
    (async () => {
      await cut.link(hub1)
      sent = (await cut.send({ subject: `${failure.when} ${failure.commit}` })).id
      await settle()
    })(),
  )
  if (code !== undefined && code !== "storage") throw new Error(code)
  hub1.disconnect("BR")
  await cut.start()
  await cut.link(hub1)
  await settle()
  return sent === undefined ? "custody" : await stateOf(cut, sent)
}

describe("a power cut", () => {
  test(
    "at any commit of the recipient loses nothing that was answered and shows nothing twice",
    { timeout: 120_000 },
    async () => {
      await fr.send({ subject: "kept" })
      await settle()
      const [queued] = hub1.mail
      if (queued === undefined) throw new Error("nothing was submitted")
      for (const failure of failures)
        expect(await shownAfterCut(failure, queued.message)).toEqual({
          isLost: false,
          inTheEnd: ["kept"],
        })
    },
  )

  test(
    "at any commit of the sender loses nothing that was answered",
    { timeout: 120_000 },
    async () => {
      for (const failure of failures) expect(await stateAfterCut(failure)).toBe("custody")
    },
  )
})

describe("what a relay bends", () => {
  const bends: readonly (readonly [string, (message: DeliverRequest) => DeliverRequest, string])[] =
    [
      ["a byte of the signature", (m) => ({ ...m, auth: flipped(m.auth, -1) }), "signature"],
      ["a byte of the header", (m) => ({ ...m, header: flipped(m.header, -1) }), "entry"],
      [
        "a byte of the slice",
        (m) => ({ ...m, slice: { ...m.slice, leaf: flipped(m.slice.leaf, 40) } }),
        "slice",
      ],
      ["a byte of the body", (m) => ({ ...m, body: flipped(m.body, 200) }), "body"],
      [
        "a byte of the entry",
        (m) => ({ ...m, acceptance: { ...m.acceptance, entry: flipped(m.acceptance.entry, 20) } }),
        "entry",
      ],
      [
        "a byte appended to the body",
        (m) => ({ ...m, body: concat(m.body, Uint8Array.of(0)) }),
        "body",
      ],
      [
        "a byte appended to the header",
        (m) => ({ ...m, header: concat(m.header, Uint8Array.of(0)) }),
        "not-canonical",
      ],
    ]

  test.each(bends)("%s is answered with its code, and nothing is shown", async (_, bend, code) => {
    await fr.send()
    await settle()
    const [message] = hub1.mail
    expect(await hub1.deliver(bend)).toEqual([refused(code)])
    expect(await jp.subjects()).toEqual([])
    // The lane goes on: the same message unbent is taken.
    if (message === undefined) throw new Error("nothing was submitted")
    expect(await hub1.tell("JP", message.message)).toEqual({ name: "done" })
    expect(await jp.subjects()).toEqual(["Vehicle"])
  })

  test("every single byte of header, auth and leaf: refused, nothing shown", async () => {
    await fr.send()
    await settle()
    const [queued] = hub1.mail
    if (queued === undefined) throw new Error("nothing was submitted")
    const { message } = queued
    for (const part of ["header", "auth"] as const)
      for (let i = 0; i < message[part].length; i++) {
        const answer = await hub1.tell("JP", { ...message, [part]: flipped(message[part], i) })
        expect(answer.name).toBe("refused")
      }
    for (let i = 0; i < message.slice.leaf.length; i += 7) {
      const slice = { ...message.slice, leaf: flipped(message.slice.leaf, i) }
      expect((await hub1.tell("JP", { ...message, slice })).name).toBe("refused")
    }
    expect(await jp.subjects()).toEqual([])
  })

  test("another's slice, or the message at another node", async () => {
    const br = new MemoryNode(world, "BR", clock)
    await br.start()
    await br.link(hub1)
    await fr.send({ to: ["BR", "JP"] })
    await settle()
    const [forBr, forJp] = hub1.mail
    if (forBr === undefined || forJp === undefined) throw new Error("two were submitted")
    expect(await hub1.tell("JP", forBr.message)).toEqual(refused("not-for-me"))
    const swapped = {
      ...forJp.message,
      slice: { ...forJp.message.slice, path: forBr.message.slice.path },
    }
    expect(await hub1.tell("JP", swapped)).toEqual(refused("slice"))
    const toHq = new MemoryNode(world, "HQ", clock)
    await toHq.start()
    await toHq.link(hub1)
    expect(await hub1.tell("HQ", forJp.message)).toEqual(refused("not-for-me"))
    expect(await jp.subjects()).toEqual([])
  })

  test("a replay, at once, after a restart and after expiry: the stored receipt, shown once", async () => {
    await fr.send()
    await settle()
    const [queued] = hub1.mail
    if (queued === undefined) throw new Error("nothing was submitted")
    await hub1.deliver()
    await settle()
    const [first] = receiptsIn(hub1)
    await hub1.tell("JP", queued.message)
    await jp.start()
    await jp.link(hub1)
    await hub1.tell("JP", queued.message)
    clock.move(30 * 86_400)
    await hub1.tell("JP", queued.message)
    await settle()
    expect(await jp.subjects()).toEqual(["Vehicle"])
    for (const again of receiptsIn(hub1)) expect(again).toEqual(first)
    expect(jp.core.alarms.list().map(({ kind }) => kind)).not.toContain("channel-fork")
  })

  test("what two relays bring at the same moment is receipted to both", async () => {
    await jp.link(hub2)
    await fr.send()
    await settle()
    const [queued] = hub1.mail
    if (queued === undefined) throw new Error("nothing was submitted")
    await Promise.all([hub1.tell("JP", queued.message), hub2.tell("JP", queued.message)])
    await settle()
    expect(await jp.subjects()).toEqual(["Vehicle"])
    expect(receiptsIn(hub1)).toHaveLength(1)
    expect(receiptsIn(hub2)).toEqual(receiptsIn(hub1))
  })

  test("messages in another order are shown in theirs", async () => {
    for (const subject of ["one", "two", "three"]) await fr.send({ subject })
    await settle()
    hub1.mail.reverse()
    await hub1.deliver()
    expect(await jp.subjects()).toEqual(["one", "two", "three"])
  })

  test("a dropped message is asked for and comes again", async () => {
    for (const subject of ["one", "two"]) await fr.send({ subject })
    await settle()
    hub1.mail.shift()
    await hub1.deliver()
    expect(await jp.subjects()).toEqual([])
    clock.move(3)
    await tick(jp.core)
    await settle()
    await hub1.passControls()
    await settle()
    await hub1.deliver()
    expect(await jp.subjects()).toEqual(["one", "two"])
  })

  test("what stays missing is passed over at the lane's deadline, marked, and still taken later", async () => {
    for (const subject of ["one", "two", "three"]) await fr.send({ subject, lane: 3 })
    await settle()
    const [lost] = hub1.mail.splice(0, 1)
    await hub1.deliver()
    expect(await jp.subjects()).toEqual([])
    await jp.start()
    await jp.link(hub1)
    clock.move(61)
    await tick(jp.core)
    expect(await jp.subjects()).toEqual(["two", "three"])
    const [two, three] = await jp.core.inbox.list(0, 10)
    expect(two?.marks).toEqual(["earlier-missing"])
    expect(three?.marks).toEqual([])
    if (lost === undefined) throw new Error("nothing was lost")
    await hub1.tell("JP", lost.message)
    expect(await jp.subjects()).toEqual(["two", "three", "one"])
  })

  test("a message whose turn came while its attachment could not be had is shown in its turn later", async () => {
    const id = await upload(fr, photo)
    await fr.send({ subject: "one" })
    await fr.send({ subject: "two", attachments: [id] })
    await settle()
    const [one, two] = hub1.mail.splice(0)
    if (one === undefined || two === undefined) throw new Error("nothing was sent")
    const bodies = [...hub1.bodies]
    hub1.bodies.clear()
    expect(await hub1.tell("JP", two.message)).toEqual({ name: "done" })
    expect(await hub1.tell("JP", one.message)).toEqual({ name: "done" })
    expect(await jp.subjects()).toEqual(["one"])
    for (const [name, body] of bodies) hub1.bodies.set(name, body)
    await jp.start()
    await jp.link(hub1)
    await tick(jp.core)
    expect(await jp.subjects()).toEqual(["one", "two"])
    expect((await jp.core.inbox.list(1, 10))[0]?.marks).toEqual([])
    expect(jp.core.inbox.heldCount).toBe(0)
  })

  test("a held message that its relay brings again in its turn is no fork later", async () => {
    const id = await upload(fr, photo)
    await fr.send({ subject: "one" })
    await fr.send({ subject: "two", attachments: [id] })
    await settle()
    const [one, two] = hub1.mail.splice(0)
    if (one === undefined || two === undefined) throw new Error("nothing was sent")
    const bodies = [...hub1.bodies]
    hub1.bodies.clear()
    await hub1.tell("JP", two.message)
    await hub1.tell("JP", one.message)
    for (const [name, body] of bodies) hub1.bodies.set(name, body)
    await hub1.tell("JP", two.message)
    expect(await jp.subjects()).toEqual(["one", "two"])
    expect(jp.core.inbox.heldCount).toBe(0)
    await jp.start()
    await jp.link(hub1)
    clock.move(90_000)
    await tick(jp.core)
    expect(jp.core.alarms.list().map(({ kind }) => kind)).not.toContain("channel-fork")
  })

  test("a directory that cannot be had now is no reason to refuse for good", async () => {
    hub1.statements.push(...hub1.statements.slice(0, 1))
    await fr.send()
    await settle()
    const [queued] = hub1.mail
    const busy = { name: "refused", code: "not-found", final: true, retrySeconds: 0 } as const
    hub1.refuse = (_, message) => (message.name === "directoryGet" ? busy : undefined)
    expect(await hub1.deliver()).toMatchObject([{ code: "stale", final: false }])
    hub1.refuse = () => undefined
    if (queued !== undefined) await hub1.tell("JP", queued.message)
    expect(await jp.subjects()).toEqual(["Vehicle"])
  })

  test("directory entries that cannot be read are not kept: the node starts again", async () => {
    const entries = [Uint8Array.of(0xc1)]
    hub1.statements.push(...hub1.statements.slice(0, 1))
    hub1.refuse = (_, message) =>
      message.name === "directoryGet" ? { name: "directoryPart", size: 99, entries } : undefined
    const link = jp.core.links.get("hub1")
    if (link !== undefined) await refusalOf(jp.core.follower.refresh(link))
    await jp.start()
    expect(jp.failure).toBeUndefined()
  })

  test("a copy of the sender's node that gives another message the same place", async () => {
    const twin = new MemoryNode(world, "FR", clock)
    await twin.start()
    await fr.send({ subject: "by the original" })
    await settle()
    await hub1.deliver()
    await twin.link(hub2)
    await jp.link(hub2)
    await twin.send({ subject: "by the copy" })
    await settle()
    expect(await hub2.deliver()).toEqual([refused("channel-fork")])
    expect(await jp.subjects()).toEqual(["by the original"])
    expect(jp.core.alarms.list().map(({ kind }) => kind)).toContain("channel-fork")
  })
})

describe("a refusal after opening", () => {
  test("is final: REJECTED with the code, the channel goes on, nothing shown", async () => {
    const secret = jp.core.prekeys.secret.bind(jp.core.prekeys)
    jp.core.prekeys.secret = () => undefined
    const { id } = await fr.send({ subject: "lost key" })
    await settle()
    expect(await hub1.deliver()).toEqual([{ name: "done" }])
    await settle()
    jp.core.prekeys.secret = secret
    // prekey-gone: the sender seals it anew, under its identity.
    await hub1.passEvidence()
    await settle()
    expect(hub1.mail).toHaveLength(1)
    await hub1.deliver()
    await settle()
    await hub1.passEvidence()
    expect(await jp.subjects()).toEqual(["lost key"])
    const item = await fr.core.outbox.byId(id)
    expect(item?.envelopes).toHaveLength(2)
    expect(item?.recipients[0]).toMatchObject({ rung: "delivered", reseals: 1 })
  })
})

describe("evidence", () => {
  test("that was bent moves nothing", async () => {
    const { id } = await fr.send()
    await settle()
    await hub1.deliver()
    await settle()
    const [evidence] = hub1.evidence.splice(0)
    if (evidence === undefined) throw new Error("no evidence")
    const [item] = evidence.message.items
    if (item === undefined) throw new Error("no item")
    for (let i = 0; i < item.receipt.length; i++) {
      const items = [{ ...item, receipt: flipped(item.receipt, i) }]
      await hub1.tell("FR", { ...evidence.message, items })
    }
    expect(await stateOf(fr, id)).toBe("custody")
    await hub1.tell("FR", evidence.message)
    expect(await stateOf(fr, id)).toBe("delivered")
    expect(fr.core.evidence).toBeInstanceOf(Evidence)
  })
})

describe("sealed receipts that no key opens", () => {
  test("cost a bounded number of tries, and the relay that brings many waits", async () => {
    const sealed = {
      to: "FR",
      messageId: null,
      receipt: new Uint8Array(1_200),
      auth: null,
    } as const
    const garbage = {
      name: "evidence",
      from: "JP",
      items: Array.from({ length: 512 }, () => sealed),
      acceptance: null,
    } as const
    let tries = 0
    const around = fr.core.prekeys.secretsAround.bind(fr.core.prekeys)
    fr.core.prekeys.secretsAround = (today, days) => {
      tries += 1
      return around(today, days)
    }
    for (let i = 1; i <= 4; i++) {
      expect(await hub1.tell("FR", garbage)).toEqual({ name: "done" })
      expect(tries).toBe(16 * i)
    }
    expect(await hub1.tell("FR", garbage)).toMatchObject({ code: "busy", final: false })
    expect(tries).toBe(64)
    clock.move(61)
    expect(await hub1.tell("FR", garbage)).toEqual({ name: "done" })
  })
})

describe("an attachment", () => {
  test("that its relay never finds right is not sent in a circle", async () => {
    const video = new Uint8Array(300_000)
    let puts = 0
    hub1.refuse = (_, message) => {
      if (message.name !== "bodyPut") return undefined
      puts += 1
      return { name: "bodyHave", offset: message.offset === 0 ? message.part.length : 0 }
    }
    await fr.send({ attachments: [await upload(fr, video)] })
    await settle()
    expect(puts).toBe(2)
  })

  test("arrives with its message, byte for byte", async () => {
    const id = await upload(fr, photo)
    const sent = await fr.send({ attachments: [id] })
    await settle()
    await hub1.deliver()
    const item = await jp.core.inbox.byId(sent.id)
    if (item === undefined) throw new Error("nothing came")
    const attachment = await jp.core.correspondence.attachment(item, 0)
    const parts: Uint8Array[] = []
    for await (const part of jp.core.correspondence.read(attachment)) parts.push(part)
    expect(concat(...parts)).toEqual(photo)
    expect(attachment.name).toBe("photo.png")
  })

  test("that the relay gives otherwise is not taken, and the message waits", async () => {
    const id = await upload(fr, photo)
    await fr.send({ attachments: [id] })
    await settle()
    for (const [name, body] of hub1.bodies) hub1.bodies.set(name, flipped(body, 1_000))
    const [queued] = hub1.mail
    const [answer] = await hub1.deliver()
    expect(answer).toMatchObject({ name: "refused", code: "attachments-missing", final: false })
    expect(await jp.subjects()).toEqual([])
    for (const [name, body] of hub1.bodies) hub1.bodies.set(name, flipped(body, 1_000))
    if (queued !== undefined) await hub1.tell("JP", queued.message)
    expect(await jp.subjects()).toEqual(["Vehicle"])
  })

  test("that its relay has lost is asked for from the sender, and the message is shown when it comes", async () => {
    await fr.send({ attachments: [await upload(fr, photo)] })
    await settle()
    hub1.bodies.clear()
    expect(await hub1.deliver()).toMatchObject([{ code: "attachments-missing", final: false }])
    await settle()
    const asks = (): number => hub1.asked.filter(({ message }) => message.name === "control").length
    expect(asks()).toBe(1)
    await hub1.passControls()
    await settle()
    expect(hub1.bodies.size).toBe(1)
    await hub1.deliver()
    expect(await jp.subjects()).toEqual(["Vehicle"])
    expect(asks()).toBe(1)
  })

  test("is handed in again for its recipients alone, and not again and again", async () => {
    await fr.send({ attachments: [await upload(fr, photo)] })
    await settle()
    const [queued] = hub1.mail
    const [name] = hub1.bodies.keys()
    const item = (await fr.core.outbox.list(1))[0]
    const [messageId] = item?.envelopes ?? []
    const hash = item?.attachments[0]?.hash
    if (queued === undefined || messageId === undefined || hash === undefined || name === undefined)
      throw new Error("nothing was sent")
    const submits = (): number =>
      hub1.asked.filter(({ message }) => message.name === "submit").length
    const ask = async (by: MemoryNode): Promise<void> => {
      await by.core.controls.askForBody({ sender: "FR", messageId, hash }, 0)
      await hub1.passControls()
      await settle()
    }
    const br = new MemoryNode(world, "BR", clock)
    await br.start()
    await br.link(hub1)
    await ask(br)
    expect(submits()).toBe(1)
    await ask(jp)
    await ask(jp)
    expect(submits()).toBe(2)
    clock.move(11)
    await ask(jp)
    expect(submits()).toBe(3)
  })

  test("that is not what was announced is refused, and nothing is kept", async () => {
    const { attachments } = fr.core
    const upload = {
      officer: fr.session().officer.officer,
      name: "a",
      mediaType: "text/plain",
      size: photo.length,
      sha256: new Uint8Array(32),
    }
    expect(await refusalOf(attachments.upload(upload, pieces(photo)))).toBe("usage")
    expect(fr.bodies.size).toBe(0)
  })
})

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < bytes.length; i += 777) yield bytes.slice(i, i + 777)
}

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = Uint8Array.from(bytes)
  const index = at < 0 ? copy.length + at : at
  copy[index] = (copy[index] ?? 0) ^ 1
  return copy
}

function receiptsIn(relay: RelayDouble): readonly Uint8Array[] {
  return relay.asked.flatMap(({ message }) =>
    message.name === "receipts" ? message.items.map(({ receipt }) => receipt) : [],
  )
}
