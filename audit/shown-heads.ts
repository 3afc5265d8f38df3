// Heads of logs that other logs' entries show (kinds 4 and 8). Relays log each other's heads, so whoever is
// shown another log than everybody else finds it here. docs/PROTOCOL.md, "Split views".

import { equalBytes } from "../protocol/bytes.ts"
import { type Checkpoint, openCheckpoint, parseCheckpointText } from "../protocol/checkpoint.ts"
import type { Crypto } from "../protocol/crypto-ports.ts"
import type { Directory } from "../protocol/directory.ts"
import { ChappeError } from "../protocol/errors.ts"
import { encodeForkFile } from "../protocol/fork-file.ts"
import { parseNote } from "../protocol/signed-note.ts"
import { type VerifierKey, parseVerifierKey } from "../protocol/verifier-key.ts"
import { LogFork } from "./log-fork.ts"

/** `key`: the one that signed it, as the relay's root has named it. */
export type ShownHead = Checkpoint & { readonly note: Uint8Array; readonly key: VerifierKey }

export class ShownHeads {
  readonly #crypto: Crypto
  readonly #directory: Directory
  /** By origin and size. */
  readonly #heads = new Map<string, Map<number, ShownHead>>()

  constructor(crypto: Crypto, directory: Directory) {
    this.#crypto = crypto
    this.#directory = directory
  }

  /**
   * The head, once its signature holds; undefined for a log that nobody here has named. Refused: `note`;
   * `log-fork` when the same log has signed another root for that size.
   */
  take(note: Uint8Array): ShownHead | undefined {
    const claim = parseCheckpointText(parseNote(note).text)
    const keys = this.#keysOf(claim.origin)
    if (keys.length === 0) return undefined
    const head = this.#opened(note, keys)
    const sizes = this.#heads.get(head.origin) ?? new Map<number, ShownHead>()
    this.#heads.set(head.origin, sizes)
    const rival = sizes.get(head.size)
    if (rival === undefined) sizes.set(head.size, head)
    else if (!equalBytes(rival.root, head.root)) throw forkBetween(rival, head)
    return head
  }

  /** What was shown of one log, smallest first. */
  of(origin: string): readonly ShownHead[] {
    const sizes = this.#heads.get(origin)
    return [...(sizes?.values() ?? [])].toSorted((a, b) => a.size - b.size)
  }

  /** A log may have changed its key: an older head is signed by the older one. */
  #opened(note: Uint8Array, keys: readonly VerifierKey[]): ShownHead {
    let refusal: ChappeError | undefined
    for (const key of keys)
      try {
        const { origin, size, root } = openCheckpoint(this.#crypto.verify, note, { log: key })
        return { origin, size, root, note, key }
      } catch (error) {
        if (!(error instanceof ChappeError)) throw error
        refusal = error
      }
    throw refusal ?? new ChappeError("note")
  }

  #keysOf(origin: string): readonly VerifierKey[] {
    const station = this.#directory.station(origin.slice(0, origin.indexOf("/")))
    return (station?.logs ?? [])
      .filter((log) => log.origin === origin)
      .map(({ logVkey }) => parseVerifierKey(this.#crypto, logVkey))
      .toReversed()
  }
}

function forkBetween(small: ShownHead, large: ShownHead): LogFork {
  const isOneKey = equalBytes(small.key.publicKey, large.key.publicKey)
  const file = { small: small.note, large: large.note, prefixRoot: large.root, path: [] }
  return new LogFork(
    `${small.origin} has signed two roots for size ${small.size}`,
    isOneKey ? encodeForkFile(file) : undefined,
  )
}
