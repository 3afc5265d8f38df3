// The links that are up, and which relay comes first for what.

import type { Directory } from "../../protocol/directory.ts"
import type { RelayLink } from "./ports.ts"

export class LinkTable {
  readonly #me: string
  readonly #directory: Directory
  readonly #links = new Map<string, RelayLink>()
  readonly #onUp: ((link: RelayLink) => void)[] = []
  /** Links whose relay asks to be spared. */
  readonly #draining = new WeakSet<RelayLink>()
  #hasBeenUp = false

  constructor(me: string, directory: Directory) {
    this.#me = me
    this.#directory = directory
  }

  whenUp(task: (link: RelayLink) => void): void {
    this.#onUp.push(task)
  }

  up(link: RelayLink): void {
    this.#links.set(link.relay, link)
    this.#hasBeenUp = true
    for (const task of this.#onUp) task(link)
  }

  /** Whether a relay has told, since the start, that it knows of no later work of our key. */
  get hasBeenUp(): boolean {
    return this.#hasBeenUp
  }

  down(link: RelayLink): void {
    if (this.#links.get(link.relay) === link) this.#links.delete(link.relay)
  }

  get(relay: string): RelayLink | undefined {
    return this.#links.get(relay)
  }

  /** The relay is being emptied, or takes new mail again. */
  drains(link: RelayLink, isOn: boolean): void {
    if (isOn) this.#draining.add(link)
    else this.#draining.delete(link)
  }

  /** Homes in order first, then other relays; last of all those that are being emptied. */
  inOrder(): readonly RelayLink[] {
    const homes = this.#directory.hasRoster ? this.#directory.homes(this.#me) : []
    const names = [...homes, ...[...this.#links.keys()].filter((name) => !homes.includes(name))]
    const links = names.flatMap((name) => this.#links.get(name) ?? [])
    const isSpared = (link: RelayLink): boolean => this.#draining.has(link)
    return [...links.filter((link) => !isSpared(link)), ...links.filter(isSpared)]
  }

  /** The first link whose relay is not among `except`. */
  first(except: ReadonlySet<string> = new Set()): RelayLink | undefined {
    return this.inOrder().find(({ relay }) => !except.has(relay))
  }
}
