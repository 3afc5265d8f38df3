// Which queue a member's mail and evidence goes into, as the directory and the links stand now.

import type { Directory } from "../../protocol/directory.ts"
import type { Links } from "./links.ts"
import { queueNames } from "./records.ts"
import { type RouteFacts, routeAround, routeTo } from "./routing.ts"

export class Routes {
  readonly self: string
  readonly #directory: Directory
  readonly #links: Links

  constructor(self: string, directory: Directory, links: Links) {
    this.self = self
    this.#directory = directory
    this.#links = links
  }

  #facts(member: string): RouteFacts {
    return {
      self: this.self,
      homes: this.#directory.homes(member),
      isLinked: (relay) => this.#links.isLinked(relay),
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

  /** Whether evidence can go to the sender through this relay now. */
  leadsTo(relay: string, member: string): boolean {
    return this.#links.isLinked(relay) && this.isHome(relay, member)
  }

  isHome(relay: string, member: string): boolean {
    return this.#directory.homes(member).includes(relay)
  }
}
