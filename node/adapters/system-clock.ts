// The machine's clock.

import type { Clock } from "../core/ports.ts"

export const systemClock: Clock = {
  seconds: () => Math.floor(Date.now() / 1_000),
  monotonicMs: () => performance.now(),
  after(ms, task) {
    const timer = setTimeout(task, ms)
    return () => clearTimeout(timer)
  },
}
