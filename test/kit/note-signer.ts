// Logs, promise keys and witnesses for tests: note keys made from a seed byte.

import { sha256 } from "../../keys/crypto.ts"
import { generateKeyPair } from "../../keys/ed25519.ts"
import { type Checkpoint, formatCheckpointText } from "../../protocol/checkpoint.ts"
import { cosignNote, formatNote, signNote } from "../../protocol/signed-note.ts"
import { type VerifierKey, noteKeyTypes, verifierKey } from "../../protocol/verifier-key.ts"

export type NoteSigner = {
  readonly key: VerifierKey
  readonly sign: (message: Uint8Array) => Uint8Array
}

export function noteSigner(name: string, seed: number | Uint8Array, type = 1): NoteSigner {
  const pair = generateKeyPair(typeof seed === "number" ? new Uint8Array(32).fill(seed) : seed)
  return { key: verifierKey(sha256, name, type, pair.publicKey), sign: pair.sign }
}

export function witnessSigner(name: string, seed: number): NoteSigner {
  return noteSigner(name, seed, noteKeyTypes.cosignature)
}

/** A checkpoint note, signed by the log and cosigned at `time`. */
export function signedCheckpoint(
  log: NoteSigner,
  checkpoint: Omit<Checkpoint, "origin">,
  witnesses: readonly NoteSigner[] = [],
  time = 1_800_000_000,
): Uint8Array {
  const text = formatCheckpointText({ ...checkpoint, origin: log.key.name })
  const signatures = [
    signNote(log.key, text, log.sign),
    ...witnesses.map(({ key, sign }) => cosignNote(key, text, time, sign)),
  ]
  return formatNote({ text, signatures })
}
