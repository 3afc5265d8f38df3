// What can still be read of a damaged LevelDB folder: the newest value of each key, from every block and log
// record whose sum holds. The library's own repair believes damaged blocks; this does not.

import { toHex } from "../protocol/bytes.ts"
import type { FolderReader } from "./level-check.ts"
import { type LevelEntry, batchEntries, readLog, readTable, tableEntries } from "./level-files.ts"

export type Salvaged = { readonly key: Uint8Array; readonly value: Uint8Array }

const fileForm = /^[0-9]{6,}\.(?:ldb|sst|log)$/u

async function* entriesOf(folder: FolderReader): AsyncGenerator<LevelEntry> {
  for (const name of [...(await folder.names())].toSorted()) {
    if (!fileForm.test(name)) continue
    const bytes = await folder.read(name)
    if (bytes === undefined) continue
    if (name.endsWith(".log")) {
      const { records, beyond } = readLog(bytes)
      for (const record of [...records, ...beyond]) yield* batchEntries(record)
    } else for (const block of readTable(bytes).blocks) yield* tableEntries(block)
  }
}

/** Reads the folder twice: memory holds the keys, never the values. What was removed stays removed. */
export async function* salvageLevel(folder: FolderReader): AsyncGenerator<Salvaged> {
  const newest = new Map<string, number>()
  for await (const { key, sequence } of entriesOf(folder)) {
    const name = toHex(key)
    if (sequence >= (newest.get(name) ?? 0)) newest.set(name, sequence)
  }
  for await (const { key, sequence, value } of entriesOf(folder)) {
    const name = toHex(key)
    if (value === undefined || newest.get(name) !== sequence) continue
    // The same change may stand in a log and in a table.
    newest.delete(name)
    yield { key, value }
  }
}
