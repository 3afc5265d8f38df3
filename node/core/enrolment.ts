// Officers enrolled and revoked by an officer who may, in the node's own chain; and statements that the
// member's root signed elsewhere.

import { signChain } from "../../keys/statements.ts"
import type { Directory } from "../../protocol/directory.ts"
import type { Lane } from "../../protocol/envelope.ts"
import { ChappeError } from "../../protocol/errors.ts"
import type { LinkTable } from "./link-table.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { OwnChain } from "./own-chain.ts"
import type { Session } from "./sessions.ts"

export type NewOfficer = {
  readonly officer: string
  readonly key: Uint8Array
  readonly possession: Uint8Array
  readonly capabilities: readonly string[]
  readonly maxPrecedence: Lane
  readonly seconds: number
}

export class Enrolment {
  readonly #me: string
  readonly #directory: Directory
  readonly #chain: OwnChain
  readonly #links: LinkTable
  readonly #clock: NetworkClock

  constructor(options: {
    readonly me: string
    readonly directory: Directory
    readonly chain: OwnChain
    readonly links: LinkTable
    readonly clock: NetworkClock
  }) {
    this.#me = options.me
    this.#directory = options.directory
    this.#chain = options.chain
    this.#links = options.links
    this.#clock = options.clock
  }

  /** Capabilities only narrow. Refused: `capability`, `possession`, `key-form`, `key-expired`. */
  async enrol(session: Session, officer: NewOfficer): Promise<Uint8Array> {
    const { officer: enroller, signing } = session
    const excess = officer.capabilities.find((one) => !enroller.capabilities.includes(one))
    if (excess !== undefined || officer.maxPrecedence > enroller.maxPrecedence)
      throw new ChappeError(
        "capability",
        `${enroller.officer} does not hold ${excess ?? "that precedence"}`,
      )
    const { seconds, ...body } = officer
    const notBefore = this.#clock.now()
    const life = { notBefore, notAfter: notBefore + seconds }
    const statement = await this.#chain.append(
      "officer",
      { ...body, ...life },
      { coSigners: [signing] },
    )
    await this.#tellRelays()
    return statement
  }

  /** Every key of that officer that still counts. Refused: `unknown-officer`, `statement`. */
  async revoke(session: Session, officer: string): Promise<readonly Uint8Array[]> {
    const keys = this.#directory
      .officers(this.#me, this.#clock.now())
      .filter((key) => key.officer === officer)
    if (keys.length === 0) throw new ChappeError("unknown-officer", `${officer} has no valid key`)
    const statements = keys.map(({ keyId }) => {
      const body = { keyId, reason: "withdrawn" }
      const head = { size: 0, root: new Uint8Array(32) }
      const at = this.#clock.now()
      const draft = { name: this.#me, seq: null, prev: null, op: "revoke", at, head, body } as const
      return signChain(draft, [session.signing]).statement
    })
    for (const statement of statements) await this.publish(statement)
    return statements
  }

  /** Takes a statement of this member in and hands it to the relays. */
  async publish(statement: Uint8Array): Promise<void> {
    this.#directory.apply("chain", statement)
    await this.#chain.expect(statement)
    await this.#tellRelays()
  }

  /** Those that are not linked now get it when they are. */
  async #tellRelays(): Promise<void> {
    for (const link of this.#links.inOrder()) {
      try {
        await this.#chain.publish(link)
      } catch (cause) {
        if (!(cause instanceof ChappeError)) throw cause
      }
    }
  }
}
