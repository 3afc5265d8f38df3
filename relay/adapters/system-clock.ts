import type { Clock } from "../core/ports.ts"

/** The machine's clocks. Timers do not keep the process alive. */
export const systemClock: Clock = {
  seconds: () => Math.floor(Date.now() / 1_000),
  monotonicMs: () => performance.now(),
  after(ms, call) {
    const timer = setTimeout(call, ms).unref()
    return () => clearTimeout(timer)
  },
  every(ms, call) {
    const timer = setInterval(call, ms).unref()
    return () => clearInterval(timer)
  },
}
