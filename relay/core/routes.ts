// Which queue a member's mail and evidence goes into, as the directory and the links stand now.

import type { Directory } from "../../protocol/directory.ts"
import type { Links } from "./links.ts"
import { queueNames } from "./records.ts"
import { type RouteFacts, routeAround, routeTo } from "./routing.ts"

export class Routes {
  readonly self: string
  readonly #directory: Directory
  readonly #links: Links
  readonly #isDraining: () => boolean

  constructor(parts: {
    readonly self: string
    readonly directory: Directory
    readonly links: Links
    /** Whether this relay is being emptied. */
    readonly isDraining: () => boolean
  }) {
    this.self = parts.self
    this.#directory = parts.directory
    this.#links = parts.links
    this.#isDraining = parts.isDraining
  }

  #facts(member: string): RouteFacts {
    return {
      self: this.self,
      homes: this.#directory.homes(member),
      isLinked: (relay) => this.#links.isReached(relay),
      isOpen: (relay) => (relay === this.self ? !this.#isDraining() : this.#links.isOpen(relay)),
    }
  }

  /** Undefined for a member without homes. */
  queueFor(member: string): string | undefined {
    const route = routeTo(this.#facts(member))
    switch (route.kind) {
      case "here":
        return queueNames.member(member)
      case "forward":
        return queueNames.forward(route.relay)
      case "nowhere":
        return undefined
    }
  }

  /** For receipts: a sender that is linked here gets them here, if this is one of its homes. */
  evidenceQueueFor(member: string): string | undefined {
    return this.#links.isLinked(member) && this.isHome(this.self, member)
      ? queueNames.member(member)
      : this.queueFor(member)
  }

  /** Around a relay that has been away too long; undefined while no other home can be reached. */
  queueAround(dead: string, member: string): string | undefined {
    const route = routeAround(dead, this.#facts(member))
    if (route === undefined || route.kind === "nowhere") return undefined
    return route.kind === "here" ? queueNames.member(member) : queueNames.forward(route.relay)
  }

  /** To another home of the member that takes new mail now; undefined while there is none. */
  queueAway(member: string): string | undefined {
    const home = this.#directory
      .homes(member)
      .find((relay) => relay !== this.self && this.#links.isOpen(relay))
    return home === undefined ? undefined : queueNames.forward(home)
  }

  /** Whether evidence can go to the sender through this relay now. */
  leadsTo(relay: string, member: string): boolean {
    return this.#links.isReached(relay) && this.isHome(relay, member)
  }

  isHome(relay: string, member: string): boolean {
    return this.#directory.homes(member).includes(relay)
  }
}
