// Whatever was thrown, as an error of the closed table. Done once, at the edge of the process.

import { ChappeError, type ErrorCode, isErrorCode } from "../protocol/errors.ts"
import { isJsonObject, parseJson, textField } from "./json.ts"

const systemCodes: Readonly<Record<string, ErrorCode>> = {
  ENOENT: "file-unreadable",
  EACCES: "file-unreadable",
  EPERM: "file-unreadable",
  EISDIR: "file-unreadable",
  ENOTDIR: "file-unreadable",
  ELOOP: "file-unreadable",
  ENAMETOOLONG: "file-unreadable",
  EEXIST: "file-exists",
  ENOTEMPTY: "file-exists",
  ENOSPC: "disk-full",
  EDQUOT: "disk-full",
  EROFS: "storage",
  EIO: "storage",
  EMFILE: "storage",
  EADDRINUSE: "port-taken",
  ECONNREFUSED: "link-down",
  ECONNRESET: "link-down",
  EPIPE: "link-down",
}

/** The system's own code of an error, such as `ENOENT`. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined
  return typeof error.code === "string" ? error.code : undefined
}

function pathOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("path" in error)) return undefined
  return typeof error.path === "string" ? error.path : undefined
}

/** A mistake of our own becomes `internal`; its stack stays in `cause`. */
export function asChappeError(thrown: unknown): ChappeError {
  if (thrown instanceof ChappeError) return thrown
  const name = systemCode(thrown)
  const code = name === undefined ? undefined : systemCodes[name]
  if (name === undefined || code === undefined) {
    const kind = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : "something thrown"
    return new ChappeError("internal", kind, { cause: thrown })
  }
  const path = pathOf(thrown)
  return new ChappeError(code, path === undefined ? name : `${path}: ${name}`, { cause: thrown })
}

/** What a node or relay answered over HTTP when it refused, as the same code here; `otherwise` for what says none. */
export function answeredError(body: string, otherwise: ChappeError): ChappeError {
  try {
    const found = parseJson(body, "the answer")
    const error = isJsonObject(found) ? found["error"] : undefined
    const code = isJsonObject(error) ? textField(error, "code") : ""
    const message = isJsonObject(error) ? textField(error, "message") : ""
    if (isErrorCode(code)) return new ChappeError(code, message === "" ? undefined : message)
  } catch (error) {
    if (!(error instanceof ChappeError)) throw error
  }
  return otherwise
}
