// What every change of a stopped relay begins and ends with: nobody is at work there, and the others hear of it.

import { ChappeError } from "../../protocol/errors.ts"
import type { TrustedRelay } from "../../protocol/trust-file.ts"
import { postStatement } from "../relay-client.ts"
import { RelayDoor } from "../relay-door.ts"
import type { World } from "../world.ts"

/** Refused: `locked` while its process runs here. */
export async function requireStopped(dir: string): Promise<void> {
  const door = await RelayDoor.of(dir)
  try {
    await door.text({ method: "GET", path: "/metrics" })
  } catch (error) {
    if (error instanceof ChappeError && error.code === "relay-down") return
    throw error
  }
  throw new ChappeError("locked", `a process runs in ${dir}`)
}

/** The other relays that took all of it; they pass it on. */
export async function tellOthers(
  world: World,
  others: readonly TrustedRelay[],
  statements: readonly Uint8Array[],
): Promise<readonly string[]> {
  const told: string[] = []
  for (const relay of others) {
    try {
      for (const statement of statements) await postStatement(relay, "chain", statement)
      told.push(relay.name)
    } catch (error) {
      if (!(error instanceof ChappeError)) throw error
      world.output.say(`${relay.name}: ${error.message}`)
    }
  }
  return told
}
