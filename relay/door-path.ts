// Where a relay's operator's door is: the process opens it, the commands on its machine go through it.

import { join } from "node:path"

/** `run`: the relay's run folder. */
export function doorPath(run: string): string {
  return join(run, "operator.sock")
}
