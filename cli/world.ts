// What commands need from outside: time, randomness, the terminal, and how to start themselves again.

import type { Random } from "../keys/hedge.ts"
import type { Environment } from "./config.ts"
import type { Output } from "./output.ts"

export type World = {
  readonly output: Output
  /** Milliseconds since 1970. */
  readonly nowMs: () => number
  readonly random: Random
  readonly environment: Environment
  readonly stdin: NodeJS.ReadStream
}

/** Whole seconds since 1970, as the protocol counts. */
export function nowSeconds(world: Pick<World, "nowMs">): number {
  return Math.floor(world.nowMs() / 1000)
}
