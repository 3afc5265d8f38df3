// Tombstones that this node gives for messages of its own that will not come: expired, refused for good,
// or no longer kept. docs/PROTOCOL.md, "Tombstones".

import { signBatch } from "../../keys/batch-signer.ts"
import { sha256 } from "../../keys/crypto.ts"
import { batchBlind } from "../../keys/seal-envelope.ts"
import { encodeAuth } from "../../protocol/batch.ts"
import type { Directory } from "../../protocol/directory.ts"
import { decodeLeaf } from "../../protocol/envelope.ts"
import { encodeReceipt, receiptIdOf, receiptSteps } from "../../protocol/receipt.ts"
import { encodeTombstone } from "../../protocol/tombstone.ts"
import { inclusionPaths, leafHash } from "../../protocol/tree.ts"
import { type Identity, requireSigningKey } from "./identity.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { SealedHead } from "./outbox-records.ts"
import type { Random } from "./ports.ts"

/** Why a message will not come. */
export type Fate = {
  readonly step: "expired" | "rejected" | "erased"
  readonly reason: string | null
}

export class TombstoneMaker {
  readonly #identity: Identity
  readonly #directory: Directory
  readonly #clock: NetworkClock
  readonly #random: Random

  constructor(options: {
    readonly identity: Identity
    readonly directory: Directory
    readonly clock: NetworkClock
    readonly random: Random
  }) {
    this.#identity = options.identity
    this.#directory = options.directory
    this.#clock = options.clock
    this.#random = options.random
  }

  /** For one recipient's share of the message; undefined when it has none. Refused: `key-expired`. */
  make(
    messageId: Uint8Array,
    { header, auth, leaves }: SealedHead,
    member: string,
    fate: Fate,
  ): Uint8Array | undefined {
    const index = leaves.findIndex((leaf) => decodeLeaf(leaf).node === member)
    const leaf = leaves[index]
    const paths = inclusionPaths(
      sha256,
      leaves.map((one) => leafHash(sha256, one)),
    )
    const path = paths[index]
    if (leaf === undefined || path === undefined) return undefined
    const { receipt, receiptAuth } = this.#sign(messageId, member, fate)
    return encodeTombstone({ header, auth, leaf, path, receipt, receiptAuth })
  }

  #sign(
    messageId: Uint8Array,
    recipientNode: string,
    { step, reason }: Fate,
  ): { readonly receipt: Uint8Array; readonly receiptAuth: Uint8Array } {
    const at = this.#clock.now()
    const { signing } = requireSigningKey(this.#identity, this.#directory, at)
    const { name, hedgeSecret } = this.#identity
    const receipt = encodeReceipt({
      version: 1,
      messageId,
      recipientNode,
      step: receiptSteps[step],
      reason,
      at,
      keyId: signing.keyId,
      by: name,
      ref: null,
    })
    const id = receiptIdOf(sha256, receipt)
    const blind = batchBlind(hedgeSecret, this.#random, id)
    const [auth] = signBatch(name, signing, [{ id, blind }]).auths
    if (auth === undefined) throw new RangeError("a batch of one has one auth")
    return { receipt, receiptAuth: encodeAuth(auth) }
  }
}
