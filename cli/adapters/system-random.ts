// The operating system's generator.

import { randomBytes } from "node:crypto"
import type { Random } from "../../keys/hedge.ts"

export const systemRandom: Random = (length) => new Uint8Array(randomBytes(length))
