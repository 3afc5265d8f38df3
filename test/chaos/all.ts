// Every kind of chaos, in the order in which `npm run chaos -- all` goes through them.

import { bitRot } from "./bit-rot.ts"
import { bugs } from "./bugs.ts"
import type { Chaos } from "./chaos.ts"
import { clocks } from "./clocks.ts"
import { diskLoss } from "./disk-loss.ts"
import { fairness } from "./fairness.ts"
import { flash } from "./flash.ts"
import { hostile } from "./hostile.ts"
import { kills } from "./kills.ts"
import { malformed } from "./malformed.ts"
import { model } from "./model.ts"
import { overloaded } from "./overload.ts"
import { partitions } from "./partitions.ts"
import { powerCut } from "./power-cut.ts"
import { restore } from "./restore.ts"
import { revocation } from "./revocation.ts"
import { sim } from "./sim.ts"
import { storageErrors } from "./storage-errors.ts"

export const all: readonly Chaos[] = [
  model,
  bugs,
  sim,
  kills,
  partitions,
  revocation,
  clocks,
  diskLoss,
  bitRot,
  powerCut,
  restore,
  hostile,
  fairness,
  overloaded,
  flash,
  malformed,
  storageErrors,
]
