// What a relay does by itself, again and again. Each task runs one at a time; what it refuses is told and
// tried again at its next turn.

import { ChappeError } from "../../protocol/errors.ts"
import type { Clock, Journal, Stop } from "./ports.ts"

export type Task = {
  readonly name: string
  readonly everyMs: number
  readonly run: () => Promise<void>
}

/** Storage that fails ends the process; anything else of the error table can pass by itself. */
export function startTasks(
  parts: {
    readonly clock: Clock
    readonly journal: Journal
    readonly failed: (why: unknown) => void
  },
  tasks: readonly Task[],
): { readonly stop: Stop; readonly idle: () => Promise<void> } {
  const running = new Set<Promise<void>>()
  const stops = tasks.map(({ name, everyMs, run }) => {
    let isRunning = false
    return parts.clock.every(everyMs, () => {
      if (isRunning) return
      isRunning = true
      const turn = run()
        .catch((cause: unknown) => {
          if (isPassing(cause))
            parts.journal.warn("task", { task: name, code: cause.code, why: cause.message })
          else parts.failed(cause)
        })
        .finally(() => {
          isRunning = false
          running.delete(turn)
        })
      running.add(turn)
    })
  })
  return {
    stop: () => {
      for (const stop of stops) stop()
    },
    idle: async () => {
      await Promise.all(running)
    },
  }
}

const lasting = ["storage", "disk-full", "damaged", "tampered", "log-root", "internal"]

function isPassing(cause: unknown): cause is ChappeError {
  return cause instanceof ChappeError && !lasting.includes(cause.code)
}
