// `chappe keys homes`: at which relays a member is at home, named by its root key.

import { ChappeError } from "../../protocol/errors.ts"
import { isRelayName } from "../../protocol/names.ts"
import { openMemberChain, rootOptions } from "../ceremony/member-chain.ts"
import type { Command } from "../command.ts"
import { nowSeconds } from "../world.ts"

export const keysHomes: Command = {
  name: "keys homes",
  help: "name the relays at which a member is at home: the first, and then those that stand in",
  arguments: [{ name: "RELAY", many: true, help: "in their order, such as hub3 hub1" }],
  options: rootOptions.map((option) =>
    option.name === "root" ? { ...option, needed: true } : option,
  ),
  examples: [
    {
      line: "chappe keys homes hub3 hub1 --node lab/nodes/FR --root lab/roots/FR.key",
      says: "its mail waits at hub3; at hub1 while hub3 is away",
    },
  ],
  async run(input, world) {
    const names = input.rest("RELAY")
    const bad = names.find((name) => !isRelayName(name))
    if (bad !== undefined) throw new ChappeError("usage", `${bad} is not a relay's name`)
    const { name, chain, root, directory, publish } = await openMemberChain(input, world)
    const active = directory.activeRelays()
    const unknown = names.find((relay) => !active.includes(relay))
    if (unknown !== undefined)
      throw new ChappeError("unknown-member", `the roster names no active relay ${unknown}`)
    const signed = chain.append("relays", { names }, { at: nowSeconds(world), keys: [root] })
    await publish([signed.statement])
    world.output.result(
      { member: name, homes: names },
      `${name} is at home at ${names.join(", ")}.`,
    )
    return undefined
  },
}
