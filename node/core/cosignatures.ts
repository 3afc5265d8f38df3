// What relays show of the witness quorum's word: network time is made of it. docs/PROTOCOL.md, "Time".

import { crypto } from "../../keys/crypto.ts"
import { type OpenedCheckpoint, openCheckpoint } from "../../protocol/checkpoint.ts"
import type { Directory } from "../../protocol/directory.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { parseVerifierKey } from "../../protocol/verifier-key.ts"
import { type WitnessPolicy, witnessName } from "../../protocol/witness-policy.ts"
import type { NetworkClock } from "./network-clock.ts"

export class Cosignatures {
  readonly #directory: Directory
  readonly #policy: WitnessPolicy
  readonly #clock: NetworkClock

  constructor(options: {
    readonly directory: Directory
    readonly policy: WitnessPolicy
    readonly clock: NetworkClock
  }) {
    this.#directory = options.directory
    this.#policy = options.policy
    this.#clock = options.clock
  }

  /** A relay shows a cosigned checkpoint. Refused: `note`, `unknown-key`. */
  take(origin: string, checkpoint: Uint8Array): void {
    const { size, cosignatures } = this.#open(origin, checkpoint)
    for (const { key, time } of cosignatures)
      this.#clock.cosigned(witnessName(key), { origin, size, time })
  }

  #open(origin: string, checkpoint: Uint8Array): OpenedCheckpoint {
    const named = this.#directory.log(origin)
    if (named === undefined) throw new ChappeError("unknown-key", `no relay has named ${origin}`)
    const keys = { log: parseVerifierKey(crypto, named.logVkey), witnesses: this.#policy.keys }
    return openCheckpoint(crypto.verify, checkpoint, keys)
  }
}
