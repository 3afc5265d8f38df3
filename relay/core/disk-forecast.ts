// How long the disk still lasts at the rate of the last day. Pure: it is given samples.

import { relayLimits } from "../limits.ts"

type Sample = { readonly atMs: number; readonly freeBytes: number }

const dayMs = 86_400_000

export class DiskForecast {
  #samples: Sample[] = []

  /** Free bytes, now; called as often as one likes. */
  take(atMs: number, freeBytes: number): void {
    const last = this.#samples.at(-1)
    if (last !== undefined && atMs - last.atMs < relayLimits.diskSampleMs) return
    this.#samples = this.#samples.filter((sample) => atMs - sample.atMs <= dayMs)
    this.#samples.push({ atMs, freeBytes })
  }

  /** Undefined before an hour is known, and while the disk does not fill. */
  get daysLeft(): number | undefined {
    const first = this.#samples[0]
    const last = this.#samples.at(-1)
    if (first === undefined || last === undefined) return undefined
    const spanMs = last.atMs - first.atMs
    const filled = first.freeBytes - last.freeBytes
    if (spanMs < relayLimits.diskForecastMs || filled <= 0) return undefined
    const room = Math.max(0, last.freeBytes - relayLimits.diskReserveBytes)
    return (room * spanMs) / filled / dayMs
  }
}
