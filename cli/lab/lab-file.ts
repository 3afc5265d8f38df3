// `lab.json`: which processes a lab has and where they live.

import { join } from "node:path"
import { ChappeError } from "../../protocol/errors.ts"
import { cliLimits } from "../limits.ts"
import { readText } from "../private-files.ts"

export type LabRelay = {
  readonly name: string
  /** Relative to the lab's folder. */
  readonly dir: string
  readonly linksPort: number
  readonly httpsPort: number
}
export type LabNode = { readonly name: string; readonly dir: string; readonly httpPort: number }
export type Lab = {
  readonly relays: readonly LabRelay[]
  readonly nodes: readonly LabNode[]
  readonly desk: string
}

const fileName = "lab.json"

export function labFile(dir: string): string {
  return join(dir, fileName)
}

export function formatLab(lab: Lab): string {
  return `${JSON.stringify({ type: "chappe/lab/v1", ...lab }, undefined, 2)}\n`
}

function isRecord(found: unknown): found is Readonly<Record<string, unknown>> {
  return typeof found === "object" && found !== null && !Array.isArray(found)
}

function textOf(found: Readonly<Record<string, unknown>>, key: string): string {
  const text = found[key]
  if (typeof text !== "string" || text === "")
    throw new ChappeError("config", `${fileName}: ${key} is not text`)
  return text
}

function portOf(found: Readonly<Record<string, unknown>>, key: string): number {
  const port = found[key]
  if (typeof port !== "number" || !Number.isInteger(port) || port < 1 || port > 65_535)
    throw new ChappeError("config", `${fileName}: ${key} is not a port`)
  return port
}

function rowsOf(
  found: Readonly<Record<string, unknown>>,
  key: string,
): readonly Readonly<Record<string, unknown>>[] {
  const rows = found[key]
  if (!Array.isArray(rows) || !rows.every(isRecord))
    throw new ChappeError("config", `${fileName}: ${key} is not a list of objects`)
  return rows
}

/** Refused: `file-unreadable` where there is no lab, `config`. */
export async function readLab(dir: string): Promise<Lab> {
  const text = await readText(labFile(dir), cliLimits.statementFileBytesMax)
  let found: unknown
  try {
    found = JSON.parse(text)
  } catch (cause) {
    throw new ChappeError("config", `${fileName} is not JSON`, { cause })
  }
  if (!isRecord(found) || found["type"] !== "chappe/lab/v1")
    throw new ChappeError("config", `${fileName} is not a lab's`)
  return {
    relays: rowsOf(found, "relays").map((row) => ({
      name: textOf(row, "name"),
      dir: textOf(row, "dir"),
      linksPort: portOf(row, "linksPort"),
      httpsPort: portOf(row, "httpsPort"),
    })),
    nodes: rowsOf(found, "nodes").map((row) => ({
      name: textOf(row, "name"),
      dir: textOf(row, "dir"),
      httpPort: portOf(row, "httpPort"),
    })),
    desk: textOf(found, "desk"),
  }
}
