// Numbers of the traffic log: seq counts per key and log, each once. docs/PROTOCOL.md, "Log entries".
// Frames may overtake each other, so any unused number up to 1,024 above the highest is taken; the same
// statement again gets the stored answer.

import { equalBytes, u32 } from "../../protocol/bytes.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { limits } from "../../protocol/limits.ts"
import type { Draft } from "./draft.ts"
import { type UsedRecord, highestRecord, usedRecord } from "./records.ts"
import { framed, recordKey } from "./tables.ts"

export function highestKey(origin: string, keyId: Uint8Array): Uint8Array {
  return recordKey("highest", framed(origin), keyId)
}

export type LogNumber = {
  readonly origin: string
  readonly keyId: Uint8Array
  readonly seq: number
}

export function usedKey(number: LogNumber): Uint8Array {
  return recordKey("used", framed(number.origin), number.keyId, u32(number.seq))
}

/**
 * Whether a number is free for the statement with this id; or what it was used for, by the same statement.
 * Refused: `seq-used` for another statement, `seq-gap` too far ahead.
 */
export async function judgeNumber(
  draft: Draft,
  number: LogNumber,
  statement: Uint8Array,
): Promise<{ readonly kind: "free" } | { readonly kind: "used"; readonly record: UsedRecord }> {
  const { seq, floor } = (await draft.get(
    highestRecord,
    highestKey(number.origin, number.keyId),
  )) ?? { seq: 0, floor: 0 }
  // Above the highest nothing was used: in order, a number costs no reading.
  const record = number.seq > seq ? undefined : await draft.get(usedRecord, usedKey(number))
  if (record !== undefined) {
    if (equalBytes(record.statement, statement)) return { kind: "used", record }
    throw new ChappeError("seq-used", `number ${number.seq} stands for another statement`)
  }
  if (number.seq < 1 || number.seq <= floor)
    throw new ChappeError("seq-used", `number ${number.seq} was used long ago`)
  if (number.seq > seq + limits.seqAheadMax)
    throw new ChappeError("seq-gap", `number ${number.seq} is too far above ${seq}`)
  return { kind: "free" }
}

/** Marks a free number as used. */
export async function useNumber(
  draft: Draft,
  number: LogNumber,
  record: UsedRecord,
): Promise<void> {
  draft.put(usedRecord, usedKey(number), record)
  const key = highestKey(number.origin, number.keyId)
  const held = (await draft.get(highestRecord, key)) ?? { seq: 0, floor: 0 }
  if (number.seq > held.seq) draft.put(highestRecord, key, { ...held, seq: number.seq })
}
