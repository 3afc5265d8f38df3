// A relay on real sockets and a real disk, with nodes that speak the real link.

import { readFile, readdir } from "node:fs/promises"
import { request } from "node:https"
import { join } from "node:path"
import { connect } from "node:tls"
import { afterEach, describe, expect, test } from "vitest"
import { DirectorySource } from "../../audit/adapters/directory-source.ts"
import { verifiers } from "../../audit/double-check.ts"
import { type AuditReport, auditRelay } from "../../audit/relay-audit.ts"
import { crypto } from "../../keys/crypto.ts"
import { type LinkCertificate, makeLinkCertificate } from "../../keys/link-certificate.ts"
import { openTombstone } from "../../keys/open-tombstone.ts"
import { auditorMessage, formatAuditorAuthorization } from "../../protocol/auditor-authorization.ts"
import { BatchVerifier } from "../../protocol/batch.ts"
import { toBase64, toHex, utf8 } from "../../protocol/bytes.ts"
import { encodePostedStatement } from "../../protocol/directory-bundle.ts"
import { decodeEntry } from "../../protocol/entry.ts"
import { encodeJoinRequest } from "../../protocol/join-request.ts"
import type { LinkMessage } from "../../protocol/link-messages.ts"
import { decodeReceipt, receiptSteps } from "../../protocol/receipt.ts"
import { decodeBundle } from "../../protocol/tiles.ts"
import { writeInvitationToken } from "../../relay/adapters/invitation-tokens.ts"
import { systemClock } from "../../relay/adapters/system-clock.ts"
import type { Clock, Journal } from "../../relay/core/ports.ts"
import { relayLimits } from "../../relay/limits.ts"
import type { RunningRelay } from "../../relay/start.ts"
import { refusalOf } from "../kit/refusal.ts"
import { Stage } from "../kit/running-relays.ts"
import type { Asked, TestNode } from "../kit/test-node.ts"
import { tombstoneOf } from "../kit/tombstones.ts"
import { type World, seedOf, seededKey } from "../kit/world.ts"

const stage = new Stage()
afterEach(async () => stage.end())

type Evidence = LinkMessage<"evidence">

function evidenceOf(asked: readonly Asked[]): readonly Evidence[] {
  return asked.flatMap(({ message }) => (message.name === "evidence" ? [message] : []))
}

/** The steps that a sender was told of, `step by-or-recipient`. */
function stepsIn(asked: readonly Asked[]): readonly string[] {
  const names = new Map(Object.entries(receiptSteps).map(([name, step]) => [step as number, name]))
  return evidenceOf(asked)
    .flatMap(({ items }) => items)
    .filter(({ auth }) => auth !== null)
    .map(({ receipt }) => decodeReceipt(receipt))
    .map(({ step, by, recipientNode, reason }) =>
      [names.get(step), by ?? recipientNode, ...(reason === null ? [] : [reason])].join(" "),
    )
}

/** Waits until the node was told of these steps, and gives them back. */
async function told(node: TestNode, ...steps: readonly string[]): Promise<readonly string[]> {
  return node.until((asked) => {
    const found = stepsIn(asked)
    return steps.every((step) => found.includes(step)) ? steps : undefined
  })
}

async function receipt(node: TestNode, relay: string, messageId: Uint8Array): Promise<void> {
  const receipts = node.receipts(relay, [{ messageId, to: "FR" }])
  expect((await node.link(relay).request(5, receipts)).name).toBe("accepted")
}

/** hub1's logs, as an auditor sees a copy of them. */
async function audited(
  world: World,
): Promise<{ readonly report: AuditReport; readonly findings: readonly string[] }> {
  const findings: string[] = []
  const report = await auditRelay({
    sourceOf: (prefix) => new DirectorySource(join(stage.place("hub1").dir, "log", prefix)),
    relay: "hub1",
    anchor: world.anchor,
    since: new Map(),
    sample: 4,
    liveAt: undefined,
    handedIn: [],
    verifiers,
    onFinding: ({ code, message }) => findings.push(`${code} ${message}`),
    onProgress: () => undefined,
    onLog: () => undefined,
  })
  return { report, findings }
}

describe("one relay", () => {
  test("a submitted message is promised, delivered, receipted, and the sender hears of it", async () => {
    const world = await stage.world(["hub1"])
    const relay = await stage.start("hub1")
    const fr = await stage.node(world, "FR", relay)
    const jp = await stage.node(world, "JP", relay)

    const submission = fr.seal("hub1", { to: ["JP"], lane: 3 })
    const { messageId } = submission.sealed
    expect(fr.isAccepted(await fr.submit("hub1", submission), messageId)).toBe(true)
    const delivery = await jp.delivery()
    expect(toHex(delivery.header)).toBe(toHex(submission.sealed.header))
    expect(toHex(delivery.body)).toBe(toHex(submission.sealed.body))

    await receipt(jp, "hub1", messageId)
    expect(await told(fr, "delivered JP")).toHaveLength(1)
  })

  test("what a node took and does not settle is delivered to it again on the same link, until it does", async () => {
    const world = await stage.world(["hub1"])
    const { deliverAgainMs } = relayLimits
    const clock: Clock = {
      ...systemClock,
      after: (ms, task) => systemClock.after(ms === deliverAgainMs ? 300 : ms, task),
    }
    const relay = await stage.start("hub1", { clock })
    const fr = await stage.node(world, "FR", relay)
    const jp = await stage.node(world, "JP", relay)
    const submission = fr.seal("hub1", { to: ["JP"] })
    const { messageId } = submission.sealed
    await fr.submit("hub1", submission)
    const third = await jp.delivery(2)
    expect(toHex(third.header)).toBe(toHex(submission.sealed.header))
    await receipt(jp, "hub1", messageId)
    await told(fr, "delivered JP")
    const count = jp.asked.filter(({ message }) => message.name === "deliver").length
    const next = fr.seal("hub1", { to: ["JP"] })
    await fr.submit("hub1", next)
    // Of what is settled nothing comes any more: the other is what comes again and again.
    for (const at of [count, count + 1, count + 2])
      expect(toHex((await jp.delivery(at)).header)).toBe(toHex(next.sealed.header))
  })

  test("mail waits for a member that is away, across a restart, and keeps its order", async () => {
    const world = await stage.world(["hub1"])
    const before = await stage.start("hub1")
    const fr = await stage.node(world, "FR", before)
    const sent: string[] = []
    for (let i = 0; i < 5; i++) {
      const submission = fr.seal("hub1", { to: ["JP"] })
      await fr.submit("hub1", submission)
      sent.push(toHex(submission.sealed.header))
    }
    await before.stop()

    const after = await stage.start("hub1")
    const jp = await stage.node(world, "JP", after)
    const last = await jp.delivery(4)
    expect(toHex(last.header)).toBe(sent[4])
    const received = jp.asked.flatMap(({ message }) =>
      message.name === "deliver" ? [toHex(message.header)] : [],
    )
    expect(received).toEqual(sent)
  })

  test("what was not receipted is delivered again after a break, what was receipted is not", async () => {
    const world = await stage.world(["hub1"])
    const relay = await stage.start("hub1")
    const fr = await stage.node(world, "FR", relay)
    const jp = await stage.node(world, "JP", relay)
    const [first, second] = [fr.seal("hub1", { to: ["JP"] }), fr.seal("hub1", { to: ["JP"] })]
    await fr.submit("hub1", first)
    await fr.submit("hub1", second)
    await jp.delivery(1)
    await receipt(jp, "hub1", first.sealed.messageId)
    jp.cut("hub1")
    jp.asked.length = 0
    await jp.connect("hub1", relay.linksPort)
    expect(toHex((await jp.delivery()).header)).toBe(toHex(second.sealed.header))
  })

  test("a resubmission gets the stored answer, and is not queued twice", async () => {
    const world = await stage.world(["hub1"])
    const relay = await stage.start("hub1")
    const fr = await stage.node(world, "FR", relay)
    const submission = fr.seal("hub1", { to: ["JP"] })
    const [first, together] = await Promise.all([
      fr.submit("hub1", submission),
      fr.submit("hub1", submission),
    ])
    const again = await fr.submit("hub1", submission)
    expect([together.index, again.index]).toEqual([first.index, first.index])
    const jp = await stage.node(world, "JP", relay)
    await jp.delivery()
    const next = fr.seal("hub1", { to: ["JP"] })
    await fr.submit("hub1", next)
    expect(toHex((await jp.delivery(1)).header)).toBe(toHex(next.sealed.header))
  })

  test("an item that the node refuses for good is set aside, the lane goes on, the sender is told", async () => {
    const world = await stage.world(["hub1"])
    const relay = await stage.start("hub1")
    const fr = await stage.node(world, "FR", relay)
    const jp = await stage.node(world, "JP", relay)
    const bad = fr.seal("hub1", { to: ["JP"] })
    jp.answer = async (message) =>
      message.name === "deliver" && toHex(message.header) === toHex(bad.sealed.header)
        ? { name: "refused", code: "slice", final: true, retrySeconds: 0 }
        : { name: "done" }
    await fr.submit("hub1", bad)
    expect(await told(fr, "undelivered hub1 slice")).toHaveLength(1)
    const good = fr.seal("hub1", { to: ["JP"] })
    await fr.submit("hub1", good)
    expect(toHex((await jp.delivery(1)).header)).toBe(toHex(good.sealed.header))
  })

  test("a message to a suspended member is answered with UNDELIVERED", async () => {
    const world = await stage.world(["hub1"])
    const relay = await stage.start("hub1")
    const fr = await stage.node(world, "FR", relay)
    const members = world.roster.members.map((member) =>
      member.node === "JP" ? { ...member, status: 1 as const } : member,
    )
    const { kind, statement } = world.nextRoster({ members })
    await fr.link("hub1").request(5, { name: "statementPut", sort: kind, statement })
    await fr.submit("hub1", fr.seal("hub1", { to: ["JP", "HQ"] }))
    expect(await told(fr, "undelivered hub1 suspended")).toHaveLength(1)
  })

  test("a message that nobody fetches expires, and the sender is told", async () => {
    const world = await stage.world(["hub1"])
    const relay = await stage.start("hub1")
    const fr = await stage.node(world, "FR", relay)
    const now = Math.floor(Date.now() / 1_000)
    await fr.submit("hub1", fr.seal("hub1", { to: ["JP"], created: now - 60, expires: now + 1 }))
    expect(await told(fr, "expired hub1")).toHaveLength(1)
    // Its recipient, whenever it comes, learns that the number is settled.
    const jp = await stage.node(world, "JP", relay)
    const { tombstone } = await jp.tombstone()
    const opened = openTombstone(tombstone, {
      now: Math.floor(Date.now() / 1_000),
      directory: world.directory(),
      batches: new BatchVerifier(crypto, 16),
    })
    expect(opened).toMatchObject({ step: "expired", signer: "hub1", leaf: { channelSeq: 1 } })
  })

  test("a sender may say of its own message that a deadline was missed, to itself alone", async () => {
    const world = await stage.world(["hub1"])
    const relay = await stage.start("hub1")
    const fr = await stage.node(world, "FR", relay)
    const { sealed } = fr.seal("hub1", { to: ["JP"] })
    const said = { messageId: sealed.messageId, about: "JP", to: "FR" } as const
    for (const bad of [
      { ...said, step: "undelivered", to: "HQ" },
      { ...said, step: "delivered" },
    ] as const)
      expect(await refusalOf(fr.link("hub1").request(5, fr.receipts("hub1", [bad])))).toBe(
        "signature",
      )
    const good = fr.receipts("hub1", [{ ...said, step: "undelivered" }])
    expect((await fr.link("hub1").request(5, good)).name).toBe("accepted")
    expect(await told(fr, "undelivered FR")).toHaveLength(1)
  })

  test("a sender's tombstone reaches its recipient; nobody else's is carried", async () => {
    const world = await stage.world(["hub1"])
    const relay = await stage.start("hub1")
    const fr = await stage.node(world, "FR", relay)
    const jp = await stage.node(world, "JP", relay)
    const { request: submitted } = fr.seal("hub1", { to: ["JP"] })
    const { header, auth } = submitted
    const [leaf] = submitted.leaves
    if (leaf === undefined) throw new Error("one leaf")
    const message = { header, auth, slice: { leaf, path: [] } }
    const stone = { message, step: "erased", at: world.at } as const
    const tombstone = tombstoneOf(world, { ...stone, by: "FR" })
    await fr.link("hub1").request(5, { name: "tombstone", tombstone })
    expect((await jp.tombstone()).tombstone).toEqual(tombstone)
    for (const [from, by, code] of [
      [jp, "FR", "sender-key"],
      [fr, "JP", "tombstone"],
      [fr, "hub1", "tombstone"],
    ] as const) {
      const bad = tombstoneOf(world, { ...stone, by })
      const asked = from.link("hub1").request(5, { name: "tombstone", tombstone: bad })
      expect(await refusalOf(asked)).toBe(code)
    }
  })

  test("a refusal for good uses the number up and is explained in the log", async () => {
    const world = await stage.world(["hub1"])
    const relay = await stage.start("hub1")
    const fr = await stage.node(world, "FR", relay)
    const submission = fr.seal("hub1", {
      to: ["JP"],
      created: world.at - 200,
      expires: world.at - 1,
    })
    expect(await refusalOf(fr.submit("hub1", submission))).toBe("expired")
    expect(await told(fr, "rejected hub1 expired")).toHaveLength(1)
    const next = fr.seal("hub1", { to: ["JP"], seq: 1 })
    expect(await refusalOf(fr.submit("hub1", next))).toBe("seq-used")
  })

  test("a settled message that its sender submits again is delivered again", async () => {
    const world = await stage.world(["hub1"])
    const relay = await stage.start("hub1")
    const fr = await stage.node(world, "FR", relay)
    const jp = await stage.node(world, "JP", relay)
    const submission = fr.seal("hub1", { to: ["JP"] })
    const first = await fr.submit("hub1", submission)
    await jp.delivery()
    await receipt(jp, "hub1", submission.sealed.messageId)
    const again = await fr.submit("hub1", submission)
    expect(again.index).toBe(first.index)
    expect(toHex((await jp.delivery(1)).body)).toBe(toHex(submission.sealed.body))
  })

  test("a control reaches its node", async () => {
    const world = await stage.world(["hub1"])
    const relay = await stage.start("hub1")
    const fr = await stage.node(world, "FR", relay)
    const jp = await stage.node(world, "JP", relay)
    await fr.link("hub1").request(5, { name: "control", control: fr.control("JP") })
    await jp.until((asked) => asked.find(({ message }) => message.name === "control"))
    expect(
      await refusalOf(fr.link("hub1").request(5, { name: "control", control: jp.control("FR") })),
    ).toBe("sender-key")
  })
})

describe("attachments", () => {
  const bytes = Uint8Array.from({ length: 300_000 }, (_, i) => i % 253)

  test("are taken in parts, resumed, and served to those whose message names them", async () => {
    const world = await stage.world(["hub1"])
    const relay = await stage.start("hub1")
    const fr = await stage.node(world, "FR", relay)
    const jp = await stage.node(world, "JP", relay)
    const hq = await stage.node(world, "HQ", relay)
    const ref = await fr.upload("hub1", bytes)
    await fr.submit("hub1", fr.seal("hub1", { to: ["JP"], attachments: [ref] }))
    await jp.delivery()

    const get = { name: "bodyGet", hash: ref.hash, offset: 200_000, length: 131_072 } as const
    const part = await jp.link("hub1").request(0, get)
    expect(part.name === "bodyPart" && toHex(part.part)).toBe(toHex(bytes.slice(200_000)))
    expect(await refusalOf(hq.link("hub1").request(0, get))).toBe("not-found")
  })

  test("an envelope is not taken before its attachments are whole", async () => {
    const world = await stage.world(["hub1"])
    const relay = await stage.start("hub1")
    const fr = await stage.node(world, "FR", relay)
    const ref = { hash: seedOf("nothing"), length: 1_000 }
    const submission = fr.seal("hub1", { to: ["JP"], attachments: [ref] })
    expect(await refusalOf(fr.submit("hub1", submission))).toBe("attachments-missing")
  })

  test("go with their message to the recipient's relay, and leave the disk when they were delivered", async () => {
    const world = await stage.world(["hub1", "hub2"])
    const [hub1, hub2] = [await stage.start("hub1"), await stage.start("hub2")]
    await stage.linked(hub1, hub2)
    const fr = await stage.node(world, "FR", hub1)
    const hq = await stage.node(world, "HQ", hub2)
    const ref = await fr.upload("hub1", bytes)
    const submission = fr.seal("hub1", { to: ["HQ"], attachments: [ref] })
    await fr.submit("hub1", submission)
    await hq.delivery()
    const get = { name: "bodyGet", hash: ref.hash, offset: 0, length: 1_000 } as const
    const part = await hq.link("hub2").request(0, get)
    expect(part.name === "bodyPart" && toHex(part.part)).toBe(toHex(bytes.slice(0, 1_000)))
    await receipt(hq, "hub2", submission.sealed.messageId)
    expect(await told(fr, "delivered HQ")).toHaveLength(1)
    for (const name of ["hub1", "hub2"])
      await expect
        .poll(async () => readdir(join(stage.place(name).dir, "data/attachments")))
        .toEqual([])
  })
})

describe("two relays", () => {
  // Homes: FR hub1, hub2 · HQ hub2, hub1 · JP hub1, hub2.
  test("both let their copies go of what its sender gave to both", async () => {
    const world = await stage.world(["hub1", "hub2"])
    const [hub1, hub2] = [await stage.start("hub1"), await stage.start("hub2")]
    await stage.linked(hub1, hub2)
    const fr = await stage.node(world, "FR", hub1, hub2)
    const bytes = seedOf("in both")
    const attachment = await fr.upload("hub2", bytes)
    await fr.upload("hub1", bytes)
    const submission = fr.seal("hub2", { to: ["HQ"], attachments: [attachment] })
    await fr.submit("hub2", submission)
    const { origin } = world.relay("hub1").trafficLog
    const statement = fr.statement("envelope", origin, submission.sealed.messageId)
    await fr.submit("hub1", { ...submission, request: { ...submission.request, statement } })
    await told(fr, "forwarded hub1", "custody hub2")
    const hq = await stage.node(world, "HQ", hub2)
    await hq.delivery()
    await receipt(hq, "hub2", submission.sealed.messageId)
    for (const name of ["hub1", "hub2"])
      await expect
        .poll(async () => readdir(join(stage.place(name).dir, "data/attachments")))
        .toEqual([])
  })

  test("a message goes on to the recipient's first home, and every step is told", async () => {
    const world = await stage.world(["hub1", "hub2"])
    const [hub1, hub2] = [await stage.start("hub1"), await stage.start("hub2")]
    await stage.linked(hub1, hub2)
    const fr = await stage.node(world, "FR", hub1)
    const hq = await stage.node(world, "HQ", hub2)
    const submission = fr.seal("hub1", { to: ["HQ"], lane: 2 })
    await fr.submit("hub1", submission)
    const delivery = await hq.delivery()
    expect(hq.isAccepted(delivery.acceptance, submission.sealed.messageId)).toBe(true)
    await receipt(hq, "hub2", submission.sealed.messageId)
    expect(await told(fr, "forwarded hub1", "custody hub2", "delivered HQ")).toHaveLength(3)
  })

  test("with the recipient's first home away the next one keeps the mail", async () => {
    const world = await stage.world(["hub1", "hub2"])
    const hub1 = await stage.start("hub1")
    const fr = await stage.node(world, "FR", hub1)
    const hq = await stage.node(world, "HQ", hub1)
    const submission = fr.seal("hub1", { to: ["HQ"] })
    await fr.submit("hub1", submission)
    expect(toHex((await hq.delivery()).header)).toBe(toHex(submission.sealed.header))
  })

  test("mail in the custody of a relay that dies is sent another way", async () => {
    const world = await stage.world(["hub1", "hub2"])
    const [hub1, hub2] = [await stage.start("hub1"), await stage.start("hub2")]
    await stage.linked(hub1, hub2)
    const fr = await stage.node(world, "FR", hub1)
    const submission = fr.seal("hub1", { to: ["HQ"] })
    await fr.submit("hub1", submission)
    expect(await told(fr, "custody hub2")).toHaveLength(1)
    await hub2.stop()
    const hq = await stage.node(world, "HQ", hub1)
    expect(toHex((await hq.delivery()).header)).toBe(toHex(submission.sealed.header))
  })

  test("a statement given to one relay is known to the other", async () => {
    const world = await stage.world(["hub1", "hub2"])
    const [hub1, hub2] = [await stage.start("hub1"), await stage.start("hub2")]
    await stage.linked(hub1, hub2)
    const fr = await stage.node(world, "FR", hub1)
    const jp = await stage.node(world, "JP", hub2)
    const { node } = world.member("FR")
    const { kind, statement } = world.revocation("FR", node.keyId)
    await fr.link("hub1").request(5, { name: "statementPut", sort: kind, statement })
    const { origin } = world.relay("hub2").directoryLog
    await expect
      .poll(
        async () => {
          const ask = { name: "directoryGet", origin, from: 0 } as const
          const part = await jp.link("hub2").request(5, ask)
          const entries = part.name === "directoryPart" ? part.entries : []
          return entries.some((entry) => toHex(entry).endsWith(toHex(statement)))
        },
        { timeout: 20_000 },
      )
      .toBe(true)
  })
})

describe("the logs", { timeout: 120_000 }, () => {
  test("an auditor finds nothing wrong with a relay that was used, stopped, started and used", async () => {
    const world = await stage.world(["hub1"])
    for (let round = 0; round < 2; round++) {
      const relay = await stage.start("hub1")
      const fr = await stage.node(world, "FR", relay)
      const jp = await stage.node(world, "JP", relay)
      fr.startAt(world.relay("hub1").trafficLog.origin, round * 300)
      jp.startAt(world.relay("hub1").trafficLog.origin, round)
      const many = Array.from({ length: 300 }, () => fr.seal("hub1", { to: ["JP"] }))
      // So many at once as a relay takes in hand: beyond that it may say `busy`.
      for (let at = 0; at < many.length; at += relayLimits.submitsInHandMax)
        await Promise.all(
          many
            .slice(at, at + relayLimits.submitsInHandMax)
            .map(async (submission) => fr.submit("hub1", submission)),
        )
      await jp.delivery(299)
      const receipts = jp.receipts(
        "hub1",
        many.map(({ sealed }) => ({ messageId: sealed.messageId, to: "FR" })),
      )
      const answer = await jp.link("hub1").request(5, receipts)
      if (answer.name === "accepted") jp.lastIndex = answer.acceptance.index
      await untilPublished(jp, world)
      await relay.stop()
    }
    const { report, findings } = await audited(world)
    expect(findings).toEqual([])
    expect(report.verdict).toBe("ok")
    expect(Math.min(...report.logs.map(({ size }) => size))).toBeGreaterThan(30)
  })

  test("a new year's shard begins with the old one's last checkpoint, and an auditor follows", async () => {
    const at = Math.floor(Date.UTC(2027, 11, 31, 23, 59, 50) / 1_000)
    const next = "hub1/traffic/2028"
    const world = await stage.world(["hub1"], { at }, (w) => {
      w.nameLog("hub1", next)
    })
    let clockSeconds = at
    const clock: Clock = { ...systemClock, seconds: () => clockSeconds }
    const relay = await stage.start("hub1", { clock })
    const fr = await stage.node(world, "FR", relay)
    await fr.submit("hub1", fr.seal("hub1", { to: ["JP"] }))
    clockSeconds += 20
    const late = fr.seal("hub1", { to: ["JP"] })
    await expect
      .poll(async () => readdir(join(stage.place("hub1").dir, "log/traffic/2028")), {
        timeout: 10_000,
      })
      .toContain("checkpoint")
    expect(await refusalOf(fr.submit("hub1", late))).toBe("stale")
    const { statement } = fr.seal("hub1", { to: ["JP"] }).request
    expect(statement.origin).toBe("hub1/traffic/2027")
    const subject = late.sealed.messageId
    const anew = { ...late.request, statement: fr.statement("envelope", next, subject) }
    const acceptance = await fr.submit("hub1", { ...late, request: anew })
    expect(acceptance.index).toBeGreaterThan(0)
    await relay.stop()
    const again = await stage.start("hub1", { clock })
    await again.stop()

    const { report, findings } = await audited(world)
    expect(findings).toEqual([])
    expect(report.logs.map(({ origin }) => origin)).toContain(next)
  })

  test("a node's cosignature stands in the published checkpoint, and proofs fit it", async () => {
    const world = await stage.world(["hub1"])
    const relay = await stage.start("hub1")
    const jp = await stage.node(world, "JP")
    jp.cosigns()
    await jp.connect(relay.name, relay.linksPort)
    const path = join(stage.place("hub1").dir, "log/directory/checkpoint")
    await expect.poll(async () => readFile(path, "utf8")).toContain("— JP ")
  })
})

describe("a relay's time", () => {
  test("is not known while one of two differs: nothing is logged; more voices settle it, and nodes are shown the quorum's", async () => {
    const day = 86_400
    const world = await stage.world(["hub1"], {}, (made) => made.askForQuorum(2))
    const clock = { ...systemClock, seconds: () => systemClock.seconds() + day }
    const relay = await stage.start("hub1", { clock })
    const hq = await stage.node(world, "HQ", relay)
    const submission = hq.seal("hub1", { to: ["JP"], expires: world.at + 2 * day })
    expect(await refusalOf(hq.submit("hub1", submission))).toBe("clock")
    const [fr, jp] = [await stage.node(world, "FR"), await stage.node(world, "JP")]
    for (const witness of [fr, jp]) {
      witness.ahead = day
      witness.cosigns()
      await witness.connect(relay.name, relay.linksPort)
    }
    await jp.until((asked) => asked.find(({ message }) => message.name === "cosignatures"))
    const from = fr.seal("hub1", { to: ["JP"], expires: world.at + 2 * day })
    const { messageId } = from.sealed
    expect(fr.isAccepted(await fr.submit("hub1", from), messageId)).toBe(true)
  }, 60_000)
})

/** Waits until a checkpoint of the traffic log covers what was just logged. */
async function untilPublished(node: TestNode, world: World): Promise<void> {
  const { origin } = world.relay("hub1").trafficLog
  await expect.poll(() => node.lastIndex).toBeGreaterThan(-1)
  const seen = node.lastIndex
  await node.until((asked) =>
    asked.some(
      ({ message }) =>
        message.name === "checkpoint" &&
        message.origin === origin &&
        Number(message.body.split(`${origin}\n`)[1]?.split("\n")[0]) > seen,
    )
      ? true
      : undefined,
  )
}

describe("strangers", () => {
  test("are dropped on the links port before a byte of HTTP", async () => {
    await stage.world(["hub1"])
    const relay = await stage.start("hub1")
    const key = seededKey("link", "a stranger")
    const certificate = makeLinkCertificate({
      name: "FR",
      seed: key.seed,
      serial: seedOf("serial").slice(0, 16),
      notBefore: 1_800_000_000,
    })
    const socket = connect({
      host: "127.0.0.1",
      port: relay.linksPort,
      cert: certificate.certPem,
      key: certificate.keyPem,
      rejectUnauthorized: false,
    })
    let received = 0
    socket.on("data", (data) => (received += data.length))
    socket.on("secureConnect", () => {
      socket.write("GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
    })
    socket.on("error", () => undefined)
    await new Promise((resolve) => {
      socket.on("close", resolve)
    })
    expect(received).toBe(0)
  })

  test("a HELLO with another incarnation opens nothing", async () => {
    const world = await stage.world(["hub1"])
    const relay = await stage.start("hub1")
    const jp = await stage.node(world, "JP")
    jp.incarnation = 2
    const link = await jp.connect(relay.name, relay.linksPort)
    const get = { name: "prekeysGet", hashes: [seedOf("any")] } as const
    expect(await refusalOf(link.request(5, get))).toBe("link-down")
  })
})

type HttpAnswer = { readonly status: number; readonly body: string }

async function http(
  relay: RunningRelay,
  path: string,
  options: {
    readonly method?: "GET" | "POST"
    readonly headers?: Readonly<Record<string, string>>
    readonly body?: Uint8Array
    readonly client?: { readonly certPem: string; readonly keyPem: string }
  } = {},
): Promise<HttpAnswer> {
  const { method = "GET", headers = {}, body, client } = options
  return new Promise((resolve, reject) => {
    const sent = request(
      `${relay.url}${path}`,
      {
        method,
        rejectUnauthorized: false,
        headers: {
          ...headers,
          ...(body !== undefined && { "content-type": "application/octet-stream" }),
        },
        ...(client !== undefined && { cert: client.certPem, key: client.keyPem }),
      },
      (answer) => {
        let text = ""
        answer.on("data", (data: Buffer) => (text += data.toString("latin1")))
        answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body: text }))
      },
    )
    sent.on("error", reject)
    sent.end(body)
  })
}

function certificateOf(world: World, name: string): LinkCertificate {
  return makeLinkCertificate({
    name,
    seed: world.member(name).link.seed,
    serial: seedOf("serial").slice(0, 16),
    notBefore: world.at,
  })
}

function auditorHeader(world: World, path: string): Readonly<Record<string, string>> {
  const time = Math.floor(Date.now() / 1_000)
  const signature = world.auditor.sign(auditorMessage({ method: "GET", path, time }))
  return { authorization: formatAuditorAuthorization({ name: "auditor", time, signature }) }
}

describe("HTTPS", () => {
  test("the operators' pages are open, everything else is denied to strangers", async () => {
    await stage.world(["hub1"])
    const relay = await stage.start("hub1")
    for (const path of ["/livez", "/readyz", "/version", "/metrics"])
      expect((await http(relay, path)).status).toBe(200)
    expect((await http(relay, "/directory/checkpoint")).status).toBe(401)
    expect((await http(relay, "/anything")).status).toBe(404)
    expect((await http(relay, "/statements", { method: "POST" })).status).toBe(400)
  })

  test("a member reads hash tiles of both logs, an auditor the traffic's entries too", async () => {
    const world = await stage.world(["hub1"])
    const relay = await stage.start("hub1")
    const client = certificateOf(world, "FR")
    const { origin } = world.relay("hub1").trafficLog
    const traffic = `/${origin.slice("hub1/".length)}`
    await expect
      .poll(async () => (await http(relay, `${traffic}/checkpoint`, { client })).status)
      .toBe(200)
    expect((await http(relay, "/directory/checkpoint", { client })).body).toContain(
      "hub1/directory",
    )
    expect((await http(relay, `${traffic}/tile/0/000.p/1`, { client })).status).toBe(200)
    const entries = `${traffic}/tile/entries/000.p/1`
    expect((await http(relay, entries, { client })).status).toBe(403)
    expect((await http(relay, entries, { headers: auditorHeader(world, entries) })).status).toBe(
      200,
    )
    const stale = auditorHeader(world, "/directory/checkpoint")
    expect((await http(relay, entries, { headers: stale })).status).toBe(401)
    expect((await http(relay, `${traffic}/tile/0/x`, { client })).status).toBe(404)
  })

  test("entries that are not there yet are not logged as exported", async () => {
    const world = await stage.world(["hub1"])
    const relay = await stage.start("hub1")
    const traffic = `/${world.relay("hub1").trafficLog.origin.slice("hub1/".length)}`
    const ask = async (path: string): Promise<number> =>
      (await http(relay, path, { headers: auditorHeader(world, path) })).status
    await expect
      .poll(async () => ask(`${traffic}/tile/entries/000.p/1`), { timeout: 10_000 })
      .toBe(200)
    expect(await ask(`${traffic}/tile/entries/005`)).toBe(404)
    await relay.stop()
    const folder = join(stage.place("hub1").dir, "log", traffic, "tile/entries")
    const names = await readdir(folder, { recursive: true })
    const sizes = names.flatMap((name) => /^000\.p\/(\d+)$/u.exec(name)?.[1] ?? [])
    const last = Math.max(...sizes.map(Number))
    const bundle = Uint8Array.from(await readFile(join(folder, `000.p/${last}`)))
    const exported = decodeBundle(bundle, last)
      .map(decodeEntry)
      .filter(({ kind }) => kind === "access")
    expect(exported).toMatchObject([{ from: 0, to: 1 }])
  })

  test("an invitation opens the directory, and takes one genesis, which the next roster lets in", async () => {
    const world = await stage.world(["hub1"])
    const relay = await stage.start("hub1")
    const token = seedOf("token")
    const headers = { authorization: `Bearer ${toHex(token)}` }
    expect((await http(relay, "/directory/checkpoint", { headers })).status).toBe(403)
    const tokens = join(stage.place("hub1").dir, "tokens")
    await writeInvitationToken(tokens, token, { member: "KE", expires: world.at + 600 })
    expect((await http(relay, "/directory/checkpoint", { headers })).status).toBe(200)

    const { genesisId, statements } = world.newcomer("KE", ["hub1"])
    const join1 = encodeJoinRequest({
      version: 1,
      name: "KE",
      statements: statements.map(({ statement }) => statement),
      prekeys: [],
    })
    const post = async (body: Uint8Array): Promise<number> =>
      (await http(relay, "/join", { method: "POST", headers, body })).status
    expect(await post(join1)).toBe(200)
    expect(await post(join1)).toBe(200)
    const other = world.newcomer("KE", ["hub1"]).statements.slice(1)
    expect(
      await post(
        encodeJoinRequest({
          version: 1,
          name: "KE",
          statements: other.map(({ statement }) => statement),
          prekeys: [],
        }),
      ),
    ).toBe(403)

    const elsewhere = encodeJoinRequest({
      version: 1,
      name: "XX",
      statements: world.newcomer("XX", ["hub1"]).statements.map(({ statement }) => statement),
      prekeys: [],
    })
    const again = await http(relay, "/join", { method: "POST", headers, body: elsewhere })
    expect(JSON.parse(again.body)).toMatchObject({ error: { code: "token-used" } })

    const members = [
      ...world.roster.members,
      { node: "KE", status: 0 as const, genesisId, flags: [] },
    ].toSorted((a, b) => (a.node < b.node ? -1 : 1))
    const roster = world.nextRoster({ members })
    const body = encodePostedStatement({ version: 1, ...roster })
    expect((await http(relay, "/statements", { method: "POST", body })).status).toBe(200)
    const client = makeLinkCertificate({
      name: "KE",
      seed: seededKey("link", "KE").seed,
      serial: seedOf("serial").slice(0, 16),
      notBefore: world.at,
    })
    await expect
      .poll(async () => (await http(relay, "/directory/checkpoint", { client })).status, {
        timeout: 10_000,
      })
      .toBe(200)
  })
})

describe("what a relay keeps and says", () => {
  test("holds no word of the content: not on disk, in the log lines, in metrics or answers", async () => {
    const world = await stage.world(["hub1"])
    const lines: string[] = []
    const journal: Journal = {
      info: (event, facts) => lines.push(JSON.stringify({ event, ...facts })),
      warn: (event, facts) => lines.push(JSON.stringify({ event, ...facts })),
    }
    const relay = await stage.start("hub1", { journal })
    const fr = await stage.node(world, "FR", relay)
    const jp = await stage.node(world, "JP", relay)
    const canary = "CANARY-7f3a91"
    const document = new Map([["subject", canary]])
    await fr.submit("hub1", fr.seal("hub1", { to: ["JP"], document }))
    await jp.delivery()
    const metrics = await http(relay, "/metrics")
    await relay.stop()
    const { dir } = stage.place("hub1")
    const planted = lines.concat(canary)

    const spellings = [canary, toHex(utf8(canary)), toBase64(utf8(canary)).slice(0, 12)]
    const hits = (text: string): number => spellings.filter((word) => text.includes(word)).length
    expect(hits(planted.join("\n"))).toBeGreaterThan(0)
    expect(hits(lines.join("\n"))).toBe(0)
    expect(hits(metrics.body)).toBe(0)
    const files = await readdir(dir, { recursive: true, withFileTypes: true })
    for (const file of files.filter((item) => item.isFile()))
      expect(hits(await readFile(join(file.parentPath, file.name), "latin1"))).toBe(0)
  })
})
