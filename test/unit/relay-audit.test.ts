// Auditing a relay: an honest log passes; every manipulation is found under its own code.

import { describe, expect, it } from "vitest"
import { formatAuditState, parseAuditState } from "../../audit/audit-state.ts"
import { type Verifiers, verifiers } from "../../audit/double-check.ts"
import { type AuditReport, type RelayAudit, auditRelay } from "../../audit/relay-audit.ts"
import { crypto, sha256 } from "../../keys/crypto.ts"
import { signRoster } from "../../keys/statements.ts"
import { concat, fromUtf8, toHex, utf8 } from "../../protocol/bytes.ts"
import { commitmentOf } from "../../protocol/entry.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { checkFork, parseForkFile } from "../../protocol/fork-file.ts"
import { promiseKeyName } from "../../protocol/promise.ts"
import { formatVerifierKey, parseVerifierKey } from "../../protocol/verifier-key.ts"
import { AuditedRelay, witnessed } from "../kit/audited-relay.ts"
import { MemoryLogSource } from "../kit/memory-log-source.ts"
import { noteSigner } from "../kit/note-signer.ts"
import { World } from "../kit/world.ts"

const at = 1_800_000_000
const hour = 3_600

function honest(rounds = 12): AuditedRelay {
  const relay = new AuditedRelay(new World({ at }))
  relay.traffics(rounds)
  relay.publish()
  return relay
}

function audit(relay: AuditedRelay, changes: Partial<RelayAudit> = {}): Promise<AuditReport> {
  return auditRelay({
    sourceOf: relay.sourceOf,
    relay: undefined,
    anchor: relay.world.anchor,
    since: new Map(),
    sample: 4,
    liveAt: undefined,
    handedIn: [],
    verifiers: remembering,
    onFinding: () => undefined,
    onProgress: () => undefined,
    onLog: () => undefined,
    ...changes,
  })
}

/** The world's statements are the same in each test: a second look at a signature gives the same answer. */
const seenByPoints = new Map<string, boolean>()
const remembering: Verifiers = {
  ...verifiers,
  points(key, message, signature) {
    const name = toHex(sha256(concat(key, signature, message)))
    const known = seenByPoints.get(name) ?? verifiers.points(key, message, signature)
    seenByPoints.set(name, known)
    return known
  },
}

function codes({ findings }: AuditReport): readonly string[] {
  return [...new Set(findings.map(({ code }) => code))]
}

describe("an honest relay", () => {
  it("passes, and the report says what was checked", async () => {
    const relay = honest()
    const report = await audit(relay)
    expect(report).toMatchObject({
      verdict: "ok",
      relay: "hub1",
      roster: 1,
      quorum: "none",
      findings: [],
      doubts: [],
      absent: [],
    })
    expect(
      report.logs.map(({ origin, entries, signatures }) => [origin, entries, signatures]),
    ).toEqual([
      ["hub1/directory", relay.directory.size, relay.directory.size],
      [relay.traffic.origin, 73, 72],
    ])
  })

  it("passes with every signature verified twice", async () => {
    const report = await audit(honest(2), { sample: 256 })
    expect(report.verdict).toBe("ok")
    expect(report.logs[1]).toMatchObject({ signatures: 12, sampled: 12 })
  })

  it("passes through several bundles, across a growing directory, and over a copied state", async () => {
    const relay = honest(100)
    const world = relay.world
    for (let round = 0; round < 3; round++) {
      relay.logStatement(world.extendRoot("FR", "relays", { names: ["hub2", "hub1"] }))
      relay.directory.append(headEntry(relay, relay.traffic.head()))
      relay.directory.publish()
      relay.bind()
      relay.traffics(5)
      relay.publish()
    }
    expect(codes(await audit(relay))).toEqual([])
  })

  it("names a shard that has not begun", async () => {
    const relay = honest()
    const origin = "hub1/traffic/2028"
    const [logVkey, promiseVkey] = [origin, promiseKeyName(origin)].map((name, i) =>
      formatVerifierKey(noteSigner(name, 90 + i).key),
    )
    if (logVkey === undefined || promiseVkey === undefined) throw new Error("two keys")
    relay.logStatement(relay.world.extendRoot("hub1", "log", { origin, logVkey, promiseVkey }))
    relay.directory.publish()
    expect(await audit(relay)).toMatchObject({ verdict: "ok", absent: [origin] })
  })

  it("is cosigned by members whose lines are reported though no quorum is asked for", async () => {
    const relay = honest()
    relay.publish(witnessed([relay.world.member("FR"), relay.world.member("JP")], at + 500))
    const report = await audit(relay, { liveAt: at + 100_000 })
    expect(report.logs[0]).toMatchObject({ cosigned: ["FR", "JP"], newestCosignature: at + 500 })
    expect(report.verdict).toBe("ok")
  })
})

function headEntry(relay: AuditedRelay, note: Uint8Array): Uint8Array {
  const scratch = new AuditedRelay(relay.world, "hub1", { statements: false })
  scratch.log({ kind: "head", time: relay.tick(), note })
  scratch.traffic.publish()
  const bundle = scratch.traffic.source.files.get("tile/entries/000.p/1") ?? new Uint8Array(0)
  return bundle.slice(2)
}

type Manipulation = readonly [
  what: string,
  code: string,
  relay: () => AuditedRelay | Promise<AuditedRelay>,
]

/** Honest traffic, then what `change` does, then honest traffic again. */
function changed(change: (relay: AuditedRelay, world: World) => void): () => AuditedRelay {
  return () => {
    const relay = new AuditedRelay(new World({ at }))
    relay.traffics(2)
    change(relay, relay.world)
    relay.publish()
    return relay
  }
}

/** Honest files, then damage. */
function damaged(damage: (relay: AuditedRelay) => void): () => AuditedRelay {
  return () => {
    const relay = honest(90)
    damage(relay)
    return relay
  }
}

const flip = (place: number) => (bytes: Uint8Array) => bytes.with(place, (bytes.at(place) ?? 0) ^ 1)
const fr = (world: World) => world.member("FR")

const manipulations: readonly Manipulation[] = [
  // Files
  [
    "a byte of an entry in a full bundle",
    "log-file",
    damaged((r) => r.traffic.source.change("tile/entries/000", flip(2_000))),
  ],
  [
    "a byte of an entry in the last bundle",
    "log-file",
    damaged((r) => r.traffic.source.change(lastBundle(r), flip(-1))),
  ],
  [
    "a byte of a level-0 tile",
    "log-file",
    damaged((r) => r.traffic.source.change("tile/0/000", flip(40))),
  ],
  [
    "a byte of the level-1 tile",
    "log-file",
    damaged((r) => r.traffic.source.change("tile/1/000.p/2", flip(40))),
  ],
  [
    "a byte of an older partial bundle that lies about",
    "log-file",
    () => {
      const relay = honest(10)
      relay.traffics(10)
      relay.publish()
      relay.traffic.source.change("tile/entries/000.p/61", flip(-1))
      return relay
    },
  ],
  [
    "a byte of an entry in the directory log",
    "log-file",
    damaged((r) => r.directory.source.change(`tile/entries/000.p/${r.directory.size}`, flip(300))),
  ],
  [
    "a missing bundle in the middle",
    "log-file",
    damaged((r) => void r.traffic.source.files.delete("tile/entries/001")),
  ],
  [
    "a missing first bundle that no retention entry allows",
    "log-file",
    damaged((r) => void r.traffic.source.files.delete("tile/entries/000")),
  ],
  [
    "the traffic checkpoint signed by the directory's key",
    "note",
    damaged((r) =>
      r.traffic.source.files.set("checkpoint", r.traffic.head([], r.relay.directoryLog.log)),
    ),
  ],
  [
    "the traffic checkpoint's signature",
    "note",
    damaged((r) => r.traffic.source.change("checkpoint", signatureBroken)),
  ],
  [
    "the directory checkpoint's signature",
    "note",
    damaged((r) => r.directory.source.change("checkpoint", signatureBroken)),
  ],
  [
    "the directory checkpoint missing from a copy",
    "log-file",
    damaged((r) => void r.directory.source.files.delete("checkpoint")),
  ],
  [
    "a traffic log that has vanished though the directory log has shown its head",
    "rollback",
    () => {
      const relay = honest(3)
      relay.directory.append(headEntry(relay, relay.traffic.head()))
      relay.directory.publish()
      relay.traffic.source.files.clear()
      return relay
    },
  ],
  // Entries
  [
    "an entry of unknown kind",
    "entry-layout",
    changed((r) => r.traffic.append(Uint8Array.of(1, 99, 0, 0, 0, 0, 0, 0, 0, 0))),
  ],
  [
    "a directory entry in the traffic log",
    "entry-layout",
    changed((r, w) =>
      r.log({
        kind: "chain",
        time: r.tick(),
        body: w.statements.at(-1)?.statement ?? new Uint8Array(1),
      }),
    ),
  ],
  [
    "a traffic entry in the directory log",
    "entry-layout",
    changed((r) => r.directory.append(r.sign([{}])[0]?.entry ?? new Uint8Array(1))),
  ],
  ["a falling time", "entry-order", changed((r) => r.sign([{ time: at }]))],
  [
    "a falling time in the directory log",
    "entry-order",
    changed((r, w) => r.logStatement(w.extendRoot("FR", "relays", { names: ["hub1"] }), at - 5)),
  ],
  ["a sequence number twice", "seq-used", changed((r) => r.sign([{ seq: 2 }]))],
  [
    "a sequence number twice among later ones",
    "seq-used",
    changed((r) => (r.sign([{ seq: 50 }]), r.sign([{ seq: 50 }]))),
  ],
  [
    "a gap an hour old",
    "seq-gap",
    changed((r, w) => (r.nextSeq(fr(w).node), r.sign([{}]), (r.time += hour + 1), r.traffics(1))),
  ],
  [
    "a commitment twice",
    "seq-used",
    changed(
      (r) => (
        r.sign([{ commit: new Uint8Array(32).fill(7) }]),
        r.sign([{ commit: new Uint8Array(32).fill(7) }])
      ),
    ),
  ],
  [
    "a signature with one bit changed",
    "entry-signature",
    changed((r) => r.sign([{ signature: flip(5) }])),
  ],
  [
    "a signature by another member's key",
    "entry-key",
    changed((r, w) => r.sign([{ name: "FR", key: w.member("JP").standby }])),
  ],
  [
    "a member's name on another's signature",
    "entry-signature",
    changed((r, w) => r.sign([{ name: "JP", key: fr(w).node }])),
  ],
  [
    "a key that nobody has named",
    "entry-key",
    changed((r, w) => r.sign([{ key: w.newcomer("BR", ["hub1"]).member.node }])),
  ],
  [
    "a revoked key",
    "entry-key",
    changed((r, w) => {
      r.logStatement(w.revocation("FR", fr(w).node.keyId))
      r.directory.publish()
      r.bind()
      r.sign([{}])
    }),
  ],
  [
    "a key used before it was named at that directory size",
    "entry-key",
    changed((r, w) => {
      const { member, genesisId, statements } = w.newcomer("BR", ["hub1"])
      const listed = { node: "BR", status: 0, genesisId, flags: [] } as const
      const members = [...w.roster.members, listed].toSorted((a, b) => (a.node < b.node ? -1 : 1))
      for (const one of [w.nextRoster({ members }), ...statements]) r.logStatement(one)
      r.directory.publish()
      r.sign([{ name: "BR", key: member.node }])
    }),
  ],
  ["an expired key", "entry-key", changed((r) => ((r.time += 81 * 86_400), r.sign([{}])))],
  [
    "the relay's key on a member's kind",
    "entry-key",
    changed((r) => r.sign([{ name: "hub1", key: r.relay.keys[0]!, kind: "envelope" }])),
  ],
  [
    "a member's key on the relay's kind",
    "entry-key",
    changed((r) => r.sign([{ kind: "relay-receipts" }])),
  ],
  [
    "another relay's receipts",
    "entry-key",
    changed((r, w) =>
      r.sign([{ name: "hub2", key: w.relay("hub2").keys[0]!, kind: "relay-receipts" }]),
    ),
  ],
  [
    "a falling directory size",
    "entry-order",
    changed((r) => r.sign([{ directorySize: r.directory.size - 1 }])),
  ],
  [
    "a directory size that no head has bound",
    "entry-order",
    changed((r, w) => {
      r.logStatement(w.extendRoot("FR", "relays", { names: ["hub1"] }))
      r.sign([{ directorySize: r.directory.size }])
    }),
  ],
  [
    "a head that shows another root",
    "log-fork",
    changed((r, w) => r.bind(forkedDirectory(w, r.directory.size))),
  ],
  [
    "a head beyond what the directory log shows",
    "rollback",
    changed((r, w) => r.bind(forkedDirectory(w, r.directory.size + 2))),
  ],
  [
    "a head whose signature is wrong",
    "note",
    changed((r) => r.bind(signatureBroken(r.directory.head()))),
  ],
  [
    "a head that is no note",
    "note",
    changed((r) => r.log({ kind: "head", time: r.tick(), note: utf8("no note") })),
  ],
  [
    "two roots of another relay's log at one size",
    "log-fork",
    changed((r, w) => {
      r.bind(forkedDirectory(w, 30, "hub2"))
      r.bind(forkedDirectory(w, 30, "hub2", 1))
    }),
  ],
  [
    "an export by a key that is no auditor's",
    "entry-key",
    changed((r, w) =>
      r.log({
        kind: "access",
        time: r.tick(),
        keyId: fr(w).node.keyId,
        from: 0,
        to: 3,
        commit: new Uint8Array(32),
      }),
    ),
  ],
  [
    "an export of entries that do not exist yet",
    "entry-order",
    changed((r, w) =>
      r.log({
        kind: "access",
        time: r.tick(),
        keyId: w.auditor.keyId,
        from: 0,
        to: 300,
        commit: new Uint8Array(32),
      }),
    ),
  ],
  [
    "a retention entry without a policy",
    "entry-order",
    changed((r) => r.log({ kind: "retention", time: r.tick(), from: 0, to: 5, policyIndex: 0 })),
  ],
  [
    "an erasure of what comes later",
    "entry-order",
    changed((r) => r.log({ kind: "erasure", time: r.tick(), index: 900 })),
  ],
  [
    "a shard entry in the middle",
    "entry-order",
    changed((r) => r.log({ kind: "shard", time: r.tick(), note: r.directory.head() })),
  ],
  // The directory
  ["a statement twice", "statement", changed((r, w) => r.logStatement(w.statements[5]!))],
  [
    "statements out of order",
    "chain-gap",
    changed((r, w) => {
      const first = w.extendRoot("FR", "relays", { names: ["hub1"] })
      r.logStatement(w.extendRoot("FR", "relays", { names: ["hub2"] }))
      r.logStatement(first)
    }),
  ],
  [
    "a statement with one bit changed",
    "signature",
    changed((r, w) => {
      const { kind, statement } = w.extendRoot("FR", "relays", { names: ["hub1"] })
      r.logStatement({ kind, statement: flip(-20)(statement) })
    }),
  ],
  [
    "a roster that too few custodians signed",
    "roster",
    changed((r, w) => r.logStatement(underSigned(w))),
  ],
  [
    "a policy that no roster names",
    "statement",
    changed((r) => r.logStatement({ kind: "policy", statement: utf8("quorum none\n#\n") })),
  ],
]

function lastBundle(relay: AuditedRelay): string {
  return `tile/entries/002.p/${relay.traffic.size - 512}`
}

function signatureBroken(bytes: Uint8Array): Uint8Array {
  return utf8(
    fromUtf8(bytes).replace(
      /(.)(.=?=?\n)$/u,
      (_, last: string, rest: string) => (last === "A" ? "B" : "A") + rest,
    ),
  )
}

/** The head of a directory log of `size` that its own relay signed, with other entries. */
function forkedDirectory(world: World, size: number, name = "hub1", salt = 0): Uint8Array {
  const relay = new AuditedRelay(world, name, { statements: false })
  for (let i = 0; i < size; i++) relay.directory.append(Uint8Array.of(i, salt))
  relay.directory.publish()
  return relay.directory.head()
}

function underSigned(world: World): Parameters<AuditedRelay["logStatement"]>[0] {
  const next = { ...world.roster, number: world.roster.number + 1 }
  return { kind: "roster", statement: signRoster(next, world.custodians.slice(0, 1)).statement }
}

describe("a manipulated relay", () => {
  it.each(manipulations)("%s: %s", async (_, code, make) => {
    const report = await audit(await make())
    expect(codes(report)).toEqual([code])
    expect(report.verdict).toBe("tampering")
    expect(report.state.size).toBe(0)
  })

  it("is found by its trust anchor: another one convicts the log of lacking the roster", async () => {
    const { anchor } = new World({ at: at + 1 })
    expect(codes(await audit(honest(1), { anchor }))).toEqual(["roster"])
  })

  it("is found when another relay answers in its place", async () => {
    expect(codes(await audit(honest(1), { relay: "hub2" }))).toEqual(["note"])
  })

  it("is found when the two verifiers differ, in traffic and in the directory", async () => {
    const relay = new AuditedRelay(new World({ at }))
    relay.sign([{ signature: flip(9) }])
    relay.publish()
    // In the sample or not decides whether the second verifier is asked.
    expect(codes(await audit(relay, { verifiers: trusting, sample: 0 }))).toEqual([])
    expect(codes(await audit(relay, { verifiers: trusting, sample: 256 }))).toEqual(["tampering"])
    relay.directory.source.change("checkpoint", signatureBroken)
    const both = await audit(relay, { verifiers: trusting, sample: 0 })
    expect(codes(both)).toEqual(["tampering", "note"])
  })

  it("says at most so many findings one by one, and counts them all", async () => {
    const relay = new AuditedRelay(new World({ at }))
    for (let i = 0; i < 1_100; i++) relay.traffic.append(Uint8Array.of(9))
    relay.publish()
    const told: unknown[] = []
    const report = await audit(relay, { onFinding: (finding) => told.push(finding) })
    expect([report.findings.length, told.length, report.findingCount]).toEqual([
      1_000, 1_000, 1_100,
    ])
  })
})

/** A fast verifier that takes everything. */
const trusting: Verifiers = {
  ...remembering,
  fast: { ...crypto, verify: () => true },
}

/** An honest relay, and what an auditor keeps of it, through the state file's text. */
async function seen(rounds = 50): Promise<{
  readonly relay: AuditedRelay
  readonly since: AuditReport["state"]
}> {
  const relay = honest(rounds)
  const { state } = await audit(relay)
  return { relay, since: parseAuditState(sha256, formatAuditState(state)) }
}

describe("against what was seen before", () => {
  it("reads new bundles only, and carries numbers, times and sizes on", async () => {
    const { relay, since } = await seen()
    relay.traffics(2)
    relay.publish()
    for (const path of ["tile/entries/000", "tile/0/000.p/45"])
      relay.traffic.source.files.delete(path)
    const report = await audit(relay, { since, liveAt: relay.time })
    expect(codes(report)).toEqual([])
    expect(report.logs[1]).toMatchObject({ entries: 12, consistentSince: 301 })
    const fr = toHex(relay.world.member("FR").node.keyId)
    expect(report.state.get(relay.traffic.origin)?.seqs.get(fr)?.allUpTo).toBe(156)
  })

  it("hashes all files of a copy again, and judges new entries only", async () => {
    const { relay, since } = await seen()
    relay.traffics(2)
    relay.publish()
    expect((await audit(relay, { since })).logs[1]).toMatchObject({ entries: 12, signatures: 12 })
    relay.traffic.source.change("tile/entries/000", flip(900))
    expect(codes(await audit(relay, { since }))).toEqual(["log-file"])
    relay.traffic.source.files.delete("tile/entries/000")
    expect(codes(await audit(relay, { since }))).toEqual(["log-file"])
  })

  it.each([
    ["a number used before", "seq-used", (r: AuditedRelay) => r.sign([{ seq: 3 }])],
    ["a time before the last one", "entry-order", (r: AuditedRelay) => r.sign([{ time: at }])],
    [
      "a directory size below the last one",
      "entry-order",
      (r: AuditedRelay) => r.sign([{ directorySize: r.directory.size - 1 }]),
    ],
  ] as const)("finds %s", async (_, code, change) => {
    const { relay, since } = await seen()
    change(relay)
    relay.publish()
    expect(codes(await audit(relay, { since }))).toEqual([code])
  })

  it("takes a directory size that was bound before and is used only now", async () => {
    const relay = honest()
    relay.logStatement(relay.world.extendRoot("FR", "relays", { names: ["hub1"] }))
    relay.directory.publish()
    relay.bind()
    relay.publish()
    const { state } = await audit(relay)
    relay.traffics(1)
    relay.publish()
    expect(codes(await audit(relay, { since: state }))).toEqual([])
  })

  it("keeps a gap in mind until it is an hour old, by a live relay's clock too", async () => {
    const relay = honest()
    relay.nextSeq(relay.world.member("FR").node)
    relay.traffics(1)
    relay.publish()
    const first = await audit(relay)
    expect(codes(first)).toEqual([])
    const since = parseAuditState(sha256, formatAuditState(first.state))
    expect(codes(await audit(relay, { since, liveAt: relay.time + hour - 20 }))).toEqual([])
    expect(codes(await audit(relay, { since, liveAt: relay.time + hour + 1 }))).toEqual(["seq-gap"])
  })

  it("convicts a forked traffic log with a fork file", async () => {
    const { relay, since } = await seen(10)
    const other = new AuditedRelay(relay.world)
    other.sign([{}])
    other.traffics(12)
    other.publish()
    const report = await audit(other, { since })
    expect(codes(report)).toEqual(["log-fork"])
    convicts(report, relay.traffic.origin, relay)
    expect(report.state).toBe(since)
  })

  it("convicts a forked directory log with a fork file, and looks no further", async () => {
    const { relay, since } = await seen(10)
    // The same statements, and the last two in another order.
    const world = new World({ at })
    world.statements.push(...world.statements.splice(-2, 1))
    const report = await audit(new AuditedRelay(world), { since })
    expect(codes(report)).toEqual(["log-fork"])
    expect(report.logs).toEqual([])
    convicts(report, relay.directory.origin, relay)
  })

  it("convicts a log that shows another root for the same size", async () => {
    const { relay, since } = await seen(5)
    const other = new AuditedRelay(relay.world)
    other.time += 7
    other.traffics(5)
    other.publish()
    const report = await audit(other, { since })
    expect(codes(report)).toEqual(["log-fork"])
    convicts(report, relay.traffic.origin, relay)
  })

  it("blames the files and not the log where tiles do not lead to the root", async () => {
    const { relay, since } = await seen()
    relay.traffics(2)
    relay.publish()
    relay.traffic.source.change("tile/0/000", flip(3))
    relay.traffic.source.change("tile/1/000.p/1", flip(3))
    const report = await audit(relay, { since })
    expect(codes(report)).toEqual(["log-file"])
    expect(report.fork).toBe(undefined)
  })

  it("finds a rolled-back log, and one that has vanished", async () => {
    const { since } = await seen()
    expect(codes(await audit(honest(49), { since }))).toEqual(["rollback"])
    const gone = honest(1)
    gone.traffic.source.files.clear()
    expect(codes(await audit(gone, { since }))).toEqual(["rollback"])
  })

  it("finds another relay's log that shows others a root that this auditor has not seen", async () => {
    const world = new World({ at })
    const hub2 = new AuditedRelay(world, "hub2")
    hub2.publish()
    const { state } = await audit(hub2)
    const hub1 = new AuditedRelay(world)
    const liar = new AuditedRelay(world, "hub2", { statements: false })
    for (let i = 0; i < hub2.directory.size; i++) liar.directory.append(Uint8Array.of(i))
    liar.directory.publish()
    hub1.bind(hub2.directory.head())
    hub1.publish()
    expect(codes(await audit(hub1, { since: state }))).toEqual([])
    const fooled = new AuditedRelay(world)
    fooled.log({ kind: "head", time: fooled.tick(), note: liar.directory.head() })
    fooled.publish()
    const report = await audit(fooled, { since: state })
    expect(codes(report)).toEqual(["log-fork"])
    convicts(report, hub2.directory.origin, hub2)
  })
})

function convicts(report: AuditReport, origin: string, relay: AuditedRelay): void {
  const { logVkey } = relay.world.directory().log(origin) ?? { logVkey: "" }
  if (report.fork === undefined) throw new Error("no fork file")
  const fork = checkFork(crypto, parseForkFile(report.fork), parseVerifierKey(crypto, logVkey))
  expect(fork.small.origin).toBe(origin)
}

/** Bundles 0 and 1 are gone; `entry` says so in the log. */
function pruned(entry: boolean): AuditedRelay {
  const relay = new AuditedRelay(new World({ at }))
  relay.traffics(90)
  const policyIndex = relay.world.statements.findIndex(
    ({ kind, statement }) => kind === "policy" && fromUtf8(statement).includes("traffic"),
  )
  if (entry) relay.log({ kind: "retention", time: relay.tick(), from: 0, to: 512, policyIndex })
  relay.traffics(4)
  relay.publish()
  for (const name of ["000", "001"]) relay.traffic.source.files.delete(`tile/entries/${name}`)
  return relay
}

describe("a pruned log", () => {
  it("passes where a retention entry under a policy allows it, and the report says so", async () => {
    const report = await audit(pruned(true))
    expect(codes(report)).toEqual([])
    expect(report.logs[1]).toMatchObject({ prunedEntries: 512, size: 566, entries: 54 })
    const next = parseAuditState(sha256, formatAuditState(report.state))
    const fr = [...(next.get(report.logs[1]?.origin ?? "")?.seqs.values() ?? [])]
    expect(fr.every(({ later }) => later.size === 0)).toBe(true)
    const relay = pruned(true)
    relay.traffics(1)
    relay.publish()
    expect(codes(await audit(relay, { since: next }))).toEqual([])
    expect(codes(await audit(relay, { since: next, liveAt: relay.time }))).toEqual([])
  })

  it("is found where nothing allows it", async () => {
    expect(codes(await audit(pruned(false)))).toEqual(["log-file"])
  })

  it("is found where a tile was changed in place of the missing bundle", async () => {
    const relay = pruned(true)
    relay.traffic.source.change("tile/0/000", flip(3))
    expect(codes(await audit(relay))).toEqual(["log-file"])
  })
})

function underQuorum(): AuditedRelay {
  const world = new World({ at })
  const [fr, jp] = [world.member("FR"), world.member("JP")]
  const policy = utf8(
    `witness FR ${fr.witness.vkey}\nwitness JP ${jp.witness.vkey}\ngroup all 2 FR JP\nquorum all\n`,
  )
  world.nextRoster({ policy: { ...world.roster.policy, witnessPolicy: sha256(policy) } })
  world.statements.push({ kind: "policy", statement: policy })
  const relay = new AuditedRelay(world)
  relay.traffics(2)
  relay.publish(witnessed([fr, jp], at + 400))
  return relay
}

describe("what cannot be judged", () => {
  it("is no tampering: a quorum reached, missing, stale", async () => {
    const relay = underQuorum()
    const { world } = relay
    expect(await audit(relay)).toMatchObject({ verdict: "ok", quorum: "reached" })
    expect(await audit(relay, { liveAt: at + 1_000 })).toMatchObject({ verdict: "ok" })
    const stale = await audit(relay, { liveAt: at + 1_001 })
    expect(stale).toMatchObject({ verdict: "unverified", findings: [] })
    expect(stale.doubts.map(({ code }) => code)).toEqual(["stale", "stale"])
    relay.publish(witnessed([world.member("FR")], at + 900))
    const missing = await audit(relay)
    expect(missing).toMatchObject({ verdict: "unverified", quorum: "missing", findings: [] })
    expect(missing.doubts.map(({ code }) => code)).toEqual(["quorum", "quorum"])
  })

  it("is not made fresh by one witness that is ahead of time", async () => {
    const relay = underQuorum()
    const { world } = relay
    const late = witnessed([world.member("JP")], at + 9_000)
    relay.publish([...witnessed([world.member("FR")], at + 400), ...late])
    const report = await audit(relay, { liveAt: at + 9_000 })
    expect(report.doubts[0]?.code).toBe("stale")
  })

  it("is a log without the policy that its roster names", async () => {
    const world = new World({ at })
    world.nextRoster({ policy: { ...world.roster.policy, witnessPolicy: sha256(utf8("hidden")) } })
    const relay = new AuditedRelay(world)
    relay.publish()
    expect(await audit(relay)).toMatchObject({ verdict: "unverified", findings: [] })
  })

  it("is a source that fails; what was found before still counts", async () => {
    const relay = changed((r) => r.sign([{ time: at }]))()
    relay.traffics(90)
    relay.publish()
    const failing = new MemoryLogSource(relay.traffic.source.files)
    const read = failing.read.bind(failing)
    failing.read = (path, bytesMax) =>
      path.startsWith("tile/entries/001")
        ? Promise.reject(new ChappeError("unverified", "no answer"))
        : read(path, bytesMax)
    const sourceOf = (prefix: string) => (prefix === "directory" ? relay.directory.source : failing)
    const report = await audit(relay, { sourceOf })
    expect(report.doubts.map(({ code }) => code)).toEqual(["unverified"])
    expect(report).toMatchObject({ verdict: "tampering", findings: [{ code: "entry-order" }] })
    const good = honest(90)
    failing.files.clear()
    for (const [path, bytes] of good.traffic.source.files) failing.files.set(path, bytes)
    expect(
      await audit(good, { sourceOf: (p) => (p === "directory" ? good.directory.source : failing) }),
    ).toMatchObject({
      verdict: "unverified",
    })
  })

  it("is a live relay without a checkpoint yet", async () => {
    const relay = new AuditedRelay(new World({ at }), "hub1", { statements: false })
    expect(await audit(relay, { liveAt: at })).toMatchObject({ verdict: "unverified" })
  })
})

describe("a relay that goes on while it is audited", () => {
  it("is read once more where its directory log has grown", async () => {
    const relay = honest()
    let reads = 0
    const growing = relay.directory.source.read.bind(relay.directory.source)
    relay.directory.source.read = async (path, bytesMax) => {
      reads += path === "checkpoint" ? 1 : 0
      if (path === "checkpoint" && reads === 2) throw new Error("not reached: traffic comes first")
      return growing(path, bytesMax)
    }
    const traffic = relay.traffic.source.read.bind(relay.traffic.source)
    relay.traffic.source.read = (path, bytesMax) => {
      if (path === "checkpoint" && reads === 1) {
        // Between the two reads a statement comes in, is bound, and is used.
        relay.directory.source.read = growing
        relay.logStatement(relay.world.extendRoot("FR", "relays", { names: ["hub1"] }))
        relay.directory.publish()
        relay.bind()
        relay.traffics(1)
        relay.publish()
        reads += 1
      }
      return traffic(path, bytesMax)
    }
    const report = await audit(relay)
    expect(codes(report)).toEqual([])
    expect(report.logs[0]?.size).toBe(relay.directory.size)
  })

  it("may show a head of its own traffic log that is newer than the one audited", async () => {
    const relay = honest()
    const before = relay.traffic.source.files.get("checkpoint")
    relay.traffics(3)
    relay.publish()
    const after = relay.traffic.source.files.get("checkpoint")
    relay.directory.append(headEntry(relay, relay.traffic.head()))
    relay.directory.publish()
    if (before === undefined || after === undefined) throw new Error("no checkpoint")
    relay.traffic.source.files.set("checkpoint", before)
    expect(codes(await audit(relay))).toEqual(["rollback"])
    let reads = 0
    const read = relay.traffic.source.read.bind(relay.traffic.source)
    relay.traffic.source.read = (path, bytesMax) => {
      if (path === "checkpoint" && ++reads === 2)
        relay.traffic.source.files.set("checkpoint", after)
      return read(path, bytesMax)
    }
    expect(codes(await audit(relay))).toEqual([])
  })
})

describe("promises handed in", () => {
  const salt = new Uint8Array(32).fill(4)
  const subject = new Uint8Array(32).fill(5)

  function promised(): { relay: AuditedRelay; index: number; entry: Uint8Array } {
    const relay = new AuditedRelay(new World({ at }))
    relay.traffics(2)
    const [made] = relay.sign([{ commit: commitmentOf(sha256, salt, subject) }])
    if (made === undefined) throw new Error("one entry")
    return { relay, ...made }
  }

  it("are kept by the log that holds the entry", async () => {
    const { relay, index, entry } = promised()
    relay.publish()
    const acceptance = relay.traffic.acceptance(index, entry, salt, relay.time)
    const report = await audit(relay, { handedIn: [{ acceptance, subject }] })
    expect(report).toMatchObject({ verdict: "ok", promises: { kept: 1, pending: 0 } })
  })

  it("are broken by a log that holds another entry there", async () => {
    const { relay, index, entry } = promised()
    relay.publish()
    const acceptance = relay.traffic.acceptance(index - 1, entry, salt, relay.time)
    const report = await audit(relay, { handedIn: [{ acceptance, subject }] })
    expect(report.findings).toMatchObject([{ code: "proof", index: index - 1 }])
  })

  it("are open until the deadline, and broken by a cosignature after it", async () => {
    const { relay, entry } = promised()
    const acceptance = relay.traffic.acceptance(50, entry, salt, at + 100)
    const handedIn = [{ acceptance, subject }]
    const { witness } = relay.world.member("FR")
    relay.publish([{ witness, time: at + 160 }])
    expect(await audit(relay, { handedIn })).toMatchObject({ promises: { kept: 0, pending: 1 } })
    relay.publish([{ witness, time: at + 161 }])
    expect(codes(await audit(relay, { handedIn }))).toEqual(["proof"])
  })

  it("count only when they are the relay's and open to what they are for", async () => {
    const { relay, index, entry } = promised()
    relay.publish()
    const acceptance = relay.traffic.acceptance(index, entry, salt, relay.time)
    const other = { acceptance, subject: new Uint8Array(32).fill(6) }
    expect(codes(await audit(relay, { handedIn: [other] }))).toEqual(["entry"])
    const forged = { ...acceptance, promise: fromUtf8(signatureBroken(utf8(acceptance.promise))) }
    expect(codes(await audit(relay, { handedIn: [{ acceptance: forged, subject }] }))).toEqual([
      "entry",
    ])
  })
})
