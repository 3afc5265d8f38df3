// The log side of a commit: relay receipts signed as one batch, entries at their indexes, one promise
// over all of them. docs/PROTOCOL.md, "Promises". Writes into the draft; nothing is kept between commits.

import { noBlind, signBatch } from "../../keys/batch-signer.ts"
import { logStatementId } from "../../keys/accepted-entry.ts"
import { sha256 } from "../../keys/crypto.ts"
import type { SigningKey } from "../../keys/signing-key.ts"
import { encodeAuth } from "../../protocol/batch.ts"
import { fromUtf8 } from "../../protocol/bytes.ts"
import { commitmentOf } from "../../protocol/entry.ts"
import type { Acceptance } from "../../protocol/link-messages.ts"
import { formatPromiseText } from "../../protocol/promise.ts"
import { encodeReceipt, receiptIdOf, receiptSteps } from "../../protocol/receipt.ts"
import { formatNote, signNote } from "../../protocol/signed-note.ts"
import { inclusionPaths, leafHash, treeRoot } from "../../protocol/tree.ts"
import type { Draft, RelayStep, Sealed, SignedReceipt } from "./draft.ts"
import type { OwnLog } from "./keyring.ts"
import type { Random } from "./ports.ts"

const blindBytes = 16
const saltBytes = 32

export type LedgerFacts = {
  readonly name: string
  readonly key: SigningKey
  readonly random: Random
  readonly log: OwnLog
  /** Size of the traffic log before this commit. */
  readonly first: number
  readonly time: number
  readonly directorySize: number
  /** The next number of the relay's own key in this log. */
  readonly nextSeq: () => number
}

type SignedBatch = {
  readonly receipts: readonly SignedReceipt[]
  readonly entry: number
  readonly salt: Uint8Array
}

/** Makes the draft's entries final. Its `onSealed` callbacks are still to be run. */
export function sealLedger(draft: Draft, facts: LedgerFacts): Sealed {
  const batches = draft.batches.map((steps) => signSteps(draft, facts, steps))
  const acceptances = acceptancesOf(draft.traffic, facts)
  const acceptance = (entry: number, salt: Uint8Array | null): Acceptance => {
    const found = acceptances[entry]
    if (found === undefined) throw new RangeError(`no entry ${entry} in this commit`)
    return { ...found, salt }
  }
  return {
    acceptance,
    steps({ batch, first, count }) {
      const signed = batches[batch]
      if (signed === undefined) throw new RangeError(`no batch ${batch} in this commit`)
      return {
        receipts: signed.receipts.slice(first, first + count),
        acceptance: acceptance(signed.entry, signed.salt),
      }
    },
  }
}

function signSteps(draft: Draft, facts: LedgerFacts, steps: readonly RelayStep[]): SignedBatch {
  const { key } = facts
  const receipts = steps.map((step) =>
    encodeReceipt({
      version: 1,
      messageId: step.messageId,
      recipientNode: step.recipientNode,
      step: receiptSteps[step.step],
      reason: step.reason,
      at: facts.time,
      keyId: key.keyId,
      by: facts.name,
      ref: step.ref,
    }),
  )
  const signed = signBatch(
    facts.name,
    key,
    receipts.map((receipt) => ({
      id: receiptIdOf(sha256, receipt),
      blind: facts.random(blindBytes),
    })),
  )
  const salt = facts.random(saltBytes)
  const statement = {
    kind: "relay-receipts",
    origin: facts.log.origin,
    commit: commitmentOf(sha256, salt, signed.root),
    keyId: key.keyId,
    seq: facts.nextSeq(),
  } as const
  const [auth] = signBatch(facts.name, key, [
    { id: logStatementId(statement), blind: noBlind },
  ]).auths
  if (auth === undefined) throw new RangeError("a batch of one has one auth")
  const { origin: _, ...fields } = statement
  const entry = draft.appendTraffic({
    ...fields,
    time: facts.time,
    directorySize: facts.directorySize,
    auth,
  })
  return {
    receipts: receipts.map((receipt, i) => {
      const own = signed.auths[i]
      if (own === undefined) throw new RangeError("an auth for each receipt")
      return { receipt, auth: encodeAuth(own) }
    }),
    entry,
    salt,
  }
}

function acceptancesOf(
  entries: readonly Uint8Array[],
  facts: LedgerFacts,
): readonly Omit<Acceptance, "salt">[] {
  if (entries.length === 0) return []
  const leaves = entries.map((entry) => leafHash(sha256, entry))
  const text = formatPromiseText({
    origin: facts.log.origin,
    first: facts.first,
    count: entries.length,
    root: treeRoot(sha256, leaves),
    time: facts.time,
  })
  const { key, sign } = facts.log.promise
  const promise = fromUtf8(formatNote({ text, signatures: [signNote(key, text, sign)] }))
  const paths = inclusionPaths(sha256, leaves)
  return entries.map((entry, i) => ({
    entry,
    promise,
    index: facts.first + i,
    path: paths[i] ?? [],
  }))
}
