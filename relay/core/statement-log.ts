// Log statements: each becomes one entry of the traffic log, under its number, once; the same statement
// again gets the stored answer. docs/PROTOCOL.md, "Log entries".

import { logStatementId } from "../../keys/accepted-entry.ts"
import { emptyBytes } from "../../protocol/bytes.ts"
import { ChappeError, isErrorCode } from "../../protocol/errors.ts"
import { limits } from "../../protocol/limits.ts"
import type { Acceptance, LogStatement } from "../../protocol/link-messages.ts"
import { type SubmitFacts, judgeLogStatement } from "./admit-submit.ts"
import type { Draft } from "./draft.ts"
import { dueKey } from "./mail.ts"
import { usedRecord } from "./records.ts"
import { highestKey, judgeNumber, useNumber, usedKey } from "./sequence.ts"

export type NodeStatement = {
  readonly kind: "envelope" | "receipts" | "journal"
  readonly statement: LogStatement
  /** What the commitment must open to; nil where the salt is not ours to know. */
  readonly subject: Uint8Array | null
}

export type Logged =
  | { readonly kind: "stored"; readonly acceptance: Acceptance }
  /** `acceptance` can be asked from the draft's sealing on. */
  | { readonly kind: "appended"; readonly acceptance: () => Acceptance }

/** What `logStatement` reads for a statement; `isNext`: its number is above all that came before. */
export function statementReads(
  statement: LogStatement,
  { isNext }: { readonly isNext: boolean },
): readonly Uint8Array[] {
  const highest = highestKey(statement.origin, statement.keyId)
  return isNext ? [highest] : [highest, usedKey(statement)]
}

/** Where a commit judges keys and which log it writes: the directory may have grown since the request came. */
export function factsOf(draft: Draft, before: SubmitFacts): SubmitFacts {
  return {
    ...before,
    place: { ...before.place, size: draft.facts.directorySize },
    trafficOrigin: draft.facts.trafficOrigin,
  }
}

/**
 * Refused, before anything is written: `stale`, `entry-key`, `commitment`, `entry-signature`, `seq-used`,
 * `seq-gap`, `clock`, and what the number was refused with before.
 */
export async function logStatement(
  draft: Draft,
  { kind, statement, subject }: NodeStatement,
  facts: SubmitFacts,
): Promise<Logged> {
  const auth = judgeLogStatement(statement, { ...facts, kind, subject })
  const statementId = logStatementId({ kind, ...statement })
  const number = await judgeNumber(draft, statement, statementId)
  if (number.kind === "used") {
    const { acceptance, code } = number.record
    if (acceptance !== null) return { kind: "stored", acceptance }
    throw new ChappeError(isErrorCode(code) ? code : "seq-used", "the number was refused before")
  }
  const { time } = draft
  const entry = draft.appendTraffic({
    kind,
    time,
    commit: statement.commit,
    keyId: statement.keyId,
    seq: statement.seq,
    directorySize: draft.facts.directorySize,
    auth,
  })
  await useNumber(draft, statement, { statement: statementId, acceptance: null, code: "" })
  const forgottenWith = kind === "envelope" && subject !== null ? subject : emptyBytes
  draft.putBytes(dueKey(time + limits.idKeepSeconds, "n", usedKey(statement)), forgottenWith)
  let answer: Acceptance | undefined
  draft.onSealed((sealed) => {
    answer = sealed.acceptance(entry, statement.salt)
    const record = { statement: statementId, acceptance: answer, code: "" }
    draft.put(usedRecord, usedKey(statement), record)
  })
  return {
    kind: "appended",
    acceptance: () => {
      if (answer === undefined) throw new RangeError("the commit was not sealed")
      return answer
    },
  }
}

/** Uses the number of a statement that holds for what was refused for good. False when it was used before. */
export async function burnNumber(
  draft: Draft,
  { kind, statement, subject }: NodeStatement,
  facts: SubmitFacts,
  code: string,
): Promise<boolean> {
  judgeLogStatement(statement, { ...facts, kind, subject })
  const statementId = logStatementId({ kind, ...statement })
  const number = await judgeNumber(draft, statement, statementId)
  if (number.kind === "used") return false
  const { time } = draft
  await useNumber(draft, statement, { statement: statementId, acceptance: null, code })
  draft.putBytes(dueKey(time + limits.idKeepSeconds, "n", usedKey(statement)), emptyBytes)
  return true
}
