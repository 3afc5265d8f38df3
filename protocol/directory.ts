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
  type RosterRelay,
  type SignedRoster,
  type TrustAnchor,
  anchorRoster,
  custodianSigners,
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
  incarnationOf,
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

/** Two signed statements that exclude each other: `first` by its hex id, `second` as received. */
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

/** A roster with what is asked of it for every message. */
type AdoptedRoster = SignedRoster & {
  readonly name: string
  readonly members: ReadonlyMap<string, RosterMember>
  readonly relays: ReadonlyMap<string, RosterRelay>
}

/** A chain statement on its way in. */
type ChainInput = {
  readonly station: Station
  readonly item: ChainStatement
  readonly signed: MultiSigned
  readonly id: Uint8Array
  readonly statement: Uint8Array
}
type PlacedInput = ChainInput & { readonly seq: number; readonly prev: Uint8Array }

type NamedLink = { readonly station: Station; readonly key: StationKey; readonly link: NamedKey }

export class Directory {
  readonly #crypto: Crypto
  readonly #anchor: TrustAnchor
  readonly #rosters: AdoptedRoster[] = []
  /** By hex genesisId: a re-genesis is another station. */
  readonly #stations = new Map<string, Station>()
  readonly #known = new Map<string, KnownStatement>()
  /** By hex id of a node, standby or relay key: who named it first. */
  readonly #owners = new Map<string, string>()
  /** By hex link key: who named it. */
  readonly #links = new Map<string, NamedLink[]>()
  /** By name and hex key id: hex ids of the statements. */
  readonly #revocations = new Map<string, string[]>()
  readonly #places = new Map<string, Map<string, number>>()
  /** By the first statement's hex id: one rival is evidence enough. */
  readonly #forks = new Map<string, ForkEvidence>()

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
   * `roster-fork`, `signature`, `possession`, `key-form`, `key-ended`, `unknown-member`; forks are kept as
   * evidence.
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
        this.#applyChain(statement, id)
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
    return this.#owners.get(toHex(keyId))
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
    return [...this.#forks.values()]
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
    // A roster answers to the custodians of the one before; the first one known, to its own.
    const before = this.#rosters.find(({ roster }) => roster.number === number - 1) ?? rival
    const set = custodianSigners(before.roster.custodians)
    if (!meetsThreshold(this.#crypto, signed, "roster", set))
      throw new ChappeError("roster", `roster ${number} is not signed by its custodians`)
    const name = `roster ${number}`
    this.#keepFork({ name, kind: "roster", first: rival.name, second: statement })
    throw new ChappeError("roster-fork", `two rosters have number ${number}`)
  }

  #adopt(next: SignedRoster): void {
    const { members, relays } = next.roster
    this.#rosters.push({
      ...next,
      name: toHex(next.id),
      members: new Map(members.map((member) => [member.node, member])),
      relays: new Map(relays.map((relay) => [relay.name, relay])),
    })
    for (const member of members) this.#station(member.genesisId, member.node, "member")
    for (const relay of relays) this.#station(relay.genesisId, relay.name, "relay")
  }

  #keepFork(evidence: ForkEvidence): void {
    if (!this.#forks.has(evidence.first)) this.#forks.set(evidence.first, evidence)
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

  #applyChain(statement: Uint8Array, id: Uint8Array): void {
    const signed = decodeMultiSigned(statement)
    const item = decodeChainStatement(signed.body)
    const station = item.op === "genesis" ? this.#stations.get(toHex(id)) : this.station(item.name)
    if (station === undefined || station.name !== item.name)
      throw new ChappeError(
        "unknown-member",
        `the roster does not name ${item.name} with this genesis`,
      )
    const input = { station, item, signed, id, statement }
    const { seq, prev } = item
    if (item.op === "revoke" && seq === null && prev === null) return this.#applyRevoke(input)
    if (item.op === "revoke" || seq === null || prev === null)
      throw new ChappeError("statement", "a revocation and nothing else has no place in a chain")
    if (this.#isRootChain(input)) this.#applyRoot({ ...input, seq, prev })
    else this.#applyNode({ ...input, seq, prev })
  }

  #isRootChain({ station, signed, item }: ChainInput): boolean {
    if (item.op === "officer") return isRootSigned(this.#crypto, station, signed)
    return item.op !== "link" && item.op !== "prekeys" && item.op !== "urls"
  }

  #applyRoot(input: PlacedInput): void {
    const { station, signed, item, id, seq } = input
    const rival = station.ids[seq]
    if (rival !== undefined) {
      if (!meetsThreshold(this.#crypto, signed, "member", rootSigners(station)))
        throw new ChappeError("statement", "too few root keys signed")
      station.frozen = true
      this.#fork("root-chain", rival, input)
    }
    this.#requireNext(input, station)
    extendRootChain(this.#context(input), station, item)
    const newest = station.keys.at(-1)
    if (newest?.named === toHex(id) && !this.#owners.has(toHex(newest.keyId)))
      this.#owners.set(toHex(newest.keyId), station.name)
    station.seq = seq
    station.head = id
    station.ids.push(toHex(id))
  }

  #applyNode(input: PlacedInput): void {
    const { station, signed, item, id, seq } = input
    const key = chainKeyOf(station, signed)
    if (key === undefined || !isSignedByStationKey(this.#crypto, station, key, signed))
      throw new ChappeError("statement", `${station.name}: no key of its own signed`)
    const rival = key.ids[seq]
    if (rival !== undefined) {
      key.forked = true
      this.#fork("node-chain", rival, input)
    }
    if (item.at < key.notBefore || item.at > key.notAfter)
      throw new ChappeError("statement", `${station.name}: the signing key is not valid`)
    if (!this.#stands(station, key))
      throw new ChappeError("key-ended", `${station.name}: ${item.op}`)
    this.#requireNext(input, key)
    extendNodeChain(this.#context(input), station, key, item)
    key.seq = seq
    key.head = id
    key.ids.push(toHex(id))
    const link = item.op === "link" ? key.links.at(-1) : undefined
    if (link === undefined) return
    const name = toHex(link.key)
    this.#links.set(name, [...(this.#links.get(name) ?? []), { station, key, link }])
  }

  #context({ station, signed, id }: ChainInput): Parameters<typeof extendRootChain>[0] {
    const isRevoked = (keyId: Uint8Array): boolean => this.#isRevoked(station.name, keyId, "now")
    return { crypto: this.#crypto, signed, id, isRevoked }
  }

  #requireNext(
    { station, seq, prev }: PlacedInput,
    end: { readonly seq: number; readonly head: Uint8Array },
  ): void {
    if (seq !== end.seq + 1 || !equalBytes(prev, end.head))
      throw new ChappeError("chain-gap", `${station.name}: statement ${seq} does not follow`)
  }

  #fork(kind: "root-chain" | "node-chain", first: string, input: ChainInput): never {
    const { name } = input.station
    this.#keepFork({ name, kind, first, second: input.statement })
    throw new ChappeError("chain-fork", `${name}: two statements claim one place`)
  }

  /** A revocation by the root; by a node for its links and prekeys; by who may enrol officers. */
  #applyRevoke(input: ChainInput): void {
    const { station, signed, item, id } = input
    const { keyId } = chainBody("revoke", item)
    if (!isRootSigned(this.#crypto, station, signed) && !this.#mayRevoke(input, keyId))
      throw new ChappeError("statement", "nobody who may revoke this key signed")
    const name = `${station.name}/${toHex(keyId)}`
    this.#revocations.set(name, [...(this.#revocations.get(name) ?? []), toHex(id)])
  }

  #mayRevoke({ station, signed, item }: ChainInput, keyId: Uint8Array): boolean {
    const isOwners = station.keys.some(
      (key) => hangsOn(key, keyId) && isSignedByStationKey(this.#crypto, station, key, signed),
    )
    if (isOwners) return true
    if (!station.officers.some((officer) => equalBytes(officer.keyId, keyId))) return false
    const enrollers = station.officers
      .filter(
        (officer) =>
          officer.capabilities.includes("enrol/officer") &&
          officer.notBefore <= item.at &&
          item.at <= officer.notAfter &&
          !this.#isRevoked(station.name, officer.keyId, "now"),
      )
      .map(({ key }) => key)
    return countSigners(this.#crypto, signed, "member", { use: "officer", keys: enrollers }) > 0
  }

  // ---- Questions

  /** Refused: `roster` before the first roster is known. */
  roster(place: Place = "now"): Roster {
    const found = this.#rosterAt(place)
    if (found === undefined) throw new ChappeError("roster", "no roster is known yet")
    return found.roster
  }

  #rosterAt(place: Place): AdoptedRoster | undefined {
    return this.#rosters.findLast(({ name }) => this.#isBefore(name, place))
  }

  get hasRoster(): boolean {
    return this.#rosters.length > 0
  }

  rosterStatement(): SignedRoster | undefined {
    return this.#rosters.at(-1)
  }

  member(name: string, place: Place = "now"): RosterMember | undefined {
    return this.#rosterAt(place)?.members.get(name)
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
    const roster = this.#rosterAt(place)
    const listed = roster?.members.get(name) ?? roster?.relays.get(name)
    return listed === undefined ? undefined : this.#stations.get(toHex(listed.genesisId))
  }

  #isBefore(statement: string, place: Place): boolean {
    if (place === "now") return true
    const index = this.#places.get(place.origin)?.get(statement)
    return index !== undefined && index < place.size
  }

  #isRevoked(name: string, keyId: Uint8Array, place: Place): boolean {
    const revocations = this.#revocations.get(`${name}/${toHex(keyId)}`) ?? []
    return revocations.some((statement) => this.#isBefore(statement, place))
  }

  #isValid(name: string, key: NamedKey, place: Place, time: number): boolean {
    return (
      this.#isBefore(key.named, place) &&
      !this.#isRevoked(name, key.keyId, place) &&
      key.notBefore <= time &&
      time <= key.notAfter
    )
  }

  #isActivated(key: StationKey, place: Place): boolean {
    return key.kind !== "standby"
      ? this.#isBefore(key.named, place)
      : key.activated !== undefined && this.#isBefore(key.activated, place)
  }

  /** Whether the member had started a later incarnation there. */
  #hasEnded(station: Station, key: StationKey, place: Place): boolean {
    return station.keys.some(
      (other) => other.incarnation > key.incarnation && this.#isActivated(other, place),
    )
  }

  /** Whether what the key says now counts, its life aside. */
  #stands(station: Station, key: StationKey): boolean {
    return (
      !key.forked &&
      !this.#isRevoked(station.name, key.keyId, "now") &&
      !this.#hasEnded(station, key, "now")
    )
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
    if (this.#hasEnded(station, key, place))
      return { kind: "invalid", why: `${name} has started a later incarnation` }
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
    const station = this.station(name)
    return station === undefined ? 0 : incarnationOf(station)
  }

  /** Whether `name` is a member or relay whose revocation of this key is known anywhere. */
  isRevokedAnywhere(name: string, keyId: Uint8Array): boolean {
    return this.#isRevoked(name, keyId, "now")
  }

  /** Refused: `officer-key`. */
  requireOfficer(
    member: string,
    officer: string,
    keyId: Uint8Array,
    place: Place,
    time: number,
  ): OfficerKey {
    // The same key may have been named again, for longer or with less: the newest naming there counts.
    const key = this.station(member, place)?.officers.findLast(
      (candidate) =>
        candidate.officer === officer &&
        equalBytes(candidate.keyId, keyId) &&
        this.#isBefore(candidate.named, place),
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
    const named = this.#links.get(toHex(linkKey)) ?? []
    return named.find((one) => this.#isListed(one.station) && this.#linkCounts(one, time))?.station
  }

  #linkCounts({ station, key, link }: NamedLink, time: number): boolean {
    return this.#isValid(station.name, link, "now", time) && this.#stands(station, key)
  }

  /** Whether the newest roster names this station with this genesis, and has not removed it. */
  #isListed(station: Station): boolean {
    const newest = this.#rosters.at(-1)
    const listed = newest?.members.get(station.name) ?? newest?.relays.get(station.name)
    return (
      listed !== undefined &&
      listed.status !== memberStatuses.removed &&
      this.#stations.get(toHex(listed.genesisId)) === station
    )
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
    const newestFirst = keys
      .filter(
        (key) =>
          this.#isActivated(key, "now") &&
          !key.forked &&
          !this.#isRevoked(member, key.keyId, "now"),
      )
      .toSorted((a, b) => a.incarnation - b.incarnation)
      .flatMap(({ prekeys }) => prekeys)
      .toReversed()
    const isUsable = (hash: Uint8Array): boolean =>
      !this.#isRevoked(member, hash.subarray(0, 16), "now")
    for (const { firstDay, hashes } of newestFirst) {
      const hash = hashes[day - firstDay]
      if (hash !== undefined && isUsable(hash)) return { hash, day, exact: true }
    }
    for (const { firstDay, hashes } of newestFirst) {
      const index = hashes.findLastIndex((hash, i) => firstDay + i < day && isUsable(hash))
      const hash = hashes[index]
      if (hash !== undefined) return { hash, day: firstDay + index, exact: false }
    }
    return undefined
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
    const relays = this.#rosterAt("now")?.relays
    const isActive = (name: string): boolean => relays?.get(name)?.status === memberStatuses.active
    return this.station(member)?.homes.filter(isActive) ?? []
  }

  urls(relay: string): StationKey["urls"] {
    return this.station(relay)?.keys.findLast(({ urls }) => urls !== undefined)?.urls
  }

  /** The valid link keys of a station. */
  linkKeys(name: string, time: number): readonly Uint8Array[] {
    const station = this.station(name)
    return (station?.keys ?? []).flatMap((key) =>
      key.links
        .filter((link) => station !== undefined && this.#linkCounts({ station, key, link }, time))
        .map((link) => link.key),
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

/** Whether it is one of the key's links or prekeys. */
function hangsOn(key: StationKey, keyId: Uint8Array): boolean {
  return (
    key.links.some((link) => equalBytes(link.keyId, keyId)) ||
    key.prekeys.some(({ hashes }) => hashes.some((hash) => equalBytes(hash.subarray(0, 16), keyId)))
  )
}
