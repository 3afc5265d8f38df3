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

  /** Evidence is small and a node links to all its relays: a home of the member keeps it itself. */
  evidenceQueueFor(member: string): string | undefined {
    return this.isHome(this.self, member) ? queueNames.member(member) : this.queueFor(member)
  }

  /** Around a relay that has been away too long; undefined while no other home can be reached. */
  queueAround(dead: string, member: string): string | undefined {
    const route = routeAround(dead, this.#facts(member))
    if (route === undefined || route.kind === "nowhere") return undefined
    return route.kind === "here" ? queueNames.member(member) : queueNames.forward(route.relay)
  }

  isHome(relay: string, member: string): boolean {
    return this.#directory.homes(member).includes(relay)
  }
}
