// Records in LevelDB, every batch synced.

import { LevelDatabase } from "../../store/level-database.ts"
import type { RecordStore } from "../core/ports.ts"
import { recordKey } from "../core/tables.ts"
import { relayLimits } from "../limits.ts"

/** Refused: `locked` while another process has it open, `damaged`, `newer-format`, `disk-full`, `storage`. */
export async function openLevelRecordStore(path: string): Promise<RecordStore> {
  const { startCheckBytesMax } = relayLimits
  const database = await LevelDatabase.open(path, {
    readyKey: recordKey("ready"),
    startCheckBytesMax,
  })
  return {
    get: async (key) => database.get(key),
    range: async (range) => database.range(range),
    commit: async (ops) =>
      database.write(
        ops.map((op) => ({ key: op.key, value: op.type === "put" ? op.value : undefined })),
      ),
    verify: () => database.verify(),
    compact: async () => database.compact(),
    close: async () => database.close(),
  }
}
