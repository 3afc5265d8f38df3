// Records in memory, kept apart from the handle that reads them: `durable` is what a power cut leaves.

import { emptyBytes, fromHex, toHex } from "../../protocol/bytes.ts"
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
    // Hex has the order of the bytes.
    const [from, to] = [toHex(gte), toHex(lt)]
    const found = [...records.keys()].filter((key) => key >= from && key < to).toSorted()
    return (reverse ? found.toReversed() : found).slice(0, limit).map((key) => ({
      key: fromHex(key),
      value: new Uint8Array(records.get(key) ?? emptyBytes),
    }))
  }
  return {
    async get(key) {
      const value = records.get(toHex(key))
      return value === undefined ? undefined : new Uint8Array(value)
    },
    async range(range) {
      return ordered(range)
    },
    async commit(ops) {
      await disk.run("commit", () => {
        for (const target of [records, durable]) for (const op of ops) apply(target, op)
      })
    },
    async *verify() {
      yield* []
    },
    async compact() {
      await disk.run("compact", () => undefined)
    },
    async close() {
      await disk.run("close", () => undefined)
    },
  }
}

function apply(target: Map<string, Uint8Array>, op: RecordOp): void {
  if (op.type === "put") target.set(toHex(op.key), new Uint8Array(op.value))
  else target.delete(toHex(op.key))
}
