// Every kind of chaos, in the order in which `npm run chaos -- all` goes through them.

import type { Chaos } from "./chaos.ts"
import { kills } from "./kills.ts"

export const all: readonly Chaos[] = [kills]
