// `chappe relay probe`: whether a member's node answers, end to end.

import { limits } from "../../protocol/limits.ts"
import { probeFacts } from "../../relay/operator-facts.ts"
import type { Command } from "../command.ts"
import { formatDuration } from "../duration.ts"
import { RelayDoor, relayOptions } from "../relay-door.ts"

export const relayProbe: Command = {
  name: "relay probe",
  help: "ask a member's node for a signed echo, also through another relay, and time it",
  arguments: [{ name: "MEMBER", help: "whose node, such as JP" }],
  options: relayOptions,
  examples: [{ line: "chappe relay probe JP --dir hub1", says: "is the way to JP good?" }],
  async run(input, world) {
    const door = await RelayDoor.of(input.needed("dir"))
    const path = `/members/${encodeURIComponent(input.argument("MEMBER"))}/probe`
    const facts = await door.ask({ method: "POST", path }, probeFacts)
    const { member, relay, via, roundTripMs, skewSeconds, keyId } = facts
    const way = via === null ? `at ${relay}` : `through ${via}, for ${relay}`
    const off = Math.abs(skewSeconds)
    const clock =
      off > limits.clockSkewSecondsMax
        ? `its clock is ${formatDuration(off)} ${skewSeconds > 0 ? "ahead of" : "behind"} ours: it holds everything`
        : `its clock is ${off} s from ours`
    world.output.result(
      facts,
      `${member} answers ${way} in ${roundTripMs} ms, signed by its node key ${keyId.slice(0, 8)}; ${clock}.`,
    )
    return undefined
  },
}
