// Tables of the relay's record store: how keys are made, and how a record shows that it is the one that
// was stored under this key.   value = SHA-256(u16 length of key ‖ key ‖ payload) ‖ payload
//
// LevelDB reads without checking its block sums: a flipped bit comes back as data. So each record carries
// its own hash, over its table and key too, so that records which were swapped are found as well.

import { sha256 } from "../../keys/crypto.ts"
import { concat, equalBytes, toHex, u16, u64, utf8 } from "../../protocol/bytes.ts"
import { ChappeError } from "../../protocol/errors.ts"

/** One letter each, the first byte of a key. */
export const tables = {
  ready: "v", // marks a store that was created whole
  message: "m", // messageId → header, auth, acceptance: while recipients are unsettled
  copy: "j", // messageId, relay → that relay brought what was held here already, and holds a copy too
  holding: "b", // messageId → where the body stands, how many recipients are unsettled
  slice: "s", // messageId, node → leaf and path, and the queue where it waits
  queue: "q", // queue, lane, position → item
  counter: "c", // the last queue position given
  known: "k", // messageId → the stored answer, for 90 days
  used: "n", // origin, keyId, seq → what this number of the log was used for
  highest: "h", // origin, keyId → highest number, and below which all are used
  due: "d", // time, sort, key → what is to be looked at then
  entry: "e", // origin, index → log entry
  log: "l", // origin → size and time of the last entry
  signed: "g", // origin → size and root of the last signed checkpoint
  prekey: "p", // typed hash → KEM key
  reference: "a", // attachment, node, messageId → length
  upload: "u", // attachment → since when, by whom
  session: "o", // node keyId → highest link session
  follow: "f", // origin → what was read of another relay's directory log
  fork: "y", // the first statement's id → the statement that excludes it
  draining: "z", // since when the relay is being emptied; absent while it is not
  placed: "i", // origin, index → statement id
  rollback: "r", // the checkpoint that proved this folder to be an old copy
} as const
export type Table = keyof typeof tables

const hashBytes = 32

/** The store's key of a record: the table's letter, then the parts. Parts of varying length are to be framed. */
export function recordKey(table: Table, ...parts: readonly Uint8Array[]): Uint8Array {
  return concat(utf8(tables[table]), ...parts)
}

/** A text inside a key: its length, then its bytes, so that no key runs into another. */
export function framed(text: string): Uint8Array {
  const bytes = utf8(text)
  return concat(Uint8Array.of(bytes.length), bytes)
}

/** A number inside a key, in the order of numbers. */
export function position(value: number): Uint8Array {
  return u64(value)
}

/** The first key after all keys that begin with `prefix`. */
export function afterPrefix(prefix: Uint8Array): Uint8Array {
  const next = new Uint8Array(prefix)
  for (let at = next.length - 1; at >= 0; at--) {
    const byte = next[at] ?? 0
    if (byte < 0xff) {
      next[at] = byte + 1
      return next.slice(0, at + 1)
    }
  }
  throw new RangeError("no key follows this prefix")
}

function recordHash(key: Uint8Array, payload: Uint8Array): Uint8Array {
  return sha256(concat(u16(key.length), key, payload))
}

export function sealRecord(key: Uint8Array, payload: Uint8Array): Uint8Array {
  return concat(recordHash(key, payload), payload)
}

/** Refused: `tampered`, naming the key. */
export function openRecord(key: Uint8Array, value: Uint8Array): Uint8Array {
  const payload = value.slice(hashBytes)
  if (!equalBytes(value.subarray(0, hashBytes), recordHash(key, payload)))
    throw new ChappeError("tampered", `record ${toHex(key)} is not what was stored`)
  return payload
}
