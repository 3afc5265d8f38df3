// The command table. Help, man page, completion and parsing all follow it; docs/chappe.1 is made from it.

import type { Command } from "./command.ts"
import {
  auditVerify,
  conformanceLogVerify,
  conformanceSignatures,
  evidenceExport,
  evidenceVerify,
} from "./commands/audit.ts"
import { backup, nodeStandby, nodeTakeover, restore } from "./commands/backup.ts"
import { courierExport, courierImport } from "./commands/courier.ts"
import { demo } from "./commands/demo.ts"
import { doctor } from "./commands/doctor.ts"
import { invite } from "./commands/invite.ts"
import { join } from "./commands/join.ts"
import { keysNew, keysShow } from "./commands/keys.ts"
import { keysHomes } from "./commands/keys-homes.ts"
import { keysNewIncarnation, keysRotate } from "./commands/keys-rotate.ts"
import { labInit } from "./commands/lab-init.ts"
import { labUp } from "./commands/lab-up.ts"
import {
  escalations,
  inbox,
  outbox,
  publish,
  refuse,
  reply,
  show,
  take,
  trace,
} from "./commands/mail.ts"
import { officerAdd, officerList, officerRevoke } from "./commands/officer.ts"
import { nodeStart, relayStart } from "./commands/process-start.ts"
import { relayDrain } from "./commands/relay-drain.ts"
import { relayInstall } from "./commands/relay-install.ts"
import { relayMove } from "./commands/relay-move.ts"
import { relayNewLogs } from "./commands/relay-new-logs.ts"
import { relayInit } from "./commands/relay-init.ts"
import { relayProbe } from "./commands/relay-probe.ts"
import { relayStatus, relayWhy } from "./commands/relay-status.ts"
import {
  rosterAdd,
  rosterAddRelay,
  rosterInit,
  rosterInstall,
  rosterPolicy,
  rosterPublish,
  rosterShow,
  rosterSign,
  rosterSuspend,
} from "./commands/roster.ts"
import { repair } from "./commands/repair.ts"
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
  escalations,
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
  rosterAddRelay,
  rosterSuspend,
  rosterPolicy,
  rosterSign,
  rosterPublish,
  relayInit,
  relayStart,
  relayStatus,
  relayWhy,
  relayProbe,
  relayDrain,
  relayInstall,
  relayMove,
  relayNewLogs,
  nodeStart,
  nodeStandby,
  nodeTakeover,
  backup,
  restore,
  courierExport,
  courierImport,
  keysShow,
  keysNew,
  keysRotate,
  keysNewIncarnation,
  keysHomes,
  officerList,
  officerAdd,
  officerRevoke,
  doctor,
  repair,
  demo,
  help,
  man,
  completion,
  version,
]
