// What another relay's answer to a forward is worth.

import { beforeAll, describe, expect, test } from "vitest"
import { crypto } from "../../keys/crypto.ts"
import { BatchVerifier } from "../../protocol/batch.ts"
import { openMemoryRecordStore } from "../../relay/adapters/memory-record-store.ts"
import { sealLedger } from "../../relay/core/commit-ledger.ts"
import { custodyOf } from "../../relay/core/custody.ts"
import { Draft, type RelayStep, type SealedSteps } from "../../relay/core/draft.ts"
import { Keyring } from "../../relay/core/keyring.ts"
import { yearAt } from "../../relay/core/logs.ts"
import { relayLimits } from "../../relay/limits.ts"
import { countingRandom } from "../kit/counting-random.ts"
import { relayKeyEntries } from "../kit/relay-dir.ts"
import { World, seedOf } from "../kit/world.ts"

const messageId = seedOf("message")
const nodes = ["FR", "JP"] as const
let world: World

beforeAll(() => {
  world = new World({ at: 1_900_000_000, relays: ["hub1", "hub2"] })
})

function stepsFor(change: Partial<RelayStep> = {}): readonly RelayStep[] {
  return nodes.map((recipientNode) => ({
    messageId,
    recipientNode,
    step: "custody",
    reason: null,
    ref: null,
    ...change,
  }))
}

/** What that relay signs and logs in a commit of its own. */
function signedBy(name: string, steps: readonly RelayStep[]): SealedSteps {
  const directory = world.directory()
  const keyring = new Keyring(name, directory, relayKeyEntries(world, name))
  const log = keyring.ownLog("traffic", yearAt(world.at))
  const draft = new Draft(openMemoryRecordStore(new Map()), {
    now: world.at,
    time: world.at,
    untimed: "clock",
    trafficOrigin: log.origin,
    directoryOrigin: `${name}/directory`,
    directoryFirst: 0,
    directorySize: 0,
  })
  const range = draft.sign(steps)
  const sealed = sealLedger(draft, {
    name,
    key: keyring.relayKey(world.at),
    random: countingRandom(name),
    log,
    first: 0,
    time: world.at,
    directorySize: 0,
    nextSeq: () => 1,
  })
  return sealed.steps(range)
}

function heldOf(custody: SealedSteps): readonly string[] {
  const directory = world.directory()
  const batches = new BatchVerifier(crypto, relayLimits.verifiedBatchesMax)
  const facts = { directory, batches, now: world.at }
  return [...custodyOf(custody, { relay: "hub2", messageId }, facts).keys()]
}

describe("custody", () => {
  test("counts for each node that the relay has signed for", () => {
    const custody = signedBy("hub2", stepsFor())
    expect(heldOf(custody)).toEqual(nodes)
    expect(heldOf({ ...custody, receipts: custody.receipts.slice(1) })).toEqual(["JP"])
  })

  test("does not count as another relay's word, for another message or as another step", () => {
    expect(heldOf(signedBy("hub1", stepsFor()))).toEqual([])
    expect(heldOf(signedBy("hub2", stepsFor({ messageId: seedOf("another") })))).toEqual([])
    expect(heldOf(signedBy("hub2", stepsFor({ step: "forwarded" })))).toEqual([])
  })

  test("does not count when it was changed, is garbage, or was not logged", () => {
    const custody = signedBy("hub2", stepsFor())
    const [first, second] = custody.receipts
    if (first === undefined || second === undefined) throw new Error("two receipts")
    const swapped = { receipt: first.receipt, auth: second.auth }
    expect(heldOf({ ...custody, receipts: [swapped, second] })).toEqual(["JP"])
    const garbage = { receipt: seedOf("garbage"), auth: first.auth }
    expect(heldOf({ ...custody, receipts: [garbage] })).toEqual([])
    const { acceptance } = signedBy("hub2", stepsFor({ messageId: seedOf("another") }))
    expect(heldOf({ ...custody, acceptance })).toEqual([])
    expect(heldOf({ ...custody, acceptance: signedBy("hub1", stepsFor()).acceptance })).toEqual([])
  })
})
