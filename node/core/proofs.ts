// Inclusion proofs of this node's evidence, fetched after each checkpoint and kept as .tlog-proof files.
// Nothing waits for them. docs/PROTOCOL.md, "Promise, proof, witnessed".

import { sha256 } from "../../keys/crypto.ts"
import { fromUtf8 } from "../../protocol/bytes.ts"
import type { OpenedCheckpoint } from "../../protocol/checkpoint.ts"
import { bytes } from "../../protocol/codec.ts"
import { linkLanes } from "../../protocol/frames.ts"
import { limits } from "../../protocol/limits.ts"
import { encodeTlogProof } from "../../protocol/tlog-proof.ts"
import { leafHash, verifyInclusion } from "../../protocol/tree.ts"
import type { Alarms } from "./alarms.ts"
import { ask } from "./ask.ts"
import type { Change, RelayLink } from "./ports.ts"
import { type Records, type Table, numberKey, walk } from "./records.ts"
import { Serials } from "./serial.ts"

export class Proofs {
  readonly #records: Records
  readonly #wanted: Table<Uint8Array>
  readonly #proofs: Table<Uint8Array>
  readonly #alarms: Alarms
  readonly #serials = new Serials()
  /** By origin, leaf hashes by index. */
  readonly #open = new Map<string, Map<number, Uint8Array>>()

  constructor(records: Records, alarms: Alarms) {
    this.#records = records
    this.#wanted = records.table("proof-wanted", bytes(32))
    this.#proofs = records.table("proof", bytes(1, 2 * limits.noteBytesMax))
    this.#alarms = alarms
  }

  async load(): Promise<void> {
    for await (const { key, item } of walk(this.#wanted)) {
      const at = key.lastIndexOf("/")
      this.#remember(key.slice(0, at), Number.parseInt(key.slice(at + 1), 16), item)
    }
  }

  /** To go into the commit that stores the acceptance of this entry. */
  want(origin: string, index: number, entry: Uint8Array): readonly Change[] {
    const leaf = leafHash(sha256, entry)
    this.#remember(origin, index, leaf)
    return [this.#wanted.put(placeOf(origin, index), leaf)]
  }

  async proofOf(origin: string, index: number): Promise<string | undefined> {
    const proof = await this.#proofs.get(placeOf(origin, index))
    return proof === undefined ? undefined : fromUtf8(proof)
  }

  get wantedCount(): number {
    return [...this.#open.values()].reduce((sum, leaves) => sum + leaves.size, 0)
  }

  /** A newer checkpoint of the log has come over this link. */
  async fetch(link: RelayLink, checkpoint: OpenedCheckpoint, note: Uint8Array): Promise<void> {
    const { origin, size } = checkpoint
    await this.#serials.run(origin, async () => {
      const leaves = this.#open.get(origin) ?? new Map<number, Uint8Array>()
      for (;;) {
        const indexes = [...leaves.keys()]
          .filter((index) => index < size)
          .toSorted((a, b) => a - b)
          .slice(0, limits.bundleEntries)
        if (indexes.length === 0) return
        const request = { name: "proofsGet", origin, size, indexes } as const
        const { paths } = await ask(link, linkLanes.routine, request, "proofs")
        const changes: Change[] = []
        for (const [i, index] of indexes.entries()) {
          const leaf = leaves.get(index)
          const path = paths[i]
          leaves.delete(index)
          if (leaf === undefined || path === undefined) continue
          const place = { sha256, index, size, leaf, path, root: checkpoint.root }
          if (!verifyInclusion(place)) {
            // The promise named this index: with this checkpoint it convicts the log.
            await this.#alarms.raise("log-fork", `${origin} entry ${index}`, [note])
            continue
          }
          const proof = encodeTlogProof({ index, path, checkpoint: note })
          changes.push(
            this.#proofs.put(placeOf(origin, index), proof),
            this.#wanted.remove(placeOf(origin, index)),
          )
        }
        await this.#records.commit(changes)
      }
    })
  }

  #remember(origin: string, index: number, leaf: Uint8Array): void {
    const leaves = this.#open.get(origin) ?? new Map<number, Uint8Array>()
    this.#open.set(origin, leaves)
    leaves.set(index, leaf)
  }
}

function placeOf(origin: string, index: number): string {
  return `${origin}/${numberKey(index)}`
}
