// Several relays: who gets what by which way, when all are there and when some are not.

import { afterEach, describe, expect, test } from "vitest"
import { RelayDoor } from "../../cli/relay-door.ts"
import { toHex } from "../../protocol/bytes.ts"
import { zeroHash } from "../../protocol/chain.ts"
import type { LinkMessage } from "../../protocol/link-messages.ts"
import { decodeReceipt, receiptSteps } from "../../protocol/receipt.ts"
import { memberStatuses } from "../../protocol/roster.ts"
import {
  type DrainFacts,
  type RelayFacts,
  drainFacts,
  relayFacts,
} from "../../relay/operator-facts.ts"
import { systemClock } from "../../relay/adapters/system-clock.ts"
import { relayLimits } from "../../relay/limits.ts"
import type { RunningRelay } from "../../relay/start.ts"
import { chainStatement } from "../kit/chains.ts"
import { refusalOf } from "../kit/refusal.ts"
import { Stage } from "../kit/running-relays.ts"
import type { TestNode } from "../kit/test-node.ts"
import { type World, seedOf } from "../kit/world.ts"

const stage = new Stage()
afterEach(async () => stage.end())

const hubs = ["hub1", "hub2", "hub3", "hub4"] as const
type Hub = (typeof hubs)[number]

async function federation(): Promise<{
  readonly world: World
  readonly relays: ReadonlyMap<string, RunningRelay>
}> {
  const world = await stage.world(hubs, { members: ["BR", "FR", "HQ", "JP", "KE"] })
  const relays = new Map<string, RunningRelay>()
  for (const name of hubs) relays.set(name, await stage.start(name))
  await stage.linked(...relays.values())
  return { world, relays }
}

function relayOf(relays: ReadonlyMap<string, RunningRelay>, name: string): RunningRelay {
  const relay = relays.get(name)
  if (relay === undefined) throw new Error(`no relay ${name}`)
  return relay
}

/** The member whose first home is this relay. */
function guestOf(world: World, hub: Hub, except: readonly string[] = []): string {
  const found = [...world.members.values()].find(
    ({ name, homes }) => homes[0] === hub && !except.includes(name),
  )
  if (found === undefined) throw new Error(`nobody is at home at ${hub}`)
  return found.name
}

function deliveriesOf(node: TestNode): readonly LinkMessage<"deliver">[] {
  return node.asked.flatMap(({ message }) => (message.name === "deliver" ? [message] : []))
}

/** `step by-or-recipient ref` of every open receipt that the node was told of. */
function stepsAt(node: TestNode): readonly string[] {
  const names = new Map(Object.entries(receiptSteps).map(([name, step]) => [step as number, name]))
  return node.asked
    .flatMap(({ message }) => (message.name === "evidence" ? message.items : []))
    .filter(({ auth }) => auth !== null)
    .map(({ receipt }) => decodeReceipt(receipt))
    .map(({ step, by, recipientNode, ref }) =>
      [
        names.get(step),
        by ?? "",
        recipientNode,
        ...(ref === null ? [] : [new TextDecoder().decode(ref)]),
      ].join(" "),
    )
}

async function statusOf(hub: string): Promise<RelayFacts> {
  const door = await RelayDoor.of(stage.place(hub).dir)
  return door.ask({ method: "GET", path: "/status" }, relayFacts)
}

async function drain(hub: string, method: "POST" | "DELETE" = "POST"): Promise<DrainFacts> {
  const door = await RelayDoor.of(stage.place(hub).dir)
  return door.ask({ method, path: "/draining" }, drainFacts)
}

describe("four relays", { timeout: 120_000 }, () => {
  test("a message for members of all of them goes once to each, with their slices only, and its evidence comes back", async () => {
    const { world, relays } = await federation()
    const sender = guestOf(world, "hub1")
    const fr = await stage.node(world, sender, ...relays.values())
    const others = [...world.members.keys()].filter((name) => name !== sender)
    const submission = fr.seal("hub1", { to: others, lane: 2 })
    const nodes = await Promise.all(
      others.map(async (name) => {
        const home = world.member(name).homes[0] ?? ""
        return { name, home, node: await stage.node(world, name, relayOf(relays, home)) }
      }),
    )
    await fr.submit("hub1", submission)
    for (const { home, node } of nodes) {
      const delivered = await node.delivery()
      expect(toHex(delivered.body)).toBe(toHex(submission.sealed.body))
      const receipts = node.receipts(home, [{ messageId: submission.sealed.messageId, to: sender }])
      expect((await node.link(home).request(5, receipts)).name).toBe("accepted")
    }
    await expect
      .poll(
        () =>
          stepsAt(fr)
            .filter((step) => step.startsWith("delivered"))
            .toSorted(),
        {
          timeout: 20_000,
        },
      )
      .toEqual(others.map((name) => `delivered  ${name}`).toSorted())
    const steps = stepsAt(fr)
    for (const { name, home, node } of nodes) {
      expect(deliveriesOf(node)).toHaveLength(1)
      if (home === "hub1") continue
      expect(steps).toContain(`forwarded hub1 ${name} ${home}`)
      expect(steps).toContain(`custody ${home} ${name}`)
    }
  })

  test("one home down, then two: mail goes to the next home that is there, also what waited", async () => {
    const { world, relays } = await federation()
    const sender = guestOf(world, "hub1")
    const fr = await stage.node(world, sender, relayOf(relays, "hub1"))
    const name = guestOf(world, "hub2", [sender])
    expect(world.member(name).homes).toEqual(["hub2", "hub3", "hub4", "hub1"])

    await relayOf(relays, "hub2").stop()
    await fr.submit("hub1", fr.seal("hub1", { to: [name] }))
    await expect.poll(() => stepsAt(fr), { timeout: 30_000 }).toContain(`custody hub3 ${name}`)

    // hub3 goes with the message in its custody: hub1, which kept its copy, gives it to hub4.
    await relayOf(relays, "hub3").stop()
    await expect.poll(() => stepsAt(fr), { timeout: 30_000 }).toContain(`custody hub4 ${name}`)
    const node = await stage.node(world, name, relayOf(relays, "hub4"))
    expect(deliveriesOf(node)).toHaveLength(0)
    await node.delivery()
  })

  test("a message that two relays accepted and forwarded is let go by both once it is delivered", async () => {
    const { world, relays } = await federation()
    const sender = guestOf(world, "hub1")
    const fr = await stage.node(world, sender, ...relays.values())
    const name = guestOf(world, "hub3", [sender])
    const submission = fr.seal("hub1", { to: [name], lane: 3 })
    const { messageId } = submission.sealed
    await fr.submit("hub1", submission)
    // A flash goes to a second relay too, with a log statement for that one.
    const { origin } = world.relay("hub2").trafficLog
    const statement = fr.statement("envelope", origin, messageId, 1)
    await fr.link("hub2").request(4, { ...submission.request, statement })
    for (const hub of ["hub1", "hub2"])
      await expect
        .poll(
          async () => (await statusOf(hub)).relays.find((one) => one.name === "hub3")?.inCustody,
          {
            timeout: 20_000,
          },
        )
        .toMatchObject({ items: 1 })
    const node = await stage.node(world, name, relayOf(relays, "hub3"))
    await node.delivery()
    const receipts = node.receipts("hub3", [{ messageId, to: sender }])
    expect((await node.link("hub3").request(5, receipts)).name).toBe("accepted")
    for (const hub of ["hub1", "hub2"])
      await expect
        .poll(
          async () => (await statusOf(hub)).relays.find((one) => one.name === "hub3")?.inCustody,
          {
            timeout: 20_000,
          },
        )
        .toMatchObject({ items: 0 })
  })

  test("what came from another relay and then from its sender is forwarded as this relay's own", async () => {
    const { world, relays } = await federation()
    const sender = guestOf(world, "hub1")
    const fr = await stage.node(world, sender, ...relays.values())
    const here = guestOf(world, "hub2", [sender])
    const there = guestOf(world, "hub3", [sender, here])
    const submission = fr.seal("hub1", { to: [here, there], lane: 3 })
    await fr.submit("hub1", submission)
    await expect.poll(() => stepsAt(fr), { timeout: 20_000 }).toContain(`custody hub2 ${here}`)
    const { origin } = world.relay("hub2").trafficLog
    const statement = fr.statement("envelope", origin, submission.sealed.messageId, 1)
    await fr.link("hub2").request(4, { ...submission.request, statement })
    await expect
      .poll(
        async () => (await statusOf("hub2")).relays.find((one) => one.name === "hub3")?.inCustody,
        { timeout: 20_000 },
      )
      .toMatchObject({ items: 1 })
  })

  test("a relay that the roster removes is left, and what waited for it goes elsewhere", async () => {
    const { world, relays } = await federation()
    const sender = guestOf(world, "hub1")
    const fr = await stage.node(world, sender, relayOf(relays, "hub1"))
    const name = guestOf(world, "hub2", [sender])
    await fr.submit("hub1", fr.seal("hub1", { to: [name] }))
    await expect.poll(() => stepsAt(fr), { timeout: 20_000 }).toContain(`custody hub2 ${name}`)

    const removed = world.roster.relays.map((relay) =>
      relay.name === "hub2" ? { ...relay, status: memberStatuses.removed } : relay,
    )
    const { statement } = world.nextRoster({ relays: removed })
    await fr.link("hub1").request(5, { name: "statementPut", sort: "roster", statement })
    await expect
      .poll(() => relayOf(relays, "hub1").linkedRelays().includes("hub2"), { timeout: 20_000 })
      .toBe(false)
    await expect.poll(() => stepsAt(fr), { timeout: 30_000 }).toContain(`custody hub3 ${name}`)
  })
})

describe("a member whose root chain has forked", { timeout: 120_000 }, () => {
  test("is frozen after a restart too, though the fork is told nobody again", async () => {
    const world = await stage.world(["hub1"])
    const before = await stage.start("hub1")
    const fr = await stage.node(world, "FR", before)
    const jp = await stage.node(world, "JP", before)
    const { root, rootChain } = world.member("FR")
    const place = { seq: rootChain.seq - 1, prev: zeroHash }
    const rival = chainStatement("FR", place, "relays", { names: ["hub9"] }, [root])
    const put = { name: "statementPut", sort: "chain", statement: rival.statement } as const
    expect(await refusalOf(jp.link("hub1").request(5, put))).toBe("chain-fork")
    const late = fr.seal("hub1", { to: ["JP"] })
    expect(await refusalOf(fr.submit("hub1", late))).toBe("frozen")

    await before.stop()
    const after = await stage.start("hub1")
    const again = await stage.node(world, "FR")
    const link = await again.connect("hub1", after.linksPort)
    const ask = { name: "prekeysGet", hashes: [seedOf("any")] } as const
    expect(await refusalOf(link.request(5, ask))).toBe("link-down")
  })
})

describe("a relay that is emptied", { timeout: 120_000 }, () => {
  test("takes no new submit, hands on what waits for who is away, and is empty; other relays spare it", async () => {
    const { world, relays } = await federation()
    const hub2 = relayOf(relays, "hub2")
    const sender = guestOf(world, "hub1")
    const name = guestOf(world, "hub2", [sender])
    const fr = await stage.node(world, sender, ...relays.values())
    // Accepted at hub2 for its own guest, who is away.
    await fr.submit("hub2", fr.seal("hub2", { to: [name] }))
    const begun = await drain("hub2")
    expect(begun).toMatchObject({ isEmpty: false, items: 1 })
    await fr.until((asked) =>
      asked.find(({ from, message }) => from === "hub2" && message.name === "draining"),
    )
    await expect
      .poll(() => stepsAt(fr), { timeout: 30_000 })
      .toContain(`forwarded hub2 ${name} hub3`)
    await expect.poll(async () => (await drain("hub2")).isEmpty, { timeout: 20_000 }).toBe(true)

    // Its guests' mail from elsewhere goes to their next home meanwhile.
    await fr.submit("hub1", fr.seal("hub1", { to: [name] }))
    await expect
      .poll(() => stepsAt(fr), { timeout: 20_000 })
      .toContain(`forwarded hub1 ${name} hub3`)

    // It stays so across a restart; a node that did not hear of it is refused.
    await hub2.stop()
    const again = await stage.start("hub2")
    expect((await drain("hub2")).since).toBe(begun.since)
    const jp = await stage.node(world, name, again)
    expect(jp.asked.some(({ message }) => message.name === "deliver")).toBe(false)

    expect(await drain("hub2", "DELETE")).toMatchObject({ since: null })
    await jp.until((asked) =>
      asked.find(({ message }) => message.name === "draining" && !message.isOn),
    )
    expect(jp.isAccepted(...(await submitted(jp, "hub2", sender)))).toBe(true)
  })

  test("refuses a submit once the node has been told for long enough, and a drain with nobody to take over", async () => {
    const world = await stage.world(["hub1", "hub2"])
    let laterMs = 0
    const monotonicMs = (): number => systemClock.monotonicMs() + laterMs
    const hub1 = await stage.start("hub1", { clock: { ...systemClock, monotonicMs } })
    const hub2 = await stage.start("hub2")
    await stage.linked(hub1, hub2)
    const fr = await stage.node(world, "FR", hub1)
    await drain("hub1")
    const link = fr.link("hub1")
    // Under way when it was told: taken still.
    await fr.submit("hub1", fr.seal("hub1", { to: ["JP"] }))
    const late = fr.seal("hub1", { to: ["JP"] })
    laterMs = relayLimits.drainGraceMs + 1
    const refusal: unknown = await link.request(4, late.request).catch((cause: unknown) => cause)
    expect(refusal).toMatchObject({ code: "draining", isFinal: false, retrySeconds: 30 })
    await drain("hub1", "DELETE")
    await hub2.stop()
    await expect.poll(() => hub1.linkedRelays()).toEqual([])
    expect(await refusalOf(drain("hub1"))).toBe("no-relay")
  })
})

async function submitted(
  node: TestNode,
  relay: string,
  to: string,
): Promise<Parameters<TestNode["isAccepted"]>> {
  const submission = node.seal(relay, { to: [to] })
  return [await node.submit(relay, submission), submission.sealed.messageId]
}
