// Directory statements for the frozen vectors: some good, most with one fault.

import { possessionOf, signRoster } from "../../keys/statements.ts"
import { chainStatement, at, days, linkBody, nodeBody, officerBody } from "./chains.ts"
import { zeroHash } from "../../protocol/chain.ts"
import { decodeMultiSigned, encodeMultiSigned } from "../../protocol/multi-signed.ts"
import type { Roster } from "../../protocol/roster.ts"
import { type SeededKey, type Statement, type World, seededKey } from "./world.ts"

export type StatementCase = readonly [section: string, name: string, statement: Statement]

export function badStatements(world: World): readonly StatementCase[] {
  return [...rosters(world), ...chains(world), ...revocations(world)]
}

function rosters(world: World): readonly StatementCase[] {
  const [a, b, c] = world.custodians
  if (a === undefined || b === undefined || c === undefined) throw new Error("three custodians")
  const [d, e] = [seededKey("custodian", "4"), seededKey("custodian", "5")]
  const signed = (changes: Partial<Roster>, keys: readonly SeededKey[]): Statement => ({
    kind: "roster",
    statement: signRoster({ ...world.roster, number: 2, ...changes }, keys).statement,
  })
  const custodians = { threshold: 2, keys: [d.publicKey, e.publicKey] }
  const good = signed({}, [a, b])
  const { body, signatures } = decodeMultiSigned(good.statement)
  const lied = signatures.map((line) => ({ ...line, signature: new Uint8Array(64) }))
  const section = "roster succession"
  return [
    [section, "the next roster", good],
    [section, "a version skipped", signed({ number: 3 }, [a, b])],
    [section, "version 0", signed({ number: 0 }, [a, b])],
    [section, "one signature", signed({}, [a])],
    [section, "one custodian and a stranger", signed({}, [a, d])],
    [section, "new custodians, signed by the old only", signed({ custodians }, [a, b])],
    [section, "new custodians, signed by the new only", signed({ custodians }, [d, e])],
    [section, "new custodians, signed by both", signed({ custodians }, [a, b, d, e])],
    [
      section,
      "a bad signature by a known key",
      { kind: "roster", statement: encodeMultiSigned({ body, signatures: lied }) },
    ],
    [
      section,
      "the same version again, with other content",
      signed({ number: 1, at: at + 1 }, [b, c]),
    ],
    [
      section,
      "one key twice",
      signed({ custodians: { threshold: 2, keys: [a.publicKey, a.publicKey] } }, [a, b]),
    ],
    [
      section,
      "a small-order custodian",
      signed({ custodians: { threshold: 1, keys: [a.publicKey, new Uint8Array(32)] } }, [a, b]),
    ],
    [section, "less than a year", signed({ expires: at + days(364) }, [a, b])],
  ]
}

const chain = (item: { readonly statement: Uint8Array }): Statement => ({
  kind: "chain",
  statement: item.statement,
})

function chains(world: World): readonly StatementCase[] {
  const fr = world.member("FR")
  const hub = world.relay("hub1")
  const relayKey = hub.keys[0] ?? fr.node
  const key = seededKey("node", "new")
  const officer = seededKey("officer", "new")
  const homes = { names: ["hub2"] }
  const end = fr.rootChain
  const root = (
    name: string,
    op: Parameters<typeof chainStatement>[2],
    body: never,
    keys = [fr.root],
    place = end,
  ) => ["root chain", name, chain(chainStatement("FR", place, op, body, keys))] as const
  const node = (
    name: string,
    op: Parameters<typeof chainStatement>[2],
    body: never,
    keys = [fr.node],
    place = fr.nodeChain,
  ) => ["node chain", name, chain(chainStatement("FR", place, op, body, keys))] as const
  const named = (changes: object) => ({ ...nodeBody("FR", key), ...changes }) as never
  const enrolled = (changes: object) => ({ ...officerBody("FR/new", officer), ...changes }) as never
  const link = linkBody("FR", "new") as never
  const supervisor = fr.officers[1]?.key ?? fr.node
  const duty = fr.officers[0]?.key ?? fr.node
  const none: SeededKey[] = []
  return [
    root("homes", "relays", homes as never),
    root("unsigned", "relays", homes as never, none),
    root("signed by the node key", "relays", homes as never, [fr.node]),
    root("a gap", "relays", homes as never, [fr.root], { seq: end.seq + 1, prev: end.prev }),
    root("another prev", "relays", homes as never, [fr.root], { seq: end.seq, prev: zeroHash }),
    root("a fork", "relays", homes as never, [fr.root], { seq: end.seq - 1, prev: zeroHash }),
    root("a node key", "node", named({})),
    root("a node key without possession", "node", named({ possession: new Uint8Array(64) })),
    root(
      "a node key possessed in another name",
      "node",
      named({ possession: possessionOf("HQ", key) }),
    ),
    root("a small-order node key", "node", named({ key: new Uint8Array(32) })),
    root("a node key of more than 90 days", "node", named({ notAfter: at + days(90) })),
    root("a node key of incarnation 0", "node", named({ incarnation: 0 })),
    root("a standby key of the same incarnation", "standby", named({})),
    root("a relay key at a member", "relay", {
      key: key.publicKey,
      notBefore: at,
      notAfter: at + days(9),
      possession: possessionOf("FR", key),
    } as never),
    root("an officer", "officer", enrolled({})),
    root("another member's officer", "officer", enrolled({ officer: "HQ/new" })),
    root("a link key", "link", link),
    root("a second genesis", "genesis", { threshold: 1, keys: [fr.root.publicKey] } as never),
    node("a link key", "link", link),
    node("signed by the root", "link", link, [fr.root]),
    node("signed by another member's node", "link", link, [world.member("HQ").node]),
    node("a gap", "link", link, [fr.node], { seq: fr.nodeChain.seq + 1, prev: fr.nodeChain.prev }),
    node("a fork", "link", link, [fr.node], { seq: 0, prev: zeroHash }),
    node("a link key without possession", "link", {
      ...linkBody("FR", "new"),
      possession: new Uint8Array(64),
    } as never),
    node("a relay's urls at a member", "urls", {
      links: ["wss://a"],
      https: ["https://a"],
    } as never),
    node("an officer without an enroller", "officer", enrolled({})),
    node("an officer enrolled by one who may not", "officer", enrolled({}), [fr.node, duty]),
    node(
      "an officer with more than the enroller has",
      "officer",
      enrolled({ capabilities: ["admin/node"] }),
      [fr.node, supervisor],
    ),
    node("an officer enrolled", "officer", enrolled({}), [fr.node, supervisor]),
    [
      "node chain",
      "prekeys at a relay",
      chain(
        chainStatement(
          "hub1",
          hub.nodeChain,
          "prekeys",
          { firstDay: 1, suites: [1], hashes: Array.from({ length: 28 }, () => zeroHash) },
          [relayKey],
        ),
      ),
    ],
    ["root chain", "of a stranger", chain(chainStatement("XX", end, "relays", homes, [fr.root]))],
  ]
}

const revoke = (name: string, keyId: Uint8Array, keys: readonly SeededKey[], time = at) => {
  const item = chainStatement("FR", null, "revoke", { keyId, reason: "lost" }, keys, time)
  return ["revocation", name, { kind: "chain", statement: item.statement }] as const
}

function revocations(world: World): readonly StatementCase[] {
  const fr = world.member("FR")
  const placed = chainStatement(
    "FR",
    fr.rootChain,
    "revoke",
    { keyId: fr.node.keyId, reason: "lost" },
    [fr.root],
  )
  return [
    revoke("of the node key by the root, a year old", fr.node.keyId, [fr.root], at - days(365)),
    revoke("of the node key by itself", fr.node.keyId, [fr.node]),
    revoke("of the node key by an officer", fr.node.keyId, [fr.officers[1]?.key ?? fr.node]),
    revoke("of a link key by its node", fr.link.keyId, [fr.node]),
    revoke("of an officer by one who may enrol", fr.officers[0]?.key.keyId ?? zeroHash, [
      fr.officers[1]?.key ?? fr.node,
    ]),
    revoke("by another member", fr.node.keyId, [world.member("HQ").root]),
    revoke("unsigned", fr.node.keyId, []),
    ["revocation", "with a place in the chain", { kind: "chain", statement: placed.statement }],
    ["policy", "that no roster names", { kind: "policy", statement: new Uint8Array(9) }],
  ]
}
