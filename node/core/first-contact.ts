// Before a relay knows this node's link key, or this node the roster that names it: over the relay's
// HTTPS listener. docs/PROTOCOL.md, "Joining".

import type { Directory, StatementKind } from "../../protocol/directory.ts"
import { ChappeError } from "../../protocol/errors.ts"
import type { DirectoryFollower } from "./directory-follower.ts"
import type { LinkTable } from "./link-table.ts"
import type { OwnChain } from "./own-chain.ts"
import type { Log } from "./ports.ts"

/** A relay's HTTPS listener. Both reject with `link-down` when it does not answer. */
export interface RelayDoor {
  readonly name: string
  /** For statements that authenticate themselves. */
  postStatement(kind: StatementKind, statement: Uint8Array): Promise<void>
  /** Brings the follower's copy of the relay's directory log up to its checkpoint. */
  readDirectory(follower: DirectoryFollower): Promise<void>
}

export class FirstContact {
  readonly #me: string
  readonly #directory: Directory
  readonly #follower: DirectoryFollower
  readonly #chain: OwnChain
  readonly #links: LinkTable
  readonly #log: Log

  constructor(options: {
    readonly me: string
    readonly directory: Directory
    readonly follower: DirectoryFollower
    readonly chain: OwnChain
    readonly links: LinkTable
    readonly log: Log
  }) {
    this.#me = options.me
    this.#directory = options.directory
    this.#follower = options.follower
    this.#chain = options.chain
    this.#links = options.links
    this.#log = options.log
  }

  get isNamed(): boolean {
    return this.#directory.hasRoster && this.#directory.station(this.#me) !== undefined
  }

  /** Says and asks what is needed at relays that are not linked. */
  async make(doors: readonly RelayDoor[]): Promise<void> {
    for (const door of doors) {
      if (this.#links.get(door.name) !== undefined) continue
      try {
        if (this.isNamed)
          for (const { kind, statement } of this.#chain.unplaced(door.name))
            await door.postStatement(kind, statement)
        await door.readDirectory(this.#follower)
      } catch (cause) {
        if (!(cause instanceof ChappeError)) throw cause
        if (cause.code === "storage" || cause.code === "disk-full") throw cause
        this.#log.info("first-contact", { relay: door.name, code: cause.code })
      }
    }
  }
}
