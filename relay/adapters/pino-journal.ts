// Log lines as JSON on standard error: ids, names of stations, codes, numbers. Never content.

import { pino } from "pino"
import type { Journal } from "../core/ports.ts"

export function createPinoJournal(name: string, level: string): Journal {
  const logger = pino({ name, level, base: { relay: name } }, pino.destination(2))
  return {
    info(event, facts = {}) {
      logger.info({ event, ...facts })
    },
    warn(event, facts = {}) {
      logger.warn({ event, ...facts })
    },
  }
}
