// Writes one chain of statements: each names the one before. docs/PROTOCOL.md, "Chains".

import { emptyBytes } from "../protocol/bytes.ts"
import { type ChainBody, type ChainOp, zeroHash } from "../protocol/chain.ts"
import type { DirectoryHead } from "../protocol/envelope.ts"
import { sha256 } from "./crypto.ts"
import type { SigningKey } from "./signing-key.ts"
import { type SignedStatement, signChain } from "./statements.ts"

/** Whose chain, and where it stands: `seq` of its last statement (−1 before the first) and that one's id. */
export type ChainEnd = {
  readonly name: string
  readonly seq: number
  readonly head: Uint8Array
}

/** What somebody names as directory head who has not seen a log yet. */
export const emptyDirectoryHead: DirectoryHead = { size: 0, root: sha256(emptyBytes) }

/** The end of a root chain that has no statement yet. */
export function newRootChain(name: string): ChainEnd {
  return { name, seq: -1, head: zeroHash }
}

export class ChainWriter {
  readonly #name: string
  readonly #directoryHead: DirectoryHead
  #seq: number
  #head: Uint8Array

  constructor(end: ChainEnd, directoryHead: DirectoryHead = emptyDirectoryHead) {
    this.#name = end.name
    this.#seq = end.seq
    this.#head = end.head
    this.#directoryHead = directoryHead
  }

  /** `at`: seconds since 1970. `keys`: of the use that the operation asks for. */
  append<Op extends ChainOp>(
    op: Op,
    body: ChainBody<Op>,
    signers: { readonly at: number; readonly keys: readonly SigningKey[] },
  ): SignedStatement {
    const place = { name: this.#name, seq: this.#seq + 1, prev: this.#head }
    const draft = { ...place, op, at: signers.at, head: this.#directoryHead, body }
    const signed = signChain(draft, signers.keys)
    this.#seq += 1
    this.#head = signed.id
    return signed
  }
}
