// The node's own chain: link keys, prekeys and enrolled officers, one statement after another. A
// statement is stored before anybody sees it, so that a crash can never fork the chain, and goes to
// every relay until that relay's log holds it. Stored by number, because each follows on earlier ones.

import type { SigningKey } from "../../keys/signing-key.ts"
import { signChain } from "../../keys/statements.ts"
import { toHex } from "../../protocol/bytes.ts"
import { type ChainBody, type ChainOp, decodeChainStatement } from "../../protocol/chain.ts"
import { bytes } from "../../protocol/codec.ts"
import type { Directory, KnownStatement } from "../../protocol/directory.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { linkLanes } from "../../protocol/frames.ts"
import { limits } from "../../protocol/limits.ts"
import { decodeMultiSigned } from "../../protocol/multi-signed.ts"
import type { Alarms } from "./alarms.ts"
import { ask } from "./ask.ts"
import type { DirectoryFollower, Learned } from "./directory-follower.ts"
import { type Identity, type OwnKey, requireSigningKey } from "./identity.ts"
import type { Change, RelayLink } from "./ports.ts"
import { type Records, type Table, numberKey, walk } from "./records.ts"
import { Serial } from "./serial.ts"

export class OwnChain {
  readonly #identity: Identity
  readonly #directory: Directory
  readonly #follower: DirectoryFollower
  readonly #records: Records
  readonly #statements: Table<Uint8Array>
  readonly #alarms: Alarms
  readonly #now: () => number
  readonly #serial = new Serial()
  /** Hex ids. */
  readonly #own = new Set<string>()
  #nextNumber = 0
  #loading = true

  constructor(options: {
    readonly identity: Identity
    readonly directory: Directory
    readonly follower: DirectoryFollower
    readonly records: Records
    readonly alarms: Alarms
    readonly now: () => number
  }) {
    this.#identity = options.identity
    this.#directory = options.directory
    this.#follower = options.follower
    this.#records = options.records
    this.#statements = options.records.table("own-statement", bytes(1, limits.statementBytesMax))
    this.#alarms = options.alarms
    this.#now = options.now
    this.#follower.whenLearned((learned) => this.#watch(learned))
  }

  /**
   * After the directory was loaded: what this node signed and no log may hold yet. `founding`: what was
   * signed when its folder was made, which comes back through the relays once a roster names the member.
   */
  async load(founding: readonly Uint8Array[]): Promise<void> {
    for (const statement of founding) this.#own.add(toHex(this.#directory.idOf("chain", statement)))
    for await (const { key, item } of walk(this.#statements)) {
      this.#nextNumber = Number.parseInt(key, 16) + 1
      this.#own.add(toHex(this.#directory.idOf("chain", item)))
      this.#follower.learn("chain", item)
    }
    this.#loading = false
  }

  /**
   * Appends to the chain of the newest valid node key, or of `by`. `withChanges` go into the same
   * commit; `coSigners` sign beside it. Refused: `key-expired`.
   */
  append<Op extends ChainOp>(
    op: Op,
    body: ChainBody<Op>,
    options: {
      readonly by?: OwnKey
      readonly coSigners?: readonly SigningKey[]
      readonly changes?: readonly Change[]
    } = {},
  ): Promise<Uint8Array> {
    return this.#serial.run(async () => {
      const now = this.#now()
      const { signing, station } =
        options.by ?? requireSigningKey(this.#identity, this.#directory, now)
      const { name } = this.#identity
      const home = this.#directory.homes(name)[0]
      const origin =
        home === undefined ? undefined : this.#directory.currentLog(home, "directory")?.origin
      const head = this.#follower.headOf(origin ?? "")
      const draft = { name, seq: station.seq + 1, prev: station.head, op, at: now, head, body }
      const keys = [signing, ...(options.coSigners ?? [])]
      const { statement, id } = signChain<Op>(draft, keys)
      await this.#records.commit([this.#put(id, statement), ...(options.changes ?? [])])
      this.#directory.apply("chain", statement)
      return statement
    })
  }

  /** A statement made elsewhere on purpose, as by the member's root at the console. */
  async expect(statement: Uint8Array): Promise<void> {
    const id = this.#directory.idOf("chain", statement)
    if (!this.#own.has(toHex(id))) await this.#records.commit([this.#put(id, statement)])
    this.#follower.learn("chain", statement)
  }

  #put(id: Uint8Array, statement: Uint8Array): Change {
    this.#own.add(toHex(id))
    return this.#statements.put(numberKey(this.#nextNumber++), statement)
  }

  /** Hands the relay every own statement that its log lacks, each after the one before it. */
  async publish(link: RelayLink): Promise<void> {
    for (const { statement } of this.unplaced(link.relay)) {
      const request = { name: "statementPut", sort: "chain", statement } as const
      await ask(link, linkLanes.control, request, "done")
    }
  }

  /** Own statements that this relay's directory log is not known to hold. */
  unplaced(relay: string): readonly KnownStatement[] {
    const origin = this.#directory.currentLog(relay, "directory")?.origin
    if (origin === undefined) return []
    return this.#directory
      .statements()
      .filter(
        ({ kind, id }) =>
          kind === "chain" && this.#own.has(toHex(id)) && !this.#follower.holds(origin, id),
      )
  }

  /** Whoever can write into our chains can speak for us. */
  #watch({ kind, id, statement }: Learned): void {
    if (this.#loading || kind !== "chain" || this.#own.has(toHex(id))) return
    const { name, op, seq } = decodeChainStatement(decodeMultiSigned(statement).body)
    if (name !== this.#identity.name) return
    const subject = `${op} ${seq ?? "-"} ${toHex(id).slice(0, 16)}`
    // A failed disk is reported by the records themselves.
    this.#alarms.raise("own-chain", subject, [statement]).catch((cause: unknown) => {
      if (!(cause instanceof ChappeError)) throw cause
    })
  }
}
