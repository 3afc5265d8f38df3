// A small world for tests: custodians, a roster, relays and members with real keys, all made from their
// names, so that the same world has the same bytes. Keys start at `at` unless a test extends a chain.

import { crypto, sha256 } from "../../keys/crypto.ts"
import {
  type PrekeyPeriod,
  dayOf,
  newPrekeyPeriod,
  publicKeysOf,
} from "../../keys/prekey-period.ts"
import { type SigningKey, signingKey } from "../../keys/signing-key.ts"
import { possessionOf, signChain, signRoster } from "../../keys/statements.ts"
import { emptyBytes, utf8 } from "../../protocol/bytes.ts"
import { type Role, capabilitiesOf } from "../../protocol/capability.ts"
import { type ChainBody, type ChainOp, zeroHash } from "../../protocol/chain.ts"
import { Directory, type StatementKind } from "../../protocol/directory.ts"
import { encodeDirectoryBundle } from "../../protocol/directory-bundle.ts"
import { type KeyUse, typedKeyHash } from "../../protocol/key-id.ts"
import { limits } from "../../protocol/limits.ts"
import { promiseKeyName } from "../../protocol/promise.ts"
import { type Roster, type TrustAnchor, memberStatuses } from "../../protocol/roster.ts"
import {
  type VerifierKey,
  formatVerifierKey,
  noteKeyTypes,
  verifierKey,
} from "../../protocol/verifier-key.ts"

export type Statement = { readonly kind: StatementKind; readonly statement: Uint8Array }

/** A signing key with the seed that a key file would hold. */
export type SeededKey = SigningKey & { readonly seed: Uint8Array }

export function seedOf(label: string): Uint8Array {
  return sha256(utf8(`chappe test seed: ${label}`))
}

export function seededKey(use: KeyUse, label: string): SeededKey {
  const seed = seedOf(`${use} ${label}`)
  return { ...signingKey(use, seed), seed }
}

/** A note key: type 01 for logs and promises, 04 for witnesses. */
export type NoteKey = {
  readonly vkey: string
  readonly key: VerifierKey
  readonly seed: Uint8Array
  readonly publicKey: Uint8Array
  readonly sign: (message: Uint8Array) => Uint8Array
}

function noteKey(name: string, type: number, label: string): NoteKey {
  const seed = seedOf(label)
  const pair = signingKey("witness", seed)
  const { publicKey } = pair
  const key = verifierKey(sha256, name, type, publicKey)
  const sign = (message: Uint8Array): Uint8Array => pair.sign(message)
  return { vkey: formatVerifierKey(key), key, seed, publicKey, sign }
}

/** The end of a chain that a test may extend. */
type ChainEnd = { seq: number; prev: Uint8Array }

export type WorldOfficer = { readonly id: string; readonly key: SeededKey }

export type WorldMember = {
  readonly name: string
  readonly root: SeededKey
  readonly rootChain: ChainEnd
  readonly node: SeededKey
  readonly nodeChain: ChainEnd
  /** What the node finds as its standby key; a test may put another one there. */
  standby: SeededKey
  readonly link: SeededKey
  readonly witness: NoteKey
  readonly incarnation: number
  readonly hedgeSecret: Uint8Array
  readonly dataKey: Uint8Array
  readonly periods: readonly PrekeyPeriod[]
  readonly officers: readonly WorldOfficer[]
  readonly homes: readonly string[]
}

export type WorldLog = { readonly origin: string; readonly log: NoteKey; readonly promise: NoteKey }

export type WorldRelay = {
  readonly name: string
  readonly root: SeededKey
  readonly rootChain: ChainEnd
  /** Staggered lives that cover one year. */
  readonly keys: readonly SeededKey[]
  readonly nodeChain: ChainEnd
  readonly link: SeededKey
  readonly directoryLog: WorldLog
  readonly trafficLog: WorldLog
  /** Shards that a test has named for later. */
  readonly laterLogs: WorldLog[]
}

export type WorldOptions = {
  readonly at: number
  /** `HQ` is the desk. */
  readonly members?: readonly string[]
  /** Members who have not said yet where they are at home. */
  readonly homeless?: readonly string[]
  readonly relays?: readonly string[]
  readonly urls?: Readonly<Record<string, ChainBody<"urls">>>
}

const officerRoles: Readonly<Record<string, readonly Role[]>> = {
  duty: ["officer", "releaser"],
  supervisor: ["supervisor", "officer", "releaser"],
  auditor: ["auditor"],
  operator: ["operator"],
}

export class World {
  readonly at: number
  readonly custodians: readonly SeededKey[]
  readonly auditor: SeededKey = seededKey("auditor", "auditor")
  readonly members = new Map<string, WorldMember>()
  readonly relays = new Map<string, WorldRelay>()
  readonly statements: Statement[] = []
  readonly policies = {
    witness: utf8("quorum none\n"),
    retention: utf8('{"traffic":"forever"}\n'),
    delivery: utf8('{"flash":60,"immediate":300,"priority":1800,"routine":7200}\n'),
  }
  #roster: Roster
  #anchor: TrustAnchor | undefined

  constructor(options: WorldOptions) {
    this.at = options.at
    this.custodians = [1, 2, 3].map((number) => seededKey("custodian", String(number)))
    const relayNames = (options.relays ?? ["hub1", "hub2"]).toSorted()
    const memberNames = (options.members ?? ["FR", "JP", "HQ"]).toSorted()
    const chains: Statement[] = []
    const relays = relayNames.map((name) => {
      const { relay, genesisId } = makeRelay(name, this.at, options.urls?.[name], chains)
      this.relays.set(name, relay)
      return { name, status: memberStatuses.active, genesisId }
    })
    const members = memberNames.map((node, i) => {
      const isHomeless = options.homeless?.includes(node) === true
      const inOrder = relayNames.map((_, j) => relayNames[(i + j) % relayNames.length] ?? "")
      const homes = isHomeless ? [] : inOrder
      const { member, genesisId } = makeMember(node, this.at, homes, chains)
      this.members.set(node, member)
      const flags = node === "HQ" ? (["desk"] as const) : []
      return { node, status: memberStatuses.active, genesisId, flags }
    })
    this.#roster = {
      version: 1,
      number: 0,
      at: this.at,
      expires: this.at + 2 * limits.rosterSecondsMin,
      custodians: { threshold: 2, keys: this.custodians.map(({ publicKey }) => publicKey) },
      members,
      relays,
      auditors: [{ name: "auditor", key: this.auditor.publicKey }],
      policy: {
        minSuite: 1,
        suites: [],
        maxLifetime: limits.lifetimeSecondsMax,
        witnessPolicy: sha256(this.policies.witness),
        retentionPolicy: sha256(this.policies.retention),
        deliveryPolicy: sha256(this.policies.delivery),
      },
    }
    this.nextRoster({})
    for (const statement of Object.values(this.policies))
      this.statements.push({ kind: "policy", statement })
    this.statements.push(...chains)
  }

  get roster(): Roster {
    return this.#roster
  }

  get anchor(): TrustAnchor {
    if (this.#anchor === undefined) throw new Error("no roster yet")
    return this.#anchor
  }

  member(name: string): WorldMember {
    const found = this.members.get(name)
    if (found === undefined) throw new Error(`no member ${name}`)
    return found
  }

  relay(name: string): WorldRelay {
    const found = this.relays.get(name)
    if (found === undefined) throw new Error(`no relay ${name}`)
    return found
  }

  /** Signs the roster that follows with these changes; it is returned and kept among the statements. */
  nextRoster(changes: Partial<Roster>): Statement {
    this.#roster = { ...this.#roster, ...changes, number: this.#roster.number + 1 }
    const { statement, id } = signRoster(this.#roster, this.custodians.slice(0, 2))
    this.#anchor ??= { custodians: this.#roster.custodians, number: 1, rosterId: id }
    return this.#keep({ kind: "roster", statement })
  }

  /** The next roster asks for the cosignatures of `quorum` of the members. */
  askForQuorum(quorum: number): void {
    const members = [...this.members.values()]
    const lines = members.map(({ name, witness }) => `witness ${name} ${witness.vkey}\n`)
    const names = members.map(({ name }) => name).join(" ")
    const file = utf8(`${lines.join("")}group all ${quorum} ${names}\nquorum all\n`)
    this.nextRoster({ policy: { ...this.#roster.policy, witnessPolicy: sha256(file) } })
    this.#keep({ kind: "policy", statement: file })
  }

  /** Appends to a member's or relay's root chain. */
  extendRoot<Op extends ChainOp>(name: string, op: Op, body: ChainBody<Op>): Statement {
    const station = this.members.get(name) ?? this.relay(name)
    return this.#keep(extend(station.rootChain, name, op, this.at, body, [station.root]))
  }

  /** Appends to the chain of the node or (first) relay key. */
  extendNode<Op extends ChainOp>(name: string, op: Op, body: ChainBody<Op>): Statement {
    const station = this.members.get(name) ?? this.relay(name)
    const key = "node" in station ? station.node : firstOf(station.keys)
    return this.#keep(extend(station.nodeChain, name, op, this.at, body, [key]))
  }

  /** The relay's root names the keys of another log shard. */
  nameLog(relay: string, origin: string): WorldLog {
    const log = worldLog(origin)
    this.relay(relay).laterLogs.push(log)
    this.extendRoot(relay, "log", {
      origin,
      logVkey: log.log.vkey,
      promiseVkey: log.promise.vkey,
    })
    return log
  }

  /** A revocation by the root, which has no place in the chain; not kept until it is applied. */
  revocation(name: string, keyId: Uint8Array): Statement {
    const station = this.members.get(name) ?? this.relay(name)
    const body = { keyId, reason: "compromised" }
    const draft = { name, seq: null, prev: null, op: "revoke", at: this.at, head, body } as const
    return { kind: "chain", statement: signChain(draft, [station.root]).statement }
  }

  /** A member that no roster names yet, with its chain statements. */
  newcomer(
    name: string,
    homes: readonly string[],
  ): {
    readonly member: WorldMember
    readonly genesisId: Uint8Array
    readonly statements: readonly Statement[]
  } {
    const statements: Statement[] = []
    return { ...makeMember(name, this.at, homes, statements), statements }
  }

  bundle(): Uint8Array {
    return encodeDirectoryBundle({ version: 1, statements: this.statements })
  }

  /** A directory that has taken in everything. */
  directory(): Directory {
    const directory = new Directory(crypto, this.anchor)
    for (const { kind, statement } of this.statements) directory.apply(kind, statement)
    return directory
  }

  #keep(statement: Statement): Statement {
    this.statements.push(statement)
    return statement
  }
}

const head = { size: 0, root: sha256(emptyBytes) }

function firstOf<T>(items: readonly T[]): T {
  const [first] = items
  if (first === undefined) throw new Error("an empty list")
  return first
}

function extend<Op extends ChainOp>(
  chain: ChainEnd,
  name: string,
  op: Op,
  at: number,
  body: ChainBody<Op>,
  keys: readonly SigningKey[],
): Statement {
  const draft = { name, seq: chain.seq + 1, prev: chain.prev, op, at, head, body }
  const { statement, id } = signChain<Op>(draft, keys)
  chain.seq += 1
  chain.prev = id
  return { kind: "chain", statement }
}

function newChain(prev: Uint8Array = zeroHash): ChainEnd {
  return { seq: -1, prev }
}

function makeMember(
  name: string,
  at: number,
  homes: readonly string[],
  statements: Statement[],
): { readonly member: WorldMember; readonly genesisId: Uint8Array } {
  const root = seededKey("member", name)
  const rootChain = newChain()
  const append = <Op extends ChainOp>(op: Op, body: ChainBody<Op>): void => {
    statements.push(extend(rootChain, name, op, at, body, [root]))
  }
  append("genesis", { threshold: 1, keys: [root.publicKey] })
  const genesisId = rootChain.prev
  const node = seededKey("node", name)
  const standby = seededKey("node", `${name} standby`)
  const life = { notBefore: at - limits.secondsPerDay, notAfter: at + 80 * limits.secondsPerDay }
  append("node", {
    key: node.publicKey,
    incarnation: 1,
    ...life,
    possession: possessionOf(name, node),
  })
  const nodeChain = newChain(rootChain.prev)
  append("standby", {
    key: standby.publicKey,
    incarnation: 2,
    notBefore: life.notBefore,
    notAfter: at + 300 * limits.secondsPerDay,
    possession: possessionOf(name, standby),
  })
  const witness = noteKey(name, noteKeyTypes.cosignature, `witness ${name}`)
  const witnessKey = signingKey("witness", witness.seed)
  append("witness", { vkey: witness.vkey, possession: possessionOf(name, witnessKey) })
  if (homes.length > 0) append("relays", { names: homes })
  const officers: WorldOfficer[] = []
  for (const [role, roles] of Object.entries(officerRoles)) {
    const id = `${name}/${role}`
    const key = seededKey("officer", id)
    const given = name === "HQ" && role === "duty" ? [...roles, "decider" as const] : roles
    append("officer", {
      officer: id,
      key: key.publicKey,
      capabilities: capabilitiesOf(given),
      maxPrecedence: 3,
      ...life,
      possession: possessionOf(name, key),
    })
    officers.push({ id, key })
  }

  const link = seededKey("link", name)
  const today = dayOf(at)
  const periods = [today - 1, today - 1 + limits.prekeyPeriodDays].map((firstDay) =>
    newPrekeyPeriod(firstDay, seedOf(`prekeys ${name} ${firstDay}`)),
  )
  const { notAfter } = life
  const possession = possessionOf(name, link)
  const body = { key: link.publicKey, notAfter, possession }
  statements.push(extend(nodeChain, name, "link", at, body, [node]))
  for (const period of periods) {
    const hashes = publicKeysOf(period).map((key) => typedKeyHash(sha256, "prekey", key))
    const prekeys = { firstDay: period.firstDay, suites: [1], hashes }
    statements.push(extend(nodeChain, name, "prekeys", at, prekeys, [node]))
  }
  const member: WorldMember = {
    name,
    root,
    rootChain,
    node,
    nodeChain,
    standby,
    link,
    witness,
    incarnation: 1,
    hedgeSecret: seedOf(`hedge ${name}`),
    dataKey: seedOf(`data ${name}`),
    periods,
    officers,
    homes,
  }
  return { member, genesisId }
}

function worldLog(origin: string): WorldLog {
  return {
    origin,
    log: noteKey(origin, noteKeyTypes.ed25519, `log ${origin}`),
    promise: noteKey(promiseKeyName(origin), noteKeyTypes.ed25519, `promise ${origin}`),
  }
}

function makeRelay(
  name: string,
  at: number,
  urls: ChainBody<"urls"> | undefined,
  statements: Statement[],
): { readonly relay: WorldRelay; readonly genesisId: Uint8Array } {
  const root = seededKey("member", name)
  const rootChain = newChain()
  const append = <Op extends ChainOp>(op: Op, body: ChainBody<Op>): void => {
    statements.push(extend(rootChain, name, op, at, body, [root]))
  }
  append("genesis", { threshold: 1, keys: [root.publicKey] })
  const genesisId = rootChain.prev
  const keys = [0, 1, 2, 3, 4].map((number) => seededKey("relay", `${name} ${number}`))
  let firstNamed = zeroHash
  keys.forEach((key, number) => {
    const notBefore = at + (number * 75 - 1) * limits.secondsPerDay
    const notAfter = notBefore + limits.nodeKeySecondsMax
    append("relay", {
      key: key.publicKey,
      notBefore,
      notAfter,
      possession: possessionOf(name, key),
    })
    if (number === 0) firstNamed = rootChain.prev
  })
  const nodeChain = newChain(firstNamed)
  const year = new Date(at * 1000).getUTCFullYear()
  const directoryLog = worldLog(`${name}/directory`)
  const trafficLog = worldLog(`${name}/traffic/${year}`)
  for (const { origin, log, promise } of [directoryLog, trafficLog])
    append("log", { origin, logVkey: log.vkey, promiseVkey: promise.vkey })
  const link = seededKey("link", name)
  const relayKey = firstOf(keys)
  const notAfter = at + 85 * limits.secondsPerDay
  const possession = possessionOf(name, link)
  const body = { key: link.publicKey, notAfter, possession }
  statements.push(extend(nodeChain, name, "link", at, body, [relayKey]))
  if (urls !== undefined) statements.push(extend(nodeChain, name, "urls", at, urls, [relayKey]))
  const logs = { directoryLog, trafficLog, laterLogs: [] }
  const relay = { name, root, rootChain, keys, nodeChain, link, ...logs }
  return { relay, genesisId }
}
