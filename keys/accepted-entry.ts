// The accepting relay's word for a message or a batch of receipts: the log entry, its salt, and the
// promise that covers it. docs/PROTOCOL.md, "Promises" and "Judging keys".

import { type Auth, type BatchVerifier, decodeAuth } from "../protocol/batch.ts"
import { equalBytes, utf8 } from "../protocol/bytes.ts"
import type { Directory, Place } from "../protocol/directory.ts"
import { type SignedEntry, commitmentOf, decodeEntry, logStatementBody } from "../protocol/entry.ts"
import { ChappeError } from "../protocol/errors.ts"
import type { Acceptance, LogStatement } from "../protocol/link-messages.ts"
import { statementId } from "../protocol/pae.ts"
import { isPromised, openPromise, parsePromiseText } from "../protocol/promise.ts"
import { parseNote } from "../protocol/signed-note.ts"
import type { StationKey } from "../protocol/station.ts"
import { leafHash } from "../protocol/tree.ts"
import { parseVerifierKey } from "../protocol/verifier-key.ts"
import { sha256 } from "./crypto.ts"

export type AcceptedEntry = {
  readonly origin: string
  readonly relay: string
  readonly index: number
  readonly entry: SignedEntry
  /** Where keys are judged: the accepting relay's directory log at the size that the entry names. */
  readonly place: Exclude<Place, "now">
}

/** The directory log of a relay that had `size` entries when the traffic entry was made. */
export function placeOf(directory: Directory, relay: string, size: number): Exclude<Place, "now"> {
  const log = directory.currentLog(relay, "directory")
  if (log === undefined) throw new ChappeError("entry", `${relay} has named no directory log`)
  return { origin: log.origin, size }
}

/**
 * Checks that the promise is the relay's, that it covers the entry at its index, and that the entry
 * opens to `subject` (a messageId or a batch's root; nil where the salt is not ours to know).
 * Refused: `entry`.
 */
export function openAcceptance(
  directory: Directory,
  acceptance: Acceptance,
  subject: Uint8Array | null,
): AcceptedEntry {
  try {
    const note = utf8(acceptance.promise)
    const { origin } = parsePromiseText(parseNote(note).text)
    const log = directory.log(origin)
    if (log === undefined) throw new ChappeError("entry", `no relay has named the log ${origin}`)
    const { crypto } = directory
    const promise = openPromise(crypto.verify, note, parseVerifierKey(crypto, log.promiseVkey))
    const leaf = leafHash(sha256, acceptance.entry)
    if (!isPromised(sha256, promise, { index: acceptance.index, leaf, path: acceptance.path }))
      throw new ChappeError("entry", "the promise does not cover the entry")
    const entry = decodeEntry(acceptance.entry)
    if (!isSigned(entry)) throw new ChappeError("entry", `a ${entry.kind} entry accepts nothing`)
    if (subject !== null) {
      const { salt } = acceptance
      if (salt === null || !equalBytes(commitmentOf(sha256, salt, subject), entry.commit))
        throw new ChappeError("entry", "the entry does not open to what it should cover")
    }
    const place = placeOf(directory, log.relay, entry.directorySize)
    return { origin, relay: log.relay, index: acceptance.index, entry, place }
  } catch (cause) {
    if (cause instanceof ChappeError && cause.code === "entry") throw cause
    if (cause instanceof ChappeError)
      throw new ChappeError("entry", `the accepted entry does not hold: ${cause.message}`, {
        cause,
      })
    throw cause
  }
}

function isSigned(entry: ReturnType<typeof decodeEntry>): entry is SignedEntry {
  return (
    entry.kind === "envelope" ||
    entry.kind === "receipts" ||
    entry.kind === "relay-receipts" ||
    entry.kind === "journal"
  )
}

/** The id that a log statement's batch leaf covers. */
export function logStatementId(statement: Parameters<typeof logStatementBody>[0]): Uint8Array {
  return statementId(sha256, "entry", logStatementBody(statement))
}

/**
 * Checks a log statement handed in with a submit or receipts: its commitment opens to `subject`
 * (nil: not ours to open), and its signature holds by `key`. Refused: `commitment`, `entry-signature`.
 */
export function checkLogStatement(
  batches: BatchVerifier,
  statement: LogStatement,
  facts: {
    readonly kind: SignedEntry["kind"]
    readonly name: string
    readonly key: Pick<StationKey, "key" | "keyId">
    readonly subject: Uint8Array | null
  },
): Auth {
  if (facts.subject !== null) {
    const { salt } = statement
    if (salt === null || !equalBytes(commitmentOf(sha256, salt, facts.subject), statement.commit))
      throw new ChappeError("commitment")
  }
  const auth = decodeAuth(statement.auth)
  const { origin, commit, keyId, seq } = statement
  const id = logStatementId({ kind: facts.kind, origin, commit, keyId, seq })
  try {
    batches.check({
      signer: { name: facts.name, keyId },
      publicKey: facts.key.key,
      auth,
      id,
      purpose: "log",
    })
  } catch (cause) {
    if (!(cause instanceof ChappeError)) throw cause
    throw new ChappeError("entry-signature", "the log statement's signature does not hold", {
      cause,
    })
  }
  return auth
}
