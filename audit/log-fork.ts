// Whether the log that is shown continues a head that was seen before. If not, the two signed heads and a
// consistency proof convict the log: the fork file. docs/PROTOCOL.md, "Auditing" and "Fork files".

import { equalBytes } from "../protocol/bytes.ts"
import type { Checkpoint } from "../protocol/checkpoint.ts"
import type { Crypto } from "../protocol/crypto-ports.ts"
import { ChappeError } from "../protocol/errors.ts"
import { type ForkFile, checkFork, encodeForkFile } from "../protocol/fork-file.ts"
import { type ReadTile, consistencyPathFromTiles, rootFromTiles } from "../protocol/tile-proofs.ts"
import { encodeTile, tilePath } from "../protocol/tiles.ts"
import { verifyConsistency } from "../protocol/tree.ts"
import type { VerifierKey } from "../protocol/verifier-key.ts"
import { auditLimits } from "./limits.ts"
import type { LogSource } from "./log-source.ts"
import { readItems } from "./log-tiles.ts"

/** Two histories. `file`: the fork file, when both heads are signed by one key. */
export class LogFork extends ChappeError {
  readonly file: Uint8Array | undefined

  constructor(message: string, file: Uint8Array | undefined) {
    super("log-fork", message)
    this.name = "LogFork"
    this.file = file
  }
}

/** A head with the note that signs it, verbatim. */
export type SignedHead = Pick<Checkpoint, "size" | "root"> & { readonly note: Uint8Array }

/** Tiles of a source, the last ones remembered: neighbouring questions read the same. */
export function tileReader(source: LogSource): ReadTile {
  const known = new Map<string, Promise<Uint8Array>>()
  return (tile) => {
    const name = tilePath(tile)
    const before = known.get(name)
    if (before !== undefined) return before
    if (known.size >= auditLimits.tilesRemembered) known.clear()
    const bytes = readItems(source, tile).then(encodeTile)
    known.set(name, bytes)
    return bytes
  }
}

/**
 * Refused: `rollback` when less is shown than `before` had; `log-fork` (a `LogFork`) when its first
 * entries are others; `log-file` when the tiles do not lead to the root that is shown.
 */
export async function demandContinued(
  crypto: Crypto,
  shown: SignedHead & { readonly readTile: ReadTile },
  before: SignedHead & { readonly key: VerifierKey },
): Promise<void> {
  const { name } = before.key
  if (shown.size < before.size)
    throw new ChappeError(
      "rollback",
      `${name} had ${before.size} entries once and shows ${shown.size}`,
    )
  if (shown.size === before.size) {
    if (equalBytes(shown.root, before.root)) return
    throw fork(crypto, shown, before, { prefixRoot: shown.root, path: [] })
  }
  const tree = { sha256: crypto.sha256, size: shown.size, readTile: shown.readTile }
  const prefixRoot = await rootFromTiles(tree, before.size)
  if (equalBytes(prefixRoot, before.root)) return
  const path = before.size === 0 ? [] : await consistencyPathFromTiles(tree, before.size)
  throw fork(crypto, shown, before, { prefixRoot, path })
}

function fork(
  crypto: Crypto,
  shown: SignedHead,
  before: SignedHead & { readonly key: VerifierKey },
  proof: Pick<ForkFile, "prefixRoot" | "path">,
): ChappeError {
  const { name } = before.key
  const isPrefix = verifyConsistency({
    sha256: crypto.sha256,
    smallSize: before.size,
    smallRoot: proof.prefixRoot,
    largeSize: shown.size,
    largeRoot: shown.root,
    path: proof.path,
  })
  if (!isPrefix)
    return new ChappeError(
      "log-file",
      `the tiles of ${name} do not lead to the root that is signed`,
    )
  const file = { small: before.note, large: shown.note, ...proof }
  return new LogFork(
    `the first ${before.size} entries of ${name} are not those seen before`,
    convicts(crypto, file, before.key) ? encodeForkFile(file) : undefined,
  )
}

/** Not when the log has changed its key in between: then two keys have each signed one history. */
function convicts(crypto: Crypto, file: ForkFile, key: VerifierKey): boolean {
  try {
    checkFork(crypto, file, key)
    return true
  } catch (error) {
    if (error instanceof ChappeError) return false
    throw error
  }
}
