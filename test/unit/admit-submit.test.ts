// The relay's admission: one envelope that passes, and for every check the change that fails it.

import { describe, expect, test } from "vitest"
import { signBatch } from "../../keys/batch-signer.ts"
import { crypto, sha256 } from "../../keys/crypto.ts"
import { BatchVerifier, decodeAuth, encodeAuth } from "../../protocol/batch.ts"
import type { Directory } from "../../protocol/directory.ts"
import {
  decodeHeader,
  decodeLeaf,
  encodeHeader,
  encodeLeaf,
  messageIdOf,
} from "../../protocol/envelope.ts"
import type { Header } from "../../protocol/envelope.ts"
import type { ErrorCode } from "../../protocol/errors.ts"
import { leafHash, treeRoot } from "../../protocol/tree.ts"
import {
  type Submit,
  type SubmitFacts,
  admitEnvelope,
  isFinal,
  judgeLogStatement,
  readEnvelope,
} from "../../relay/core/admit-submit.ts"
import { codeOf } from "../kit/refusal.ts"
import { TestNode } from "../kit/test-node.ts"
import { World, seededKey } from "../kit/world.ts"

const at = 1_800_000_000
const origin = "hub1/directory"

/** A directory whose statements all stand in hub1's log. */
function placed(world: World): { readonly directory: Directory; readonly size: number } {
  const directory = world.directory()
  const statements = directory.statements()
  statements.forEach(({ id }, index) => {
    directory.place(origin, index, id)
  })
  return { directory, size: statements.length }
}

type Case = {
  readonly world: World
  readonly fr: TestNode
  readonly submit: Submit
  readonly facts: SubmitFacts
}

function good(): Case {
  const world = new World({ at, relays: ["hub1"] })
  const fr = new TestNode(world, "FR")
  const { request } = fr.seal("hub1", { to: ["HQ", "JP"] })
  const { directory, size } = placed(world)
  return {
    world,
    fr,
    submit: { ...request, request: 1 },
    facts: {
      directory,
      batches: new BatchVerifier(crypto, 16),
      place: { origin, size },
      now: at,
      acceptedAt: at,
      peer: "FR",
      trafficOrigin: world.relay("hub1").trafficLog.origin,
    },
  }
}

function admit({ submit, facts }: Case): void {
  const read = readEnvelope(submit)
  const subject = read.messageId
  admitEnvelope(submit, read, facts)
  judgeLogStatement(submit.statement, { ...facts, kind: "envelope", subject })
}

/** The header changed, and signed again by the node, so that only the change can be at fault. */
function resigned(item: Case, change: (header: Header) => Header): Case {
  const header = encodeHeader(change(decodeHeader(item.submit.header)))
  const id = messageIdOf(sha256, header)
  const { auths } = signBatch("FR", item.fr.member.node, [{ id, blind: new Uint8Array(16) }])
  const [auth] = auths
  if (auth === undefined) throw new Error("one auth")
  const statement = item.fr.statement("envelope", item.facts.trafficOrigin, id)
  return { ...item, submit: { ...item.submit, header, auth: encodeAuth(auth), statement } }
}

function withCore(item: Case, core: Partial<Header["core"]>): Case {
  return resigned(item, (header) => ({ ...header, core: { ...header.core, ...core } }))
}

/** Other leaves under a slicesRoot of their own. */
function withLeaves(
  item: Case,
  change: (leaf: ReturnType<typeof decodeLeaf>) => typeof leaf,
): Case {
  const leaves = item.submit.leaves.map((leaf) => encodeLeaf(change(decodeLeaf(leaf))))
  const slicesRoot = treeRoot(
    sha256,
    leaves.map((leaf) => leafHash(sha256, leaf)),
  )
  const signed = resigned(item, (header) => ({ ...header, slicesRoot }))
  return { ...signed, submit: { ...signed.submit, leaves } }
}

function flipped(bytes: Uint8Array, i = bytes.length - 1): Uint8Array {
  return bytes.map((byte, j) => (j === i ? byte ^ 1 : byte))
}

function rename(node: string): string {
  return node === "JP" ? "ZZ" : node
}

const refusals: readonly (readonly [ErrorCode, string, (item: Case) => Case])[] = [
  [
    "size",
    "a body below the least",
    (item) => ({ ...item, submit: { ...item.submit, body: item.submit.body.slice(0, 100) } }),
  ],
  [
    "not-canonical",
    "a header with a byte too many",
    (item) => ({
      ...item,
      submit: { ...item.submit, header: Uint8Array.of(...item.submit.header, 0) },
    }),
  ],
  ["suite", "an unknown suite", (item) => withCore(item, { suite: 2 })],
  [
    "sender-key",
    "a key that the directory had not then",
    (item) => ({ ...item, facts: { ...item.facts, place: { origin, size: 1 } } }),
  ],
  [
    "sender-key",
    "another member's envelope",
    (item) => ({ ...item, facts: { ...item.facts, peer: "JP" } }),
  ],
  [
    "sender-key",
    "a slice of another incarnation",
    (item) => withLeaves(item, (leaf) => ({ ...leaf, incarnation: 2 })),
  ],
  [
    "signature",
    "a changed signature",
    (item) => {
      const auth = decodeAuth(item.submit.auth)
      return {
        ...item,
        submit: {
          ...item.submit,
          auth: encodeAuth({ ...auth, signature: flipped(auth.signature, 0) }),
        },
      }
    },
  ],
  [
    "too-early",
    "created more than 5 minutes ahead",
    (item) => ({ ...item, facts: { ...item.facts, now: at - 301 } }),
  ],
  ["expired", "after its end", (item) => ({ ...item, facts: { ...item.facts, now: at + 86_401 } })],
  [
    "expired",
    "a life longer than the policy's",
    (item) => withCore(item, { expires: at + 1_209_601 }),
  ],
  [
    "body",
    "another body of that length",
    (item) => ({ ...item, submit: { ...item.submit, body: flipped(item.submit.body) } }),
  ],
  [
    "slice",
    "a slice missing",
    (item) => ({ ...item, submit: { ...item.submit, leaves: item.submit.leaves.slice(1) } }),
  ],
  [
    "slice",
    "two slices swapped",
    (item) => ({ ...item, submit: { ...item.submit, leaves: item.submit.leaves.toReversed() } }),
  ],
  [
    "slice",
    "a slice with another wrap",
    (item) => ({
      ...item,
      submit: { ...item.submit, leaves: item.submit.leaves.map((leaf) => flipped(leaf)) },
    }),
  ],
  [
    "unknown-recipient",
    "somebody whom no roster names",
    (item) => {
      const renamed = withLeaves(item, (leaf) => ({ ...leaf, node: rename(leaf.node) }))
      return withCore(renamed, {
        recipients: decodeHeader(renamed.submit.header).core.recipients.map((one) => ({
          ...one,
          node: rename(one.node),
        })),
      })
    },
  ],
  [
    "stale",
    "a statement for another log",
    (item) => ({ ...item, facts: { ...item.facts, trafficOrigin: "hub1/traffic/1999" } }),
  ],
  [
    "commitment",
    "a salt that opens nothing",
    (item) => ({
      ...item,
      submit: { ...item.submit, statement: { ...item.submit.statement, salt: new Uint8Array(32) } },
    }),
  ],
  [
    "commitment",
    "no salt",
    (item) => ({
      ...item,
      submit: { ...item.submit, statement: { ...item.submit.statement, salt: null } },
    }),
  ],
  [
    "entry-signature",
    "a statement with another number than was signed",
    (item) => ({
      ...item,
      submit: { ...item.submit, statement: { ...item.submit.statement, seq: 77 } },
    }),
  ],
  [
    "entry-key",
    "a statement by a key that nobody named",
    (item) => ({
      ...item,
      submit: {
        ...item.submit,
        statement: { ...item.submit.statement, keyId: seededKey("node", "nobody").keyId },
      },
    }),
  ],
  [
    "suspended",
    "a suspended sender",
    (item) => {
      const members = item.world.roster.members.map((one) => ({
        ...one,
        status: one.node === "FR" ? (1 as const) : one.status,
      }))
      item.world.nextRoster({ members })
      const { directory, size } = placed(item.world)
      return { ...item, facts: { ...item.facts, directory, place: { origin, size } } }
    },
  ],
  [
    "roster",
    "a roster past its grace",
    (item) => {
      item.world.nextRoster({ expires: at - 31 * 86_400 })
      const { directory, size } = placed(item.world)
      return { ...item, facts: { ...item.facts, directory, place: { origin, size } } }
    },
  ],
  [
    "sender-key",
    "a revoked key",
    (item) => {
      const { kind, statement } = item.world.revocation("FR", item.fr.member.node.keyId)
      item.world.statements.push({ kind, statement })
      const { directory, size } = placed(item.world)
      return { ...item, facts: { ...item.facts, directory, place: { origin, size } } }
    },
  ],
]

describe("admission", () => {
  test("takes an honest envelope", () => {
    expect(codeOf(() => admit(good()))).toBeUndefined()
  })

  test.each(refusals)("refuses with %s: %s", (code, _what, change) => {
    expect(codeOf(() => admit(change(good())))).toBe(code)
  })

  test("a frozen member's envelope is refused", () => {
    const item = good()
    const { world } = item
    const { rootChain } = world.member("FR")
    const end = { ...rootChain }
    const directory = item.facts.directory
    const place = { ...rootChain, seq: rootChain.seq - 1 }
    Object.assign(rootChain, place)
    const fork = world.extendRoot("FR", "relays", { names: ["hub1"] })
    Object.assign(rootChain, end)
    expect(codeOf(() => directory.apply("chain", fork.statement))).toBe("chain-fork")
    expect(codeOf(() => admit(item))).toBe("frozen")
  })

  test("what our own view or room causes can pass by itself, what is wrong with the envelope cannot", () => {
    expect((["busy", "clock", "sender-key", "attachments-missing"] as const).map(isFinal)).toEqual([
      false,
      false,
      false,
      false,
    ])
    expect((["signature", "slice", "expired", "not-canonical"] as const).map(isFinal)).toEqual([
      true,
      true,
      true,
      true,
    ])
  })
})
