// The command table. Help, man page, completion and parsing all follow it; docs/chappe.1 is made from it.

import type { Command } from "./command.ts"
import {
  auditVerify,
  conformanceLogVerify,
  conformanceSignatures,
  evidenceExport,
  evidenceVerify,
} from "./commands/audit.ts"
import { demo } from "./commands/demo.ts"
import { doctor } from "./commands/doctor.ts"
import { invite } from "./commands/invite.ts"
import { join } from "./commands/join.ts"
import { keysNew, keysShow } from "./commands/keys.ts"
import { keysNewIncarnation, keysRotate } from "./commands/keys-rotate.ts"
import { labInit } from "./commands/lab-init.ts"
import { labUp } from "./commands/lab-up.ts"
import { inbox, outbox, publish, refuse, reply, show, take, trace } from "./commands/mail.ts"
import { officerAdd, officerList, officerRevoke } from "./commands/officer.ts"
import { nodeStart, relayStart } from "./commands/process-start.ts"
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
  labUp,
  send,
  inbox,
  show,
  publish,
  reply,
  take,
  refuse,
  outbox,
  trace,
  evidenceExport,
  evidenceVerify,
  auditVerify,
  conformanceSignatures,
  conformanceLogVerify,
  invite,
  join,
  rosterShow,
  rosterInit,
  rosterInstall,
  rosterAdd,
  rosterSuspend,
  rosterSign,
  rosterPublish,
  relayInit,
  relayStart,
  nodeStart,
  keysShow,
  keysNew,
  keysRotate,
  keysNewIncarnation,
  officerList,
  officerAdd,
  officerRevoke,
  doctor,
  demo,
  help,
  man,
  completion,
  version,
]
