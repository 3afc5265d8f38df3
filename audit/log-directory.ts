// Verifying a published log as it stands: checkpoint, quorum, every file, and a proof kept beside it.
// It is `chappe conformance log-verify`, and the first half of an audit.

import { equalBytes, toBase64 } from "../protocol/bytes.ts"
import { type OpenedCheckpoint, openCheckpoint } from "../protocol/checkpoint.ts"
import type { Crypto } from "../protocol/crypto-ports.ts"
import { ChappeError, type ErrorCode } from "../protocol/errors.ts"
import { limits } from "../protocol/limits.ts"
import { rootFromTiles } from "../protocol/tile-proofs.ts"
import { encodeTile } from "../protocol/tiles.ts"
import { type Policy, cosigners, isQuorum, parsePolicy } from "../protocol/tlog-policy.ts"
import { openTlogProof, parseTlogProof } from "../protocol/tlog-proof.ts"
import type { VerifierKey } from "../protocol/verifier-key.ts"
import { type CheckedFiles, checkLogFiles, checkStrayTiles } from "./log-files.ts"
import type { LogSource } from "./log-source.ts"
import { readItems } from "./log-tiles.ts"

export type LogToVerify = {
  readonly crypto: Crypto
  readonly source: LogSource
  /** The log's key: its name is the origin. */
  readonly key: VerifierKey
  /** Whose cosignatures must be there; without it, the file `policy` beside the checkpoint, if there is one. */
  readonly policy?: Policy
  readonly minimumIndex?: number
  readonly onBundle?: (firstIndex: number, entries: readonly Uint8Array[]) => Promise<void>
}

/** `cosigned`: names in the policy. `newestCosignature` in seconds since 1970. */
export type LogVerdict =
  | {
      readonly ok: true
      readonly origin: string
      readonly size: number
      readonly root: string
      readonly bundles: number
      readonly tiles: number
      readonly prunedEntries: number
      readonly strayTiles: number
      readonly cosigned: readonly string[]
      readonly newestCosignature: number | null
      readonly quorum: "reached" | "not-asked"
      readonly proof: { readonly index: number; readonly size: number } | null
    }
  | { readonly ok: false; readonly fault: ErrorCode; readonly message: string }

/**
 * The verdict on a log. Tampering is a fault in the verdict; a source that cannot be read is thrown
 * (`unverified`), because that says nothing about the log.
 */
export async function verifyLogDirectory(log: LogToVerify): Promise<LogVerdict> {
  try {
    return await verify(log)
  } catch (error) {
    if (!(error instanceof ChappeError) || error.code === "unverified") throw error
    return { ok: false, fault: error.code, message: error.message }
  }
}

async function verify(log: LogToVerify): Promise<LogVerdict> {
  const policy = log.policy ?? (await policyBeside(log))
  const checkpoint = await readCheckpoint(log, policy)
  const files = await checkLogFiles({
    ...log,
    sha256: log.crypto.sha256,
    size: checkpoint.size,
    root: checkpoint.root,
  })
  const { source } = log
  const paths = await source.tilePaths()
  const strayTiles =
    paths === undefined ? 0 : await checkStrayTiles({ ...log, size: checkpoint.size }, paths)
  const proof = await checkProofBeside(log, policy, checkpoint)
  return verdict(policy, checkpoint, files, { strayTiles, proof })
}

function verdict(
  policy: Policy | undefined,
  checkpoint: OpenedCheckpoint,
  files: CheckedFiles,
  more: { readonly strayTiles: number; readonly proof: { index: number; size: number } | null },
): LogVerdict {
  const times = checkpoint.cosignatures.map(({ time }) => time)
  return {
    ok: true,
    origin: checkpoint.origin,
    size: checkpoint.size,
    root: toBase64(checkpoint.root),
    bundles: files.bundles,
    tiles: files.tiles,
    prunedEntries: files.prunedEntries,
    cosigned: policy === undefined ? [] : [...cosigners(policy, checkpoint)],
    newestCosignature: times.length === 0 ? null : Math.max(...times),
    quorum: policy?.quorum === undefined ? "not-asked" : "reached",
    ...more,
  }
}

/** Opens the log's checkpoint. Refused with `log-file` when it is missing, `note`, or `quorum`. */
async function readCheckpoint(
  log: LogToVerify,
  policy: Policy | undefined,
): Promise<OpenedCheckpoint> {
  const bytes = await log.source.read("checkpoint", limits.noteBytesMax)
  if (bytes === undefined) throw new ChappeError("log-file", "the checkpoint is missing")
  const checkpoint = openCheckpoint(log.crypto.verify, bytes, keysOf(log, policy))
  demandQuorum(policy, checkpoint)
  return checkpoint
}

function keysOf(
  log: LogToVerify,
  policy: Policy | undefined,
): { readonly log: VerifierKey; readonly witnesses: readonly VerifierKey[] } {
  return { log: log.key, witnesses: policy?.witnesses.map(({ key }) => key) ?? [] }
}

function demandQuorum(policy: Policy | undefined, checkpoint: OpenedCheckpoint): void {
  if (policy !== undefined && !isQuorum(policy, cosigners(policy, checkpoint)))
    throw new ChappeError("quorum", `the checkpoint of size ${checkpoint.size} lacks cosignatures`)
}

/** A policy that comes with the log trusts nobody by itself: it can only ask for more than the key. */
async function policyBeside(log: LogToVerify): Promise<Policy | undefined> {
  const bytes = await log.source.read("policy", limits.entryBytesMax)
  if (bytes === undefined) return undefined
  const policy = parsePolicy(log.crypto, bytes)
  const names = policy.logs.some(({ key }) => equalBytes(key.publicKey, log.key.publicKey))
  if (policy.logs.length > 0 && !names)
    throw new ChappeError("policy", "the policy does not name the log's key")
  return policy
}

/** `proof.tlog-proof` proves that `proof.entry` stands in this very log. */
async function checkProofBeside(
  log: LogToVerify,
  policy: Policy | undefined,
  checkpoint: OpenedCheckpoint,
): Promise<{ readonly index: number; readonly size: number } | null> {
  const [entry, file] = await Promise.all([
    log.source.read("proof.entry", limits.entryBytesMax),
    log.source.read("proof.tlog-proof", 2 * limits.noteBytesMax),
  ])
  if (entry === undefined && file === undefined) return null
  if (entry === undefined || file === undefined)
    throw new ChappeError("proof", "a proof and its entry are not both there")
  const proof = parseTlogProof(file)
  const proved = openTlogProof(log.crypto, proof, entry, keysOf(log, policy))
  demandQuorum(policy, proved)
  if (proved.size > checkpoint.size)
    throw new ChappeError("rollback", `a proof was given at size ${proved.size}`)
  const root = await rootFromTiles(
    {
      sha256: log.crypto.sha256,
      size: checkpoint.size,
      readTile: async (tile) => encodeTile(await readItems(log.source, tile)),
    },
    proved.size,
  )
  if (!equalBytes(root, proved.root))
    throw new ChappeError(
      "log-fork",
      `the proof's checkpoint of size ${proved.size} is another tree`,
    )
  return { index: proof.index, size: proved.size }
}
