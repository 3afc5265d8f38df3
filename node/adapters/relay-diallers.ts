// One dialler for each relay of the roster, also for relays that a later roster names.

import { toHex } from "../../protocol/bytes.ts"
import type { Directory } from "../../protocol/directory.ts"
import type { NetworkClock } from "../core/network-clock.ts"
import type { LinkTable } from "../core/link-table.ts"
import type { RelayState } from "../core/status.ts"
import { type DiallerOptions, type RelayAddress, RelayDialler } from "./relay-dialler.ts"

/** The own link keys, the newest last. */
export type LinkSecrets = {
  linkSecrets(): readonly { readonly publicKey: Uint8Array; readonly secret: Uint8Array }[]
}

export class RelayDiallers {
  readonly #directory: Directory
  readonly #clock: NetworkClock
  readonly #links: LinkTable
  readonly #vault: LinkSecrets
  readonly #options: Omit<DiallerOptions, "address" | "failed">
  readonly #diallers = new Map<string, RelayDialler>()
  readonly #codes = new Map<string, string>()

  constructor(parts: {
    readonly directory: Directory
    readonly clock: NetworkClock
    readonly links: LinkTable
    readonly vault: LinkSecrets
    readonly options: Omit<DiallerOptions, "address" | "failed">
  }) {
    this.#directory = parts.directory
    this.#clock = parts.clock
    this.#links = parts.links
    this.#vault = parts.vault
    this.#options = parts.options
  }

  /** Begins with relays that are new, ends with those that are gone. */
  dialAll(): void {
    const relays = this.#directory.hasRoster ? this.#directory.activeRelays() : []
    for (const relay of relays) {
      if (this.#diallers.has(relay)) continue
      const options: DiallerOptions = {
        ...this.#options,
        address: (name, attempt) => this.#address(name, attempt),
        failed: (name, code) => this.#codes.set(name, code),
      }
      this.#diallers.set(relay, new RelayDialler(relay, options))
    }
    for (const [relay, dialler] of this.#diallers) {
      if (relays.includes(relay)) continue
      dialler.stop()
      this.#diallers.delete(relay)
    }
  }

  states(): readonly RelayState[] {
    return [...this.#diallers.keys()].map((relay) => {
      const up = this.#links.get(relay) !== undefined
      return { relay, up, code: up ? null : (this.#codes.get(relay) ?? null) }
    })
  }

  stop(): void {
    for (const dialler of this.#diallers.values()) dialler.stop()
    this.#diallers.clear()
  }

  /** Link keys that are valid now, the newest first, in turn: a relay may know only the older one yet. */
  #address(relay: string, attempt: number): RelayAddress | undefined {
    const now = this.#clock.now()
    const urls = this.#directory.urls(relay)?.links ?? []
    const pinnedKeys = this.#directory.linkKeys(relay, now)
    const named = this.#directory.linkKeys(this.#options.me, now).map(toHex)
    const valid = this.#vault
      .linkSecrets()
      .toReversed()
      .filter(({ publicKey }) => named.includes(toHex(publicKey)))
    const chosen = valid[attempt % Math.max(1, valid.length)]
    if (urls.length === 0 || pinnedKeys.length === 0 || chosen === undefined) return undefined
    return { relay, urls, pinnedKeys, linkSecret: chosen.secret }
  }
}
