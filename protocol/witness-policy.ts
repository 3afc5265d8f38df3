// The witness policy that the newest roster names, read once for each file. docs/PROTOCOL.md, "Policies".

import { toHex } from "./bytes.ts"
import type { Directory } from "./directory.ts"
import { ChappeError } from "./errors.ts"
import { type Policy, parsePolicy } from "./tlog-policy.ts"
import { type VerifierKey, noteKeyTypes } from "./verifier-key.ts"

export class WitnessPolicy {
  readonly #directory: Directory
  #file: Uint8Array | undefined
  #policy: Policy | undefined
  #keys: readonly VerifierKey[] = []
  #names: readonly string[] = []

  constructor(directory: Directory) {
    this.#directory = directory
  }

  /** Undefined while no quorum is asked for, the file is not here, or it is none. */
  get current(): Policy | undefined {
    const { hasRoster } = this.#directory
    const file = hasRoster ? this.#directory.policyFile("witnessPolicy") : undefined
    if (file !== this.#file) {
      this.#file = file
      this.#read(file)
    }
    return this.#policy
  }

  /** Keys of the witnesses whose lines this software judges; none without a quorum. */
  get keys(): readonly VerifierKey[] {
    return this.current === undefined ? [] : this.#keys
  }

  /** The same keys by `witnessName`. */
  get names(): readonly string[] {
    return this.current === undefined ? [] : this.#names
  }

  #read(file: Uint8Array | undefined): void {
    this.#policy = file === undefined ? undefined : parsed(this.#directory, file)
    const keys = (this.#policy?.witnesses ?? []).map(({ key }) => key)
    this.#keys = keys.filter(({ type }) => type === noteKeyTypes.cosignature)
    this.#names = this.#keys.map(witnessName)
  }
}

/** What a witness is called where times are compared: its public key. */
export function witnessName({ publicKey }: VerifierKey): string {
  return toHex(publicKey)
}

function parsed(directory: Directory, file: Uint8Array): Policy | undefined {
  try {
    const policy = parsePolicy(directory.crypto, file)
    return policy.quorum === undefined ? undefined : policy
  } catch (cause) {
    // Custodians signed the hash of a file that is none: then there is no quorum to hear.
    if (cause instanceof ChappeError) return undefined
    throw cause
  }
}
