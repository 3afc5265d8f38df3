// Where a recipient's mail goes: its homes are tried in their order, with at most one hop between relays.
// docs/PROTOCOL.md, "Delivery". Pure.

export type Route =
  | { readonly kind: "here" }
  | { readonly kind: "forward"; readonly relay: string }
  /** The member has no home that the roster knows. */
  | { readonly kind: "nowhere" }

export type RouteFacts = {
  readonly self: string
  /** The member's homes that are active, in its order. */
  readonly homes: readonly string[]
  readonly isLinked: (relay: string) => boolean
  /** This relay, or a linked one, that takes new mail; the others are being emptied. */
  readonly isOpen: (relay: string) => boolean
}

/**
 * The first home that can be reached and takes new mail; else the first that can be reached; the first of
 * all when none can, to wait for its link.
 */
export function routeTo({ self, homes, isLinked, isOpen }: RouteFacts): Route {
  const reachable =
    homes.find(isOpen) ?? homes.find((home) => home === self || isLinked(home)) ?? homes[0]
  if (reachable === undefined) return { kind: "nowhere" }
  return reachable === self ? { kind: "here" } : { kind: "forward", relay: reachable }
}

/**
 * Where mail goes that waited too long for a dead relay: the next home that can be reached, else nowhere
 * else (undefined): it waits on.
 */
export function routeAround(dead: string, facts: RouteFacts): Route | undefined {
  const homes = facts.homes.filter((home) => home !== dead)
  const route = routeTo({ ...facts, homes })
  const isReachable =
    route.kind === "here" || (route.kind === "forward" && facts.isLinked(route.relay))
  return isReachable ? route : undefined
}
