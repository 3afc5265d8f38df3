// Promises: a relay's signed word, given at accept, that entries stand at these indexes and will be
// under a checkpoint by the deadline. It is the custody of a submit. docs/PROTOCOL.md, "Promises".

import { fromBase64, toBase64 } from "./bytes.ts"
import type { Sha256, Verify } from "./crypto-ports.ts"
import { parseDecimal } from "./decimal.ts"
import { ChappeError } from "./errors.ts"
import { limits } from "./limits.ts"
import { withCode } from "./recode.ts"
import { heldSignatures, parseNote } from "./signed-note.ts"
import { hashBytes, verifyInclusion } from "./tree.ts"
import { type VerifierKey, isKeyName, noteKeyTypes } from "./verifier-key.ts"

/**
 * One commit of a log: entries `first` … `first + count − 1`; `root` is the tree root over their leaf
 * hashes alone. `time` in seconds since 1970; the deadline is 60 s later.
 */
export type LogPromise = {
  readonly origin: string
  readonly first: number
  readonly count: number
  readonly root: Uint8Array
  readonly time: number
}

const title = "chappe/promise/v1"

/** Name of the key that signs a log's promises. */
export function promiseKeyName(origin: string): string {
  return `${origin}/promise`
}

export function deadlineOf(promise: LogPromise): number {
  return promise.time + limits.promiseSeconds
}

export function formatPromiseText(promise: LogPromise): string {
  const { origin, first, count, root, time } = promise
  if (!isKeyName(origin) || count < 1 || root.length !== hashBytes) throw new RangeError("promise")
  if (![first, count, time, first + count].every((value) => Number.isSafeInteger(value)))
    throw new RangeError("promise")
  const numbers = `${first}\n${count}\n${toBase64(root)}\n${time}\n${deadlineOf(promise)}`
  return `${title}\n${origin}\n${numbers}\n`
}

/** Refused with `note`. */
export function parsePromiseText(text: string): LogPromise {
  const lines = text.split("\n")
  const [label, origin = "", first = "", count = "", base64 = "", time = "", deadline = "", end] =
    lines
  if (lines.length !== 8 || label !== title || end !== "" || !isKeyName(origin))
    throw new ChappeError("note", "a promise does not have its seven lines")
  return withCode("note", () => {
    const promise = {
      origin,
      first: parseDecimal(first),
      count: parseDecimal(count),
      root: fromBase64(base64),
      time: parseDecimal(time),
    }
    const ends = [promise.first + promise.count, deadlineOf(promise)]
    if (promise.count < 1 || promise.root.length !== hashBytes || !ends.every(Number.isSafeInteger))
      throw new ChappeError("note", "a promise is out of bounds")
    if (parseDecimal(deadline) !== deadlineOf(promise))
      throw new ChappeError("note", "a promise has another deadline than its time gives")
    return promise
  })
}

/** Checks the line of the log's promise key (type 01, `<origin>/promise`). Refused with `note`. */
export function openPromise(verify: Verify, bytes: Uint8Array, key: VerifierKey): LogPromise {
  const note = parseNote(bytes)
  const promise = parsePromiseText(note.text)
  if (key.type !== noteKeyTypes.ed25519 || key.name !== promiseKeyName(promise.origin))
    throw new ChappeError("note", `the promise is not one of ${key.name}`)
  if (heldSignatures(verify, note, [key]).length === 0)
    throw new ChappeError("note", `the promise lacks the line of ${key.name}`)
  return promise
}

/** Whether the promise covers this leaf at `index` of the log. `path` leads to the promise's root. */
export function isPromised(
  sha256: Sha256,
  promise: LogPromise,
  place: {
    readonly index: number
    readonly leaf: Uint8Array
    readonly path: readonly Uint8Array[]
  },
): boolean {
  const { first, count, root } = promise
  const { leaf, path } = place
  return verifyInclusion({ sha256, index: place.index - first, size: count, leaf, path, root })
}
