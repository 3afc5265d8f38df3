// `chappe relay drain`: empties a relay before it is retired or its machine is worked on.

import { setTimeout as pause } from "node:timers/promises"
import { type DrainFacts, drainFacts } from "../../relay/operator-facts.ts"
import type { Command } from "../command.ts"
import { cliLimits } from "../limits.ts"
import { RelayDoor, relayOptions } from "../relay-door.ts"
import type { World } from "../world.ts"

export const relayDrain: Command = {
  name: "relay drain",
  help: "empty a relay: it takes no new messages, and hands on what it holds",
  arguments: [],
  options: [
    ...relayOptions,
    { name: "off", help: "take new messages again" },
    { name: "wait", help: "until it is empty" },
  ],
  examples: [
    { line: "chappe relay drain --dir hub2 --wait", says: "then it may be stopped or retired" },
    { line: "chappe relay drain --dir hub2 --off", says: "it works as before" },
  ],
  async run(input, world) {
    const door = await RelayDoor.of(input.needed("dir"))
    const method = input.flag("off") ? "DELETE" : "POST"
    let facts = await door.ask({ method, path: "/draining" }, drainFacts)
    tell(world, facts)
    while (input.flag("wait") && facts.since !== null && !facts.isEmpty) {
      await pause(cliLimits.drainPollMs)
      const before = facts
      facts = await door.ask({ method, path: "/draining" }, drainFacts)
      if (facts.items !== before.items || facts.isEmpty) tell(world, facts)
    }
    return undefined
  },
}

function tell(world: World, facts: DrainFacts): void {
  world.output.result(facts, drainText(facts))
}

export function drainText({
  since,
  items,
  heldElsewhere,
  isEmpty,
  onlyHomeOf,
}: DrainFacts): string {
  if (since === null) return "It takes new messages."
  const held =
    heldElsewhere === 0
      ? ""
      : ` ${heldElsewhere} message(s) that other relays hold too will be delivered by those.`
  const only =
    onlyHomeOf.length === 0
      ? ""
      : ` It is the only home of ${onlyHomeOf.join(", ")}: let them name another before it is retired.`
  const left = isEmpty
    ? "It is empty: it may be stopped, or retired by the roster."
    : `${items} item(s) are left: for members who are away with no other relay to go to, or on their way.`
  return `${left}${held}${only}`
}
