// The auditor's files: trust, key, what it saw last, and the proof of a fork. What is written is for its
// user alone (0600) and replaced whole: after a power cut it is the old file or the new one.

import { open, readFile, rename, rm, stat } from "node:fs/promises"
import { dirname, join, resolve } from "node:path"
import { generateKeyPair } from "../../keys/ed25519.ts"
import { openKeyFile } from "../../keys/key-file.ts"
import { sha256 } from "../../keys/crypto.ts"
import { fromHex, fromUtf8 } from "../../protocol/bytes.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { type EvidenceFile, parseEvidenceFile } from "../../protocol/evidence-file.ts"
import { limits } from "../../protocol/limits.ts"
import { type AuditorFiles, type TrustFile, parseTrustFile } from "../../protocol/trust-file.ts"
import { type AuditState, formatAuditState, parseAuditState } from "../audit-state.ts"
import { auditLimits } from "../limits.ts"

/** Refused: `file-unreadable`, `config`. */
export async function readTrust(path: string): Promise<TrustFile> {
  return parseTrustFile(await readText(path, auditLimits.trustBytesMax))
}

/** The key that the roster names for the auditor. */
export type AuditorKey = {
  readonly name: string
  readonly sign: (message: Uint8Array) => Uint8Array
}

/** Paths are relative to the trust file. Refused: `file-unreadable`, `passphrase`, `key-file`. */
export async function openAuditorKey(
  trustPath: string,
  { name, keyFile, secretFile }: AuditorFiles,
): Promise<AuditorKey> {
  const beside = dirname(trustPath)
  const sealed = await readBytes(resolve(beside, keyFile), auditLimits.keyFileBytesMax)
  const secret = secretOf(await readBytes(resolve(beside, secretFile), auditLimits.secretBytesMax))
  const entries = await openKeyFile(sealed, { kind: "secret", secret })
  const entry = entries.find(({ use }) => use === "auditor")
  if (entry === undefined) throw new ChappeError("key-file", `${keyFile} holds no auditor's key`)
  return { name, sign: generateKeyPair(entry.secret).sign }
}

/** 32 raw bytes, or their hex. */
function secretOf(bytes: Uint8Array): Uint8Array {
  return bytes.length === 32 ? bytes : fromHex(fromUtf8(bytes).trim())
}

/** Nothing seen yet when the file is not there. Refused: `config`, `file-unreadable`. */
export async function readState(path: string): Promise<AuditState> {
  if (!(await isThere(path))) return new Map()
  return parseAuditState(sha256, await readText(path, auditLimits.stateBytesMax))
}

/** Refused: `file-unreadable`, `disk-full`. */
export async function writeState(path: string, state: AuditState): Promise<void> {
  await replace(path, formatAuditState(state))
}

/** `fork.chappe` beside the state file; an earlier one is kept: it convicts for ever. Returns its path. */
export async function writeFork(statePath: string, fork: Uint8Array): Promise<string> {
  for (let number = 1; ; number++) {
    const name = number === 1 ? "fork.chappe" : `fork-${number}.chappe`
    const path = join(dirname(statePath), name)
    if (await isThere(path)) continue
    await replace(path, fork)
    return path
  }
}

/** Refused: `file-unreadable`, `size`, `not-canonical`. */
export async function readEvidence(path: string): Promise<EvidenceFile> {
  return parseEvidenceFile(await readText(path, limits.evidenceFileBytesMax))
}

export async function isFolder(path: string): Promise<boolean> {
  return (await isThere(path)) && (await stat(path)).isDirectory()
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (cause) {
    if (codeOf(cause) === "ENOENT" || codeOf(cause) === "ENOTDIR") return false
    throw unreadable(path, cause)
  }
}

async function readBytes(path: string, bytesMax: number): Promise<Uint8Array> {
  try {
    const { size } = await stat(path)
    if (size > bytesMax)
      throw new ChappeError("size", `${path} has ${size} of at most ${bytesMax} bytes`)
    return new Uint8Array(await readFile(path))
  } catch (cause) {
    if (cause instanceof ChappeError) throw cause
    throw unreadable(path, cause)
  }
}

async function readText(path: string, bytesMax: number): Promise<string> {
  return fromUtf8(await readBytes(path, bytesMax))
}

async function replace(path: string, content: Uint8Array | string): Promise<void> {
  const beside = `${path}.new`
  try {
    const file = await open(beside, "w", 0o600)
    try {
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(beside, path)
    const folder = await open(dirname(path), "r")
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
  } catch (cause) {
    await rm(beside, { force: true }).catch(() => undefined)
    const isFull = codeOf(cause) === "ENOSPC"
    throw new ChappeError(isFull ? "disk-full" : "storage", `${path} cannot be written`, { cause })
  }
}

function unreadable(path: string, cause: unknown): ChappeError {
  return new ChappeError("file-unreadable", `${path} cannot be read`, { cause })
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined
}
