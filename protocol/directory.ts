// The directory: rosters and chains folded into one state, and the questions asked of it.
//
// Statements authenticate themselves; relays only carry them. A key is judged at a place: an
// origin's directory log at a size (docs/PROTOCOL.md, "Judging keys"), or `now` for all that is known.

import { compareText, equalBytes, toHex } from "./bytes.ts"
import { type ChainStatement, chainBody, decodeChainStatement } from "./chain.ts"
import type { Crypto } from "./crypto-ports.ts"
import { ChappeError } from "./errors.ts"
import {
  type MultiSigned,
  countSigners,
  decodeMultiSigned,
  meetsThreshold,
  multiSignedId,
} from "./multi-signed.ts"
import {
  type Roster,
  type RosterMember,
  type SignedRoster,
  type TrustAnchor,
  anchorRoster,
  decodeRoster,
  memberStatuses,
  nextRoster,
} from "./roster.ts"
import {
  type LogNames,
  type NamedKey,
  type OfficerKey,
  type Station,
  type StationKey,
  chainKeyOf,
  extendNodeChain,
  extendRootChain,
  isRootSigned,
  isSignedByStationKey,
  newStation,
  rootSigners,
} from "./station.ts"

export type StatementKind = "roster" | "chain" | "policy"

/** All that is known, or an origin's directory log at that size. */
export type Place = "now" | { readonly origin: string; readonly size: number }

export type Applied = {
  readonly kind: "applied" | "known"
  readonly id: Uint8Array
}

/** Two signed statements that exclude each other. */
export type ForkEvidence = {
  readonly name: string
  readonly kind: "roster" | "root-chain" | "node-chain"
  readonly first: string
  readonly second: Uint8Array
}

export type KnownStatement = {
  readonly kind: StatementKind
  readonly id: Uint8Array
  readonly statement: Uint8Array
}

export class Directory {
  readonly #crypto: Crypto
  readonly #anchor: TrustAnchor
  readonly #rosters: SignedRoster[] = []
  /** By hex genesisId: a re-genesis is another station. */
  readonly #stations = new Map<string, Station>()
  readonly #known = new Map<string, KnownStatement>()
  readonly #revocations = new Map<string, string[]>()
  readonly #places = new Map<string, Map<string, number>>()
  readonly #forks: ForkEvidence[] = []

  constructor(crypto: Crypto, anchor: TrustAnchor) {
    this.#crypto = crypto
    this.#anchor = anchor
  }

  /** What its statements were verified with; whoever judges by this directory uses the same. */
  get crypto(): Crypto {
    return this.#crypto
  }

  // ---- Taking statements in

  /**
   * Takes a statement in, once. Refused: `statement`, `roster`, `chain-gap`, `chain-fork`,
   * `roster-fork`, `signature`, `possession`, `key-form`, `unknown-member`; forks are kept as evidence.
   */
  apply(kind: StatementKind, statement: Uint8Array): Applied {
    const id = this.idOf(kind, statement)
    const name = toHex(id)
    if (this.#known.has(name)) return { kind: "known", id }
    switch (kind) {
      case "roster":
        this.#applyRoster(statement)
        break
      case "chain":
        this.#applyChain(decodeMultiSigned(statement), id)
        break
      case "policy":
        if (!this.#isNamedPolicy(id))
          throw new ChappeError("statement", "no roster names this policy")
        break
    }
    this.#known.set(name, { kind, id, statement })
    return { kind: "applied", id }
  }

  /**
   * Takes in statements read from the beginning of a log or bundle. The trust anchor's roster goes
   * first, wherever it stands, and rosters before it are passed over: who joins at roster 9 trusts
   * the custodians of roster 9 for all that is older. Refused as in `apply`.
   */
  applyInOrder(
    statements: readonly { readonly kind: StatementKind; readonly statement: Uint8Array }[],
  ): void {
    if (!this.hasRoster) {
      const anchor = statements.find(
        ({ kind, statement }) => kind === "roster" && this.#isAnchor(statement),
      )
      if (anchor !== undefined) this.apply("roster", anchor.statement)
    }
    for (const { kind, statement } of statements)
      if (kind !== "roster" || !this.isBeforeAnchor(statement)) this.apply(kind, statement)
  }

  #isAnchor(statement: Uint8Array): boolean {
    return equalBytes(this.idOf("roster", statement), this.#anchor.rosterId)
  }

  /** Whether this roster is older than the one where trust starts. Refused: `size`, `not-canonical`, `roster`. */
  isBeforeAnchor(statement: Uint8Array): boolean {
    return decodeRoster(decodeMultiSigned(statement).body).number < this.#anchor.number
  }

  /** The member or relay that has named this node or relay key, whatever became of the key. */
  ownerOf(keyId: Uint8Array): string | undefined {
    for (const station of this.#stations.values())
      if (station.keys.some((key) => equalBytes(key.keyId, keyId))) return station.name
    return undefined
  }

  /** A statement's id, 32 bytes; a policy file's is its hash. */
  idOf(kind: StatementKind, statement: Uint8Array): Uint8Array {
    if (kind === "policy") return this.#crypto.sha256(statement)
    const type = kind === "roster" ? "roster" : "member"
    return multiSignedId(this.#crypto, decodeMultiSigned(statement), type)
  }

  /** Remembers that `origin`'s directory log holds the statement at `index`. */
  place(origin: string, index: number, id: Uint8Array): void {
    let places = this.#places.get(origin)
    if (places === undefined) this.#places.set(origin, (places = new Map()))
    const name = toHex(id)
    if (!places.has(name)) places.set(name, index)
  }

  /** Everything taken in, in an order in which it can be taken in again. */
  statements(): readonly KnownStatement[] {
    return [...this.#known.values()]
  }

  has(id: Uint8Array): boolean {
    return this.#known.has(toHex(id))
  }

  forks(): readonly ForkEvidence[] {
    return this.#forks
  }

  #applyRoster(statement: Uint8Array): void {
    const last = this.#rosters.at(-1)
    if (last === undefined) {
      this.#adopt(anchorRoster(this.#crypto, statement, this.#anchor))
      return
    }
    const signed = decodeMultiSigned(statement)
    const { number } = decodeRoster(signed.body)
    const rival = this.#rosters.find(({ roster }) => roster.number === number)
    if (rival === undefined) return this.#adopt(nextRoster(this.#crypto, statement, last))
    const { custodians } = rival.roster
    const set = {
      use: "custodian",
      threshold: custodians.threshold,
      keys: custodians.keys,
    } as const
    if (!meetsThreshold(this.#crypto, signed, "roster", set))
      throw new ChappeError("roster", `roster ${number} is not signed by its custodians`)
    this.#forks.push({
      name: `roster ${number}`,
      kind: "roster",
      first: toHex(rival.id),
      second: statement,
    })
    throw new ChappeError("roster-fork", `two rosters have number ${number}`)
  }

  #adopt(next: SignedRoster): void {
    this.#rosters.push(next)
    for (const member of next.roster.members) this.#station(member.genesisId, member.node, "member")
    for (const relay of next.roster.relays) this.#station(relay.genesisId, relay.name, "relay")
  }

  #station(genesisId: Uint8Array, name: string, role: Station["role"]): void {
    const id = toHex(genesisId)
    if (!this.#stations.has(id)) this.#stations.set(id, newStation(name, role))
  }

  #isNamedPolicy(hash: Uint8Array): boolean {
    return this.#rosters.some(({ roster: { policy } }) =>
      [policy.witnessPolicy, policy.retentionPolicy, policy.deliveryPolicy].some((named) =>
        equalBytes(named, hash),
      ),
    )
  }

  #applyChain(signed: MultiSigned, id: Uint8Array): void {
    const item = decodeChainStatement(signed.body)
    const station =
      item.op === "genesis" ? this.#stations.get(toHex(id)) : this.#currentStation(item.name)
    if (station === undefined || station.name !== item.name)
      throw new ChappeError(
        "unknown-member",
        `the roster does not name ${item.name} with this genesis`,
      )
    if (item.op === "revoke") return this.#applyRevoke(station, signed, item, id)
    if (item.seq === null || item.prev === null)
      throw new ChappeError("statement", "only a revocation has no place in a chain")
    const place = { seq: item.seq, prev: item.prev }
    const rootChain = this.#isRootChain(station, signed, item)
    if (rootChain) this.#applyRoot(station, signed, item, id, place)
    else this.#applyNode(station, signed, item, id, place)
  }

  #isRootChain(station: Station, signed: MultiSigned, item: ChainStatement): boolean {
    if (item.op === "officer") return isRootSigned(this.#crypto, station, signed)
    return item.op !== "link" && item.op !== "prekeys" && item.op !== "urls"
  }

  #applyRoot(
    station: Station,
    signed: MultiSigned,
    item: ChainStatement,
    id: Uint8Array,
    place: { readonly seq: number; readonly prev: Uint8Array },
  ): void {
    const rival = station.ids[place.seq]
    if (rival !== undefined) {
      if (!meetsThreshold(this.#crypto, signed, "member", rootSigners(station)))
        throw new ChappeError("statement", "too few root keys signed")
      station.frozen = true
      this.#fork(station.name, "root-chain", rival, signed)
    }
    if (place.seq !== station.seq + 1 || !equalBytes(place.prev, station.head))
      throw new ChappeError("chain-gap", `${station.name}: statement ${place.seq} does not follow`)
    extendRootChain({ crypto: this.#crypto, signed, id }, station, item)
    station.seq = place.seq
    station.head = id
    station.ids.push(toHex(id))
  }

  #applyNode(
    station: Station,
    signed: MultiSigned,
    item: ChainStatement,
    id: Uint8Array,
    place: { readonly seq: number; readonly prev: Uint8Array },
  ): void {
    const key = chainKeyOf(station, signed)
    if (key === undefined || !isSignedByStationKey(this.#crypto, station, key, signed))
      throw new ChappeError("statement", `${station.name}: no key of its own signed`)
    const rival = key.ids[place.seq]
    if (rival !== undefined) {
      key.forked = true
      this.#fork(station.name, "node-chain", rival, signed)
    }
    if (item.at < key.notBefore || item.at > key.notAfter || this.#isRevoked(key.keyId, "now"))
      throw new ChappeError("statement", `${station.name}: the signing key is not valid`)
    if (place.seq !== key.seq + 1 || !equalBytes(place.prev, key.head))
      throw new ChappeError("chain-gap", `${station.name}: statement ${place.seq} does not follow`)
    extendNodeChain({ crypto: this.#crypto, signed, id }, station, key, item)
    key.seq = place.seq
    key.head = id
    key.ids.push(toHex(id))
  }

  #fork(
    name: string,
    kind: "root-chain" | "node-chain",
    first: string,
    second: MultiSigned,
  ): never {
    this.#forks.push({ name, kind, first, second: second.body })
    throw new ChappeError("chain-fork", `${name}: two statements claim one place`)
  }

  /** A revocation by the root; by a station key for its link keys; by the enrolling officers. */
  #applyRevoke(station: Station, signed: MultiSigned, item: ChainStatement, id: Uint8Array): void {
    const { keyId } = chainBody("revoke", item)
    if (!isRootSigned(this.#crypto, station, signed) && !this.#mayRevoke(station, signed, keyId))
      throw new ChappeError("statement", "nobody who may revoke this key signed")
    const name = `${station.name}/${toHex(keyId)}`
    this.#revocations.set(name, [...(this.#revocations.get(name) ?? []), toHex(id)])
  }

  #mayRevoke(station: Station, signed: MultiSigned, keyId: Uint8Array): boolean {
    const own = station.keys.find(({ links }) =>
      links.some((link) => equalBytes(link.keyId, keyId)),
    )
    if (own !== undefined && isSignedByStationKey(this.#crypto, station, own, signed)) return true
    if (!station.officers.some((officer) => equalBytes(officer.keyId, keyId))) return false
    const enrollers = station.officers
      .filter(({ capabilities }) => capabilities.includes("enrol/officer"))
      .map(({ key }) => key)
    return countSigners(this.#crypto, signed, "member", { use: "officer", keys: enrollers }) > 0
  }

  // ---- Questions

  /** Refused: `roster` before the first roster is known. */
  roster(place: Place = "now"): Roster {
    const found = this.#rosters.findLast(({ id }) => this.#isBefore(toHex(id), place))
    if (found === undefined) throw new ChappeError("roster", "no roster is known yet")
    return found.roster
  }

  get hasRoster(): boolean {
    return this.#rosters.length > 0
  }

  rosterStatement(): SignedRoster | undefined {
    return this.#rosters.at(-1)
  }

  member(name: string, place: Place = "now"): RosterMember | undefined {
    return this.roster(place).members.find(({ node }) => node === name)
  }

  isActiveMember(name: string, place: Place = "now"): boolean {
    return this.member(name, place)?.status === memberStatuses.active
  }

  /** Active members in the roster's order. */
  activeMembers(): readonly RosterMember[] {
    return this.roster().members.filter(({ status }) => status === memberStatuses.active)
  }

  /** Names of the members flagged `desk`. */
  desks(place: Place = "now"): readonly string[] {
    return this.roster(place)
      .members.filter(({ flags }) => flags.includes("desk"))
      .map(({ node }) => node)
  }

  activeRelays(): readonly string[] {
    return this.roster()
      .relays.filter(({ status }) => status === memberStatuses.active)
      .map(({ name }) => name)
  }

  /** The member's or relay's chains as now known. */
  station(name: string, place: Place = "now"): Station | undefined {
    const roster = this.roster(place)
    const genesisId =
      roster.members.find(({ node }) => node === name)?.genesisId ??
      roster.relays.find((relay) => relay.name === name)?.genesisId
    return genesisId === undefined ? undefined : this.#stations.get(toHex(genesisId))
  }

  #currentStation(name: string): Station | undefined {
    return this.#rosters.length === 0 ? undefined : this.station(name)
  }

  #isBefore(statement: string, place: Place): boolean {
    if (place === "now") return true
    const index = this.#places.get(place.origin)?.get(statement)
    return index !== undefined && index < place.size
  }

  #isRevoked(keyId: Uint8Array, place: Place, name?: string): boolean {
    const id = toHex(keyId)
    const revocations =
      name === undefined
        ? [...this.#revocations].filter(([key]) => key.endsWith(`/${id}`)).flatMap(([, ids]) => ids)
        : (this.#revocations.get(`${name}/${id}`) ?? [])
    return revocations.some((statement) => this.#isBefore(statement, place))
  }

  #isValid(name: string, key: NamedKey, place: Place, time: number): boolean {
    return (
      this.#isBefore(key.named, place) &&
      !this.#isRevoked(key.keyId, place, name) &&
      key.notBefore <= time &&
      time <= key.notAfter
    )
  }

  #isActivated(key: StationKey, place: Place): boolean {
    return key.kind !== "standby"
      ? this.#isBefore(key.named, place)
      : key.activated !== undefined && this.#isBefore(key.activated, place)
  }

  /** Why this is not a valid node or relay key of `name` there and then; or the key. */
  stationKeyAt(
    name: string,
    keyId: Uint8Array,
    place: Place,
    time: number,
  ):
    | { readonly kind: "valid"; readonly key: StationKey }
    | { readonly kind: "invalid"; readonly why: string } {
    const station = this.station(name, place)
    const key = station?.keys.find((candidate) => equalBytes(candidate.keyId, keyId))
    if (station === undefined || key === undefined)
      return { kind: "invalid", why: `${name} has named no such key` }
    if (!this.#isValid(name, key, place, time) || !this.#isActivated(key, place))
      return { kind: "invalid", why: `${name}'s key was not valid there` }
    if (place === "now" && (key.forked || station.frozen))
      return { kind: "invalid", why: `${name}'s chain has forked` }
    const later = station.keys.some(
      (other) => other.incarnation > key.incarnation && this.#isActivated(other, place),
    )
    if (later) return { kind: "invalid", why: `${name} has started a later incarnation` }
    return { kind: "valid", key }
  }

  /** Refused: `sender-key`. */
  requireStationKey(name: string, keyId: Uint8Array, place: Place, time: number): StationKey {
    const found = this.stationKeyAt(name, keyId, place, time)
    if (found.kind === "invalid") throw new ChappeError("sender-key", found.why)
    return found.key
  }

  /** Incarnation that the member's valid keys have now; 0 when it has none. */
  currentIncarnation(name: string): number {
    const keys = this.station(name)?.keys.filter((key) => this.#isActivated(key, "now")) ?? []
    return Math.max(0, ...keys.map(({ incarnation }) => incarnation))
  }

  /** Whether `name` is a member or relay whose revocation of this key is known anywhere. */
  isRevokedAnywhere(name: string, keyId: Uint8Array): boolean {
    return this.#isRevoked(keyId, "now", name)
  }

  /** Refused: `officer-key`. */
  requireOfficer(
    member: string,
    officer: string,
    keyId: Uint8Array,
    place: Place,
    time: number,
  ): OfficerKey {
    const key = this.station(member, place)?.officers.find(
      (candidate) => candidate.officer === officer && equalBytes(candidate.keyId, keyId),
    )
    if (key === undefined || !this.#isValid(member, key, place, time))
      throw new ChappeError("officer-key", `${officer} had no such valid key there`)
    return key
  }

  /** The officers of a member whose keys are valid at `time`. */
  officers(member: string, time: number): readonly OfficerKey[] {
    return (
      this.station(member)?.officers.filter((key) => this.#isValid(member, key, "now", time)) ?? []
    )
  }

  /** Whose link key this is; undefined for strangers and for expired or revoked keys. */
  linkOwner(linkKey: Uint8Array, time: number): Station | undefined {
    for (const name of this.#stationNames()) {
      const station = this.station(name)
      for (const key of station?.keys ?? []) {
        const link = key.links.find((candidate) => equalBytes(candidate.key, linkKey))
        if (link === undefined) continue
        const counts =
          this.#isValid(name, link, "now", time) &&
          !key.forked &&
          !this.#isRevoked(key.keyId, "now", name)
        return counts ? station : undefined
      }
    }
    return undefined
  }

  #stationNames(): readonly string[] {
    if (!this.hasRoster) return []
    const { members, relays } = this.roster()
    return [
      ...members.filter(isNotRemoved).map(({ node }) => node),
      ...relays.filter(isNotRemoved).map(({ name }) => name),
    ]
  }

  /**
   * The hash of the KEM key for `day`: of the newest statement that covers it, else the last day
   * published before it (`exact` false). Undefined when nothing is published.
   */
  prekeyFor(
    member: string,
    day: number,
  ): { readonly hash: Uint8Array; readonly day: number; readonly exact: boolean } | undefined {
    const keys = this.station(member)?.keys ?? []
    const statements = keys
      .filter((key) => this.#isActivated(key, "now") && !this.#isRevoked(key.keyId, "now", member))
      .toSorted((a, b) => a.incarnation - b.incarnation)
      .flatMap(({ prekeys }) => prekeys)
    const covering = statements.findLast(
      ({ firstDay, hashes }) => firstDay <= day && day < firstDay + hashes.length,
    )
    const exact = covering?.hashes[day - covering.firstDay]
    if (exact !== undefined) return { hash: exact, day, exact: true }
    const past = statements.filter(({ firstDay }) => firstDay <= day).at(-1)
    const last = past?.hashes.at(-1)
    if (past === undefined || last === undefined) return undefined
    return { hash: last, day: past.firstDay + past.hashes.length - 1, exact: false }
  }

  /** Whether `member` has published this typed key hash. */
  isPublishedPrekey(member: string, hash: Uint8Array): boolean {
    return (
      this.station(member)?.keys.some(({ prekeys }) =>
        prekeys.some(({ hashes }) => hashes.some((known) => equalBytes(known, hash))),
      ) ?? false
    )
  }

  /** A member's homes that the roster knows as active, in the member's order. */
  homes(member: string): readonly string[] {
    const active = this.activeRelays()
    return this.station(member)?.homes.filter((name) => active.includes(name)) ?? []
  }

  urls(relay: string): StationKey["urls"] {
    return this.station(relay)?.keys.findLast(({ urls }) => urls !== undefined)?.urls
  }

  /** The valid link keys of a station. */
  linkKeys(name: string, time: number): readonly Uint8Array[] {
    const keys = this.station(name)?.keys ?? []
    return keys.flatMap(({ links }) =>
      links.filter((link) => this.#isValid(name, link, "now", time)).map(({ key }) => key),
    )
  }

  /** The log of that origin, as its relay's root named it. */
  log(origin: string): (LogNames & { readonly relay: string }) | undefined {
    const relay = origin.slice(0, origin.indexOf("/"))
    const found = this.station(relay)?.logs.findLast((log) => log.origin === origin)
    return found === undefined ? undefined : { ...found, relay }
  }

  /** A relay's newest log whose origin begins `<relay>/<sort>`. */
  currentLog(relay: string, sort: "directory" | "traffic"): LogNames | undefined {
    return this.station(relay)?.logs.findLast(({ origin }) => origin.startsWith(`${relay}/${sort}`))
  }

  auditorKey(name: string): Uint8Array | undefined {
    return this.roster().auditors.find((auditor) => auditor.name === name)?.key
  }

  /** The bytes of the policy file that the current roster names, once they were taken in. */
  policyFile(
    which: "witnessPolicy" | "retentionPolicy" | "deliveryPolicy",
  ): Uint8Array | undefined {
    return this.#known.get(toHex(this.roster().policy[which]))?.statement
  }

  /** Names, sorted as bytes, of the members with these codes; refused: `unknown-recipient`. */
  requireActive(names: readonly string[]): readonly string[] {
    for (const name of names)
      if (!this.isActiveMember(name))
        throw new ChappeError("unknown-recipient", `${name} is not an active member`)
    return [...new Set(names)].toSorted(compareText)
  }
}

function isNotRemoved({ status }: { readonly status: number }): boolean {
  return status !== memberStatuses.removed
}
