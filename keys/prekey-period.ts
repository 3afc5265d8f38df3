// One X-Wing key a day, 28 days a period, all derived one way from a 32-byte seed.
// docs/PROTOCOL.md, "Prekeys". The state is a plain value: whoever stores it erases a day by storing the next state.

import { emptyBytes, utf8 } from "../protocol/bytes.ts"
import { limits } from "../protocol/limits.ts"
import { hkdf } from "./crypto.ts"
import { type KemKeyPair, kemKeyPair } from "./sodium.ts"

/** Days count from 1970, UTC. `seed` derives `seedDay` and all later days of the period, nothing earlier. */
export type PrekeyPeriod = {
  readonly firstDay: number
  readonly seedDay: number
  readonly seed: Uint8Array
}

function lastDay(period: PrekeyPeriod): number {
  return period.firstDay + limits.prekeyPeriodDays - 1
}

export function dayOf(seconds: number): number {
  return Math.floor(seconds / limits.secondsPerDay)
}

/** A whole period. `seed`: 32 random bytes, for this period alone. */
export function newPrekeyPeriod(firstDay: number, seed: Uint8Array): PrekeyPeriod {
  if (seed.length !== 32) throw new RangeError(`seed of ${seed.length} bytes`)
  return { firstDay, seedDay: firstDay, seed }
}

const derive = (seed: Uint8Array, info: string): Uint8Array =>
  hkdf({ ikm: seed, salt: emptyBytes, info: utf8(info), length: 32 })

/** The state in which `day` is the earliest day that can be derived. */
function advance(period: PrekeyPeriod, day: number): PrekeyPeriod {
  let { seed } = period
  for (let at = period.seedDay; at < day; at++) seed = derive(seed, "chappe/prekey/v1/next")
  return { firstDay: period.firstDay, seedDay: Math.max(day, period.seedDay), seed }
}

/** The key pair of a day; `undefined` where it was erased or belongs to another period. */
export function dayKeyPair(period: PrekeyPeriod, day: number): KemKeyPair | undefined {
  if (day < period.seedDay || day > lastDay(period)) return undefined
  return kemKeyPair(derive(advance(period, day).seed, "chappe/prekey/v1/kem"))
}

/** The 28 public keys in order of their days, for the `prekeys` statement. The period must be whole. */
export function publicKeysOf(period: PrekeyPeriod): readonly Uint8Array[] {
  if (period.seedDay !== period.firstDay) throw new RangeError("days of this period are erased")
  const keys: Uint8Array[] = []
  for (let day = period.firstDay; day <= lastDay(period); day++) {
    const pair = dayKeyPair(period, day)
    if (pair !== undefined) keys.push(pair.publicKey)
  }
  return keys
}

/**
 * The state to keep on `today` (by network time): a day's key lives until 15 days after it. The last day
 * of the newest period stays usable, so that a node that was away can still be written to;
 * `newerSince`, the day on which a newer period was published, ends that 15 days later.
 * `undefined`: nothing of the period is left, erase it.
 */
export function erasePastDays(
  period: PrekeyPeriod,
  today: number,
  newerSince: number | undefined,
): PrekeyPeriod | undefined {
  const last = lastDay(period)
  const keepFrom = today - limits.prekeyKeepDays
  if (keepFrom <= last) return advance(period, keepFrom)
  const superseded = newerSince !== undefined && keepFrom > newerSince
  return superseded ? undefined : advance(period, last)
}
