// Fork files: two checkpoints that exclude each other, signed by one log key. Anybody can check one
// offline; it convicts the log. docs/PROTOCOL.md, "Fork files".

import { equalBytes, fromBase64, fromUtf8, toBase64, utf8 } from "./bytes.ts"
import { type OpenedCheckpoint, openCheckpoint } from "./checkpoint.ts"
import type { Sha256, Verify } from "./crypto-ports.ts"
import { ChappeError } from "./errors.ts"
import { formatHashLines, parseHashLines } from "./hash-lines.ts"
import { limits } from "./limits.ts"
import { withCode } from "./recode.ts"
import { hashBytes, verifyConsistency } from "./tree.ts"
import type { VerifierKey } from "./verifier-key.ts"

/**
 * `small` and `large` are notes, verbatim. `prefixRoot`: root of the large tree's first entries, as
 * many as the small one has; `path` proves it, and is empty for equal sizes.
 */
export type ForkFile = {
  readonly small: Uint8Array
  readonly large: Uint8Array
  readonly prefixRoot: Uint8Array
  readonly path: readonly Uint8Array[]
}

const type = "chappe/fork/v1"

export function encodeForkFile(fork: ForkFile): Uint8Array {
  formatHashLines(fork.path)
  const file = {
    type,
    small: fromUtf8(fork.small),
    large: fromUtf8(fork.large),
    prefixRoot: toBase64(fork.prefixRoot),
    proof: fork.path.map(toBase64),
  }
  return utf8(`${JSON.stringify(file)}\n`)
}

/** JSON with exactly these members, each of its type. Refused with `proof`. */
export function parseForkFile(bytes: Uint8Array): ForkFile {
  if (bytes.length > limits.forkFileBytesMax)
    throw new ChappeError("proof", `a fork file of ${bytes.length} bytes`)
  return withCode("proof", () => {
    const file = parseJson(fromUtf8(bytes))
    const names = Object.keys(file).toSorted().join(" ")
    if (names !== "large prefixRoot proof small type" || file["type"] !== type)
      throw new ChappeError("proof", "not a fork file")
    const { proof } = file
    if (!Array.isArray(proof)) throw new ChappeError("proof", "a fork file's proof is not a list")
    const prefixRoot = fromBase64(stringIn(file["prefixRoot"]))
    if (prefixRoot.length !== hashBytes)
      throw new ChappeError("proof", "a root does not have 32 bytes")
    return {
      small: utf8(stringIn(file["small"])),
      large: utf8(stringIn(file["large"])),
      prefixRoot,
      path: parseHashLines(proof.map(stringIn)),
    }
  })
}

function parseJson(text: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new ChappeError("proof", "a fork file is not JSON", { cause })
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new ChappeError("proof", "a fork file is not a JSON object")
  return Object.fromEntries(Object.entries(value))
}

function stringIn(value: unknown): string {
  if (typeof value !== "string") throw new ChappeError("proof", "a member is not a string")
  return value
}

/** The two checkpoints that exclude each other. */
export type Fork = { readonly small: OpenedCheckpoint; readonly large: OpenedCheckpoint }

/**
 * Convicts the owner of `key`: both notes carry its valid signature for the same origin, and either
 * the sizes are equal and the roots differ, or the proof shows a prefix of the large tree that is not
 * the small one. Refused with `note` or `proof` when the file convicts nobody.
 */
export function checkFork(
  crypto: { readonly sha256: Sha256; readonly verify: Verify },
  fork: ForkFile,
  key: VerifierKey,
): Fork {
  const small = openCheckpoint(crypto.verify, fork.small, { log: key })
  const large = openCheckpoint(crypto.verify, fork.large, { log: key })
  const prefixed = verifyConsistency({
    sha256: crypto.sha256,
    smallSize: small.size,
    smallRoot: fork.prefixRoot,
    largeSize: large.size,
    largeRoot: large.root,
    path: fork.path,
  })
  if (!prefixed || equalBytes(fork.prefixRoot, small.root))
    throw new ChappeError("proof", "the two checkpoints do not exclude each other")
  return { small, large }
}
