// The command table. Help, man page, completion and parsing all follow it; docs/chappe.1 is made from it.

import type { Command } from "./command.ts"
import { keysNew, keysShow } from "./commands/keys.ts"
import { labInit } from "./commands/lab-init.ts"
import { inbox, outbox, publish, refuse, reply, show, take, trace } from "./commands/mail.ts"
import { relayInit } from "./commands/relay-init.ts"
import {
  rosterAdd,
  rosterInit,
  rosterInstall,
  rosterPublish,
  rosterShow,
  rosterSign,
  rosterSuspend,
} from "./commands/roster.ts"
import { completion, help, man, version } from "./commands/self.ts"
import { send } from "./commands/send.ts"

export const commands: readonly Command[] = [
  labInit,
  send,
  inbox,
  show,
  publish,
  reply,
  take,
  refuse,
  outbox,
  trace,
  rosterShow,
  rosterInit,
  rosterInstall,
  rosterAdd,
  rosterSuspend,
  rosterSign,
  rosterPublish,
  relayInit,
  keysShow,
  keysNew,
  help,
  man,
  completion,
  version,
]
