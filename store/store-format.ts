// What stands beside a database, so that a start can tell a whole store from a damaged one: the version of
// the format, and the mark, the number of the last change.
//
//   format   "2\n", written last when a store is made: what has none was never finished, or is of version 1
//   mark     u64 number ‖ SHA-256("chappe mark" ‖ u64 number), written over after each commit
//
// The mark is synced at a clean stop only. After a crash it is what the kernel still had, so it may be behind,
// never ahead: a store that ends before its mark has lost something that was acknowledged.

import { sha256 } from "../keys/crypto.ts"
import { concat, equalBytes, fromUtf8, readU64, u64, utf8 } from "../protocol/bytes.ts"
import { ChappeError } from "../protocol/errors.ts"
import { decodeEnd } from "./clean-end.ts"
import { type FolderReader, checkLevel } from "./level-check.ts"

/** 1: release 0.1.0, without a mark. */
export const storeFormat = 2

const markContext = utf8("chappe mark")

export function encodeFormat(version = storeFormat): Uint8Array {
  return utf8(`${version}\n`)
}

export function encodeMark(sequence: number): Uint8Array {
  return concat(u64(sequence), sha256(concat(markContext, u64(sequence))))
}

/** Undefined when it is not what was written. */
function decodeMark(bytes: Uint8Array): number | undefined {
  try {
    const sequence = readU64(bytes, 0)
    return equalBytes(encodeMark(sequence), bytes) ? sequence : undefined
  } catch (cause) {
    if (cause instanceof ChappeError) return undefined
    throw cause
  }
}

export type StoreFiles = {
  readonly folder: FolderReader
  /** Undefined where there is no such file. */
  readonly format: Uint8Array | undefined
  readonly mark: Uint8Array | undefined
  readonly end: Uint8Array | undefined
}

export type StoreState =
  /** Nothing was there. */
  | { readonly kind: "new" }
  /** A store that was never finished: nothing was acknowledged from it. */
  | { readonly kind: "unfinished" }
  /** `format`: of what is there; older ones are to be brought up to date. */
  | { readonly kind: "whole"; readonly format: number; readonly lastSequence: number }

/**
 * Called before the database is opened, for opening changes what is there. Refused: `damaged` with the
 * files and what is wrong with them, `newer-format`.
 */
export async function judgeStore(
  { folder, format, mark, end }: StoreFiles,
  tableBytesMax: number,
): Promise<StoreState> {
  const version = format === undefined ? undefined : versionOf(format)
  const cleanEnd = end === undefined ? undefined : decodeEnd(end)
  const report = await checkLevel(folder, tableBytesMax, cleanEnd)
  const { findings, lastSequence, isEmpty } = report
  if (version === undefined && mark === undefined && isEmpty)
    return (await folder.names()).length === 0 ? { kind: "new" } : { kind: "unfinished" }
  const marked = mark === undefined ? undefined : decodeMark(mark)
  const faults = findings.map(({ file, says }) => `${file} ${says}`)
  if (mark !== undefined && marked === undefined) faults.push("the mark is damaged")
  if (end !== undefined && cleanEnd === undefined) faults.push("the record of its end is damaged")
  if (version !== undefined && version > 1 && mark === undefined) faults.push("the mark is missing")
  // A store is finished with its format file; its first change was made before.
  if (version === undefined && (marked ?? 0) > 1) faults.push("the format file is missing")
  if (faults.length === 0 && marked !== undefined && lastSequence < marked)
    faults.push(`changes ${lastSequence + 1} to ${marked} are missing`)
  if (faults.length > 0) throw new ChappeError("damaged", faultsText(faults))
  return { kind: "whole", format: version ?? 1, lastSequence }
}

const faultsTold = 4

function faultsText(faults: readonly string[]): string {
  const told = faults.slice(0, faultsTold).join("; ")
  return faults.length <= faultsTold ? told : `${told}; and ${faults.length - faultsTold} more`
}

function versionOf(format: Uint8Array): number {
  let text = ""
  try {
    text = fromUtf8(format)
  } catch (cause) {
    if (!(cause instanceof ChappeError)) throw cause
  }
  if (!/^[1-9][0-9]{0,3}\n$/u.test(text))
    throw new ChappeError("damaged", "the format file names no version")
  const version = Number(text)
  if (version > storeFormat)
    throw new ChappeError(
      "newer-format",
      `the data has format ${version}; this version reads up to ${storeFormat}`,
    )
  return version
}
