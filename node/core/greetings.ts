// HELLOs of this node: what it says of itself, whom it believes, and the sign that it is a copy or an
// old backup. docs/PROTOCOL.md, "Links".

import { openHello, signHello } from "../../keys/link-hello.ts"
import { emptyBytes, equalBytes, toHex } from "../../protocol/bytes.ts"
import type { Directory } from "../../protocol/directory.ts"
import { type DirectoryHead, suites } from "../../protocol/envelope.ts"
import { ChappeError } from "../../protocol/errors.ts"
import type { Alarms } from "./alarms.ts"
import type { DirectoryFollower } from "./directory-follower.ts"
import { type Identity, requireSigningKey, signingKeyAt } from "./identity.ts"
import type { LogStatements } from "./log-statements.ts"
import type { NetworkClock } from "./network-clock.ts"

/** `size`: of the relay's directory log, as it was known when we spoke. */
type Said = { readonly keyId: Uint8Array; readonly session: number; readonly size: number }

export class Greetings {
  readonly #identity: Identity
  readonly #directory: Directory
  readonly #follower: DirectoryFollower
  readonly #statements: LogStatements
  readonly #alarms: Alarms
  readonly #clock: NetworkClock
  readonly #said = new Map<string, Said>()
  readonly #held = new Map<string, number>()
  readonly #heads = new Map<string, DirectoryHead>()

  constructor(options: {
    readonly identity: Identity
    readonly directory: Directory
    readonly follower: DirectoryFollower
    readonly statements: LogStatements
    readonly alarms: Alarms
    readonly clock: NetworkClock
  }) {
    this.#identity = options.identity
    this.#directory = options.directory
    this.#follower = options.follower
    this.#statements = options.statements
    this.#alarms = options.alarms
    this.#clock = options.clock
  }

  /** Our signed HELLO; its session number is stored before it is said. Refused: `clone`, `key-expired`. */
  async say(relay: string, exporter: Uint8Array): Promise<Uint8Array> {
    const now = this.#clock.now()
    if (signingKeyAt(this.#identity, this.#directory, now) === undefined && this.#hasClone())
      throw new ChappeError("clone", "this node is a copy, or was put back from one")
    const { signing, station } = requireSigningKey(this.#identity, this.#directory, now)
    const { keyId } = signing
    const session = await this.#statements.nextSession(keyId, relay)
    const { size } = this.#follower.headOf(this.#directoryOrigin(relay))
    this.#said.set(relay, { keyId, session, size })
    return signHello(signing, {
      exporter,
      from: this.#identity.name,
      to: relay,
      role: 0,
      at: this.#clock.ownSeconds(),
      suites: [suites.one],
      head: this.#follower.headOf(this.#directoryOrigin(relay)),
      incarnation: station.incarnation,
      held: { seq: this.#highest(keyId, relay), session },
    })
  }

  /** Refused: `hello`; `clone` when the relay holds later work by this key than is known here. */
  async hear(relay: string, signed: Uint8Array, exporter: Uint8Array): Promise<void> {
    const { hello } = openHello(this.#directory, signed, {
      exporter,
      from: relay,
      to: this.#identity.name,
      role: 1,
      now: this.#clock.now(),
    })
    this.#clock.heard(relay, hello.at)
    this.#heads.set(relay, hello.head)
    const said = this.#said.get(relay)
    if (said === undefined) throw new ChappeError("hello", `${relay} answers what was not said`)
    const { seq, session } = hello.held
    this.#held.set(relay, seq)
    if (seq <= this.#highest(said.keyId, relay) && session < said.session)
      return await this.#lookForRollback(relay, hello.head.size, said.size, signed)
    await this.#alarms.raise("clone", `${relay} ${toHex(said.keyId)}`, [signed])
    throw new ChappeError("clone", `${relay} holds number ${seq} and session ${session}`)
  }

  /** The highest number of this key that the relay said it holds in its log, at the last HELLO. */
  heldNumber(relay: string, keyId: Uint8Array): number | undefined {
    const said = this.#said.get(relay)
    return said !== undefined && equalBytes(said.keyId, keyId) ? this.#held.get(relay) : undefined
  }

  /**
   * A relay's log never shrinks: one that tells of less than it has signed before was put back from a copy.
   * It learns that by its own word, when it shows its checkpoints on this link.
   */
  async #lookForRollback(
    relay: string,
    size: number,
    known: number,
    signed: Uint8Array,
  ): Promise<void> {
    if (size >= known) return
    const origin = this.#directoryOrigin(relay)
    const note = this.#follower.verifiedOf(origin)?.checkpoint
    await this.#alarms.raise("log-rollback", `${origin} ${known} ${size}`, [
      note ?? emptyBytes,
      signed,
    ])
  }

  #hasClone(): boolean {
    return this.#alarms.list().some(({ kind }) => kind === "clone")
  }

  /** The head that the relay signed must fit what its log gives. */
  async confirmHead(relay: string): Promise<void> {
    const head = this.#heads.get(relay)
    const origin = this.#directoryOrigin(relay)
    if (head !== undefined && origin !== "") await this.#follower.confirmHead(origin, head)
  }

  #directoryOrigin(relay: string): string {
    return this.#directory.currentLog(relay, "directory")?.origin ?? ""
  }

  #highest(keyId: Uint8Array, relay: string): number {
    return this.#statements.highest(keyId, this.#statements.originOf(relay))
  }
}
