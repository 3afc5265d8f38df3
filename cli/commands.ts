// The command table. Help, man page, completion and parsing all follow it; docs/chappe.1 is made from it.

import type { Command } from "./command.ts"
import { labInit } from "./commands/lab-init.ts"
import { completion, help, man, version } from "./commands/self.ts"

export const commands: readonly Command[] = [labInit, help, man, completion, version]
