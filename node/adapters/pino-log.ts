// Log lines as JSON on stdout or stderr: ids, codes and numbers only.

import { pino } from "pino"
import type { Log } from "../core/ports.ts"

export function pinoLog(options: { readonly name: string; readonly level: string }): Log {
  const logger = pino(
    { level: options.level, base: { node: options.name } },
    pino.destination({ dest: 2, sync: true }),
  )
  return {
    info: (event, fields = {}) => logger.info({ event, ...fields }),
    warn: (event, fields = {}) => logger.warn({ event, ...fields }),
    error: (event, fields = {}) => logger.error({ event, ...fields }),
  }
}
