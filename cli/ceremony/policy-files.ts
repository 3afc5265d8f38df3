// The policy files that a drafted roster names by their hashes. They travel beside the roster's file, so that
// custodians read what they sign and relays get the text with the roster.

import { crypto } from "../../keys/crypto.ts"
import { utf8 } from "../../protocol/bytes.ts"
import { decodeDirectoryBundle, encodeDirectoryBundle } from "../../protocol/directory-bundle.ts"
import type { Directory } from "../../protocol/directory.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { limits } from "../../protocol/limits.ts"
import { parsePolicy } from "../../protocol/tlog-policy.ts"
import { exists, readBytes, writeNew } from "../private-files.ts"

function beside(rosterFile: string): string {
  return `${rosterFile}.policies`
}

export async function writePolicies(
  rosterFile: string,
  policies: readonly (Uint8Array | undefined)[],
): Promise<void> {
  const statements = policies.flatMap((statement) =>
    statement === undefined ? [] : [{ kind: "policy" as const, statement }],
  )
  await writeNew(beside(rosterFile), encodeDirectoryBundle({ version: 1, statements }))
}

/** None where the roster changes no policy. Refused: `file-unreadable`, `not-canonical`. */
export async function readPolicies(rosterFile: string): Promise<readonly Uint8Array[]> {
  const path = beside(rosterFile)
  if (!(await exists(path))) return []
  const bundle = decodeDirectoryBundle(await readBytes(path, limits.directoryBundleBytesMax))
  return bundle.statements.map(({ statement }) => statement)
}

/**
 * A checkpoint counts as witnessed with the cosignatures of `quorum` of the members present, or always for
 * `none`. Refused: `usage` for a number that cannot be reached.
 */
export function witnessPolicy(directory: Directory, quorum: string): Uint8Array {
  if (quorum === "none") return utf8("quorum none\n")
  const witnesses = directory.activeMembers().flatMap(({ node }) => {
    const newest = directory.station(node)?.witnesses.at(-1)
    return newest === undefined ? [] : [{ node, vkey: newest.vkey }]
  })
  const lines = [
    ...witnesses.map(({ node, vkey }) => `witness ${node} ${vkey}`),
    `group members ${quorum} ${witnesses.map(({ node }) => node).join(" ")}`,
    "quorum members",
  ]
  const policy = utf8(`${lines.join("\n")}\n`)
  try {
    parsePolicy(crypto, policy)
  } catch (cause) {
    if (!(cause instanceof ChappeError)) throw cause
    throw new ChappeError("usage", `--quorum is none or 1 … ${witnesses.length}`, { cause })
  }
  return policy
}
