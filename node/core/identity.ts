// Who this node is: its name and the secrets that it holds, each behind a port that signs.

import type { SigningKey } from "../../keys/signing-key.ts"
import type { Directory } from "../../protocol/directory.ts"
import { ChappeError } from "../../protocol/errors.ts"
import type { KeyEntry } from "../../keys/key-file.ts"
import { limits } from "../../protocol/limits.ts"
import type { StationKey } from "../../protocol/station.ts"

export type WitnessKey = {
  readonly publicKey: Uint8Array
  readonly sign: (message: Uint8Array) => Uint8Array
}

/** Keys may be added while the process runs: the next incarnation, the next link key. */
export interface Identity {
  readonly name: string
  /** Node keys, the newest last; a standby key joins when it is activated. */
  readonly nodeKeys: readonly SigningKey[]
  /** Raw public keys of the link keys held, the newest last. */
  readonly linkKeys: readonly Uint8Array[]
  readonly witnessKeys: readonly WitnessKey[]
  readonly hedgeSecret: Uint8Array
}

/** The same, without keys that a relay has seen at work elsewhere: they sign nothing here any more. */
export function withoutCloned(
  identity: Identity,
  isCloned: (keyId: Uint8Array) => boolean,
): Identity {
  return {
    name: identity.name,
    get nodeKeys() {
      return identity.nodeKeys.filter(({ keyId }) => !isCloned(keyId))
    },
    get linkKeys() {
      return identity.linkKeys
    },
    get witnessKeys() {
      return identity.witnessKeys
    },
    get hedgeSecret() {
      return identity.hedgeSecret
    },
  }
}

export type OwnKey = { readonly signing: SigningKey; readonly station: StationKey }

/** The newest node key that is valid at `now`. */
export function signingKeyAt(
  identity: Identity,
  directory: Directory,
  now: number,
): OwnKey | undefined {
  if (!directory.hasRoster) return undefined
  for (const signing of identity.nodeKeys.toReversed()) {
    const found = directory.stationKeyAt(identity.name, signing.keyId, "now", now)
    if (found.kind === "valid") return { signing, station: found.key }
  }
  return undefined
}

/** Refused: `key-expired`. */
export function requireSigningKey(identity: Identity, directory: Directory, now: number): OwnKey {
  const key = signingKeyAt(identity, directory, now)
  if (key === undefined)
    throw new ChappeError("key-expired", `${identity.name} holds no node key that is valid now`)
  return key
}

/** The key that may still sign envelopes: they stop a while before its end, for mail in transit. */
export function sealingKeyAt(
  identity: Identity,
  directory: Directory,
  now: number,
): OwnKey | undefined {
  const key = signingKeyAt(identity, directory, now)
  return key !== undefined && now <= key.station.notAfter - limits.nodeKeyRestSeconds
    ? key
    : undefined
}

/** The node's key file, and the sealed one of its next incarnation. */
export interface KeyVault {
  readonly identity: Identity
  /** The standby node key, if its file is on this machine. */
  standby(): Promise<KeyEntry | undefined>
  /** Adds secrets to the node's key file. They are on disk when it resolves, and part of the identity. */
  add(entries: readonly KeyEntry[]): Promise<void>
}
