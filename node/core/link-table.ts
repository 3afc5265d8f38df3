// The links that are up, and which relay comes first for what.

import type { Directory } from "../../protocol/directory.ts"
import type { RelayLink } from "./ports.ts"

export class LinkTable {
  readonly #me: string
  readonly #directory: Directory
  readonly #links = new Map<string, RelayLink>()
  readonly #onUp: ((link: RelayLink) => void)[] = []

  constructor(me: string, directory: Directory) {
    this.#me = me
    this.#directory = directory
  }

  whenUp(task: (link: RelayLink) => void): void {
    this.#onUp.push(task)
  }

  up(link: RelayLink): void {
    this.#links.set(link.relay, link)
    for (const task of this.#onUp) task(link)
  }

  down(link: RelayLink): void {
    if (this.#links.get(link.relay) === link) this.#links.delete(link.relay)
  }

  get(relay: string): RelayLink | undefined {
    return this.#links.get(relay)
  }

  /** Homes in order first, then other relays. */
  inOrder(): readonly RelayLink[] {
    const homes = this.#directory.hasRoster ? this.#directory.homes(this.#me) : []
    const names = [...homes, ...[...this.#links.keys()].filter((name) => !homes.includes(name))]
    return names.flatMap((name) => {
      const link = this.#links.get(name)
      return link === undefined ? [] : [link]
    })
  }

  /** The first link whose relay is not among `except`. */
  first(except: ReadonlySet<string> = new Set()): RelayLink | undefined {
    return this.inOrder().find(({ relay }) => !except.has(relay))
  }
}
