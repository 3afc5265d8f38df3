// Invitation tokens of a relay, one small file each: `tokens/<SHA-256 of the token>.json`. The token itself
// is never stored. It opens the directory log, and takes one member's join request, for one genesis.

import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { sha256 } from "../../keys/crypto.ts"
import { fromUtf8, toHex, utf8 } from "../../protocol/bytes.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { isMemberName } from "../../protocol/names.ts"
import {
  isMissing,
  makeFolder,
  onDisk,
  replaceFile,
  syncFolder,
} from "../../store/durable-files.ts"

/** `genesisId`, hex, is there once a join request was taken. `expires` in seconds since 1970. */
export type InvitationToken = {
  readonly type?: "chappe/token/v1"
  readonly member: string
  readonly expires: number
  readonly genesisId?: string
}

function pathOf(folder: string, token: Uint8Array): string {
  return join(folder, `${toHex(sha256(token))}.json`)
}

/** Writes or replaces a token's record. `token`: 32 bytes. */
export async function writeInvitationToken(
  folder: string,
  token: Uint8Array,
  record: InvitationToken,
): Promise<void> {
  await onDisk("writing an invitation token", async () => {
    await makeFolder(folder)
    await replaceFile(pathOf(folder, token), utf8(`${JSON.stringify(record)}\n`))
    await syncFolder(folder)
  })
}

/** Undefined for a token that was never given out. Refused: `invitation` for a broken record. */
export async function readInvitationToken(
  folder: string,
  token: Uint8Array,
): Promise<InvitationToken | undefined> {
  let text: string
  try {
    text = fromUtf8(new Uint8Array(await readFile(pathOf(folder, token))))
  } catch (cause) {
    if (isMissing(cause)) return undefined
    throw cause
  }
  const record: unknown = JSON.parse(text)
  if (!isToken(record)) throw new ChappeError("invitation", "a token's record is malformed")
  return record
}

function isToken(record: unknown): record is InvitationToken {
  if (typeof record !== "object" || record === null) return false
  if (!("member" in record) || !("expires" in record)) return false
  const { member, expires } = record
  return typeof member === "string" && isMemberName(member) && typeof expires === "number"
}
