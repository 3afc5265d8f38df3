// Records in memory, kept apart from the handle that reads them: `durable` is what a power cut leaves.

import { compareBytes, fromHex, toHex } from "../../protocol/bytes.ts"
import type { RecordOp, RecordRange, RecordStore, StoredRecord } from "../core/ports.ts"
import { MemoryDisk } from "./memory-disk.ts"

/** What is on the disk, by hex key. */
export type DurableRecords = Map<string, Uint8Array>

/** `durable` may be handed to a second store: that is the restart after a power cut. */
export function openMemoryRecordStore(
  durable: DurableRecords = new Map(),
  disk: MemoryDisk = new MemoryDisk(),
): RecordStore {
  const records = new Map(durable)
  const ordered = ({ gte, lt, limit, reverse = false }: RecordRange): readonly StoredRecord[] => {
    const found = [...records]
      .map(([key, value]) => ({ key: fromHex(key), value: Uint8Array.from(value) }))
      .filter(({ key }) => compareBytes(key, gte) >= 0 && compareBytes(key, lt) < 0)
      .toSorted((a, b) => compareBytes(a.key, b.key))
    return (reverse ? found.toReversed() : found).slice(0, limit)
  }
  return {
    async get(key) {
      const value = records.get(toHex(key))
      return value === undefined ? undefined : Uint8Array.from(value)
    },
    async range(range) {
      return ordered(range)
    },
    async commit(ops) {
      await disk.run("commit", () => {
        for (const target of [records, durable]) for (const op of ops) apply(target, op)
      })
    },
    async close() {
      await disk.run("close", () => undefined)
    },
  }
}

function apply(target: Map<string, Uint8Array>, op: RecordOp): void {
  if (op.type === "put") target.set(toHex(op.key), Uint8Array.from(op.value))
  else target.delete(toHex(op.key))
}
