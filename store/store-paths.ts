// What stands beside a database, by the database's own path.

import { dirname, join } from "node:path"

/** The version of the format of the whole folder. */
export function formatPath(path: string): string {
  return join(dirname(path), "format")
}

/** How a clean stop left it; absent while it is open, and after a crash. */
export function endPath(path: string): string {
  return `${path}.end`
}

/** The number of the last change. */
export function markPath(path: string): string {
  return `${path}.mark`
}
