// Records in LevelDB, every batch synced.

import { join } from "node:path"
import { fromUtf8, utf8 } from "../../protocol/bytes.ts"
import { type DatabaseRecord, LevelDatabase } from "../../store/level-database.ts"
import type { RecordStore, StoredRecord } from "../core/ports.ts"
import { nodeLimits } from "../limits.ts"

const readyKey = utf8("~ready")

/** Where a node's records stand inside its data directory. */
export function recordsPath(dataDirectory: string): string {
  return join(dataDirectory, "records")
}

function stored(records: readonly DatabaseRecord[]): readonly StoredRecord[] {
  return records.map(({ key, value }) => ({ key: fromUtf8(key), value }))
}

/** Refused: `locked` while another process has it open, `damaged`, `newer-format`, `disk-full`, `storage`. */
export async function openLevelRecordStore(path: string): Promise<RecordStore> {
  const { startCheckBytesMax } = nodeLimits
  const database = await LevelDatabase.open(path, { readyKey, startCheckBytesMax })
  return {
    get: async (key) => database.get(utf8(key)),
    list: async ({ from, to, limit, reverse = false }) =>
      stored(await database.range({ gte: utf8(from), lt: utf8(to), limit, reverse })),
    async *snapshot(limit) {
      for await (const page of database.snapshot(limit)) yield stored(page)
    },
    commit: async (changes) =>
      database.write(
        changes.map((change) => ({
          key: utf8(change.key),
          value: change.kind === "put" ? change.value : undefined,
        })),
      ),
    compact: async () => database.compact(),
    close: async () => database.close(),
  }
}
