// The small worlds of the frozen vectors.

import { World } from "./world.ts"

export type { World } from "./world.ts"

export function sampleWorlds(): { readonly directory: World; readonly delivery: World } {
  const at = 1_800_000_000
  return {
    directory: new World({ at, members: ["FR", "HQ"], relays: ["hub1"] }),
    delivery: new World({ at, members: ["BR", "FR", "HQ", "JP"], relays: ["hub1"] }),
  }
}
