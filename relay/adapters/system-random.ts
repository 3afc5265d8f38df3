import { randomBytes } from "node:crypto"
import type { Random } from "../core/ports.ts"

export const systemRandom: Random = (length) => Uint8Array.from(randomBytes(length))
