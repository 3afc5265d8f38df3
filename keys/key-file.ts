// Key files: secrets at rest under a passphrase (Argon2id) or a 32-byte secret file.
// docs/PROTOCOL.md, "Secrets at rest".   mp[1, kdf, salt, commit, nonce, ciphertext]
//
// The file names the work that opening it costs, so its bounds are checked before any of it is done;
// the commitment makes a wrong passphrase known before decryption, and one file open under one key only.

import { utf8 } from "../protocol/bytes.ts"
import {
  type Codec,
  bytes,
  decode,
  encode,
  list,
  literal,
  oneOf,
  record,
  uint,
} from "../protocol/codec.ts"
import { ChappeError } from "../protocol/errors.ts"
import { keyUses } from "../protocol/key-id.ts"
import { argon2id } from "./argon2-worker.ts"
import { constantTimeEqual, hkdf, hkdfExpand } from "./crypto.ts"
import type { Random } from "./hedge.ts"
import { keyLimits } from "./limits.ts"
import { aeadTagBytes, kemPublicKeyBytes, openXChaCha, sealXChaCha } from "./sodium.ts"

/** What a secret is for: a key's use, a relay's log and promise keys, a node's symmetric keys. */
export const secretUses = [...keyUses, "log", "promise", "data", "hedge", "backup"] as const
export type SecretUse = (typeof secretUses)[number]

/** One secret. `publicKey` is empty for symmetric keys; `secret` is a seed of 32 bytes everywhere in suite 1. */
export type KeyEntry = {
  readonly use: SecretUse
  readonly publicKey: Uint8Array
  readonly secret: Uint8Array
}

/** What opens a key file. A passphrase is taken in Unicode NFC; a secret has 32 bytes. */
export type Unlock =
  | { readonly kind: "passphrase"; readonly passphrase: string }
  | { readonly kind: "secret"; readonly secret: Uint8Array }

/** What a passphrase costs whoever guesses it. */
export type Argon2Cost = { readonly memoryKib: number; readonly passes: number }

/** 0.6 s of CPU. */
export const argon2Default: Argon2Cost = { memoryKib: 262_144, passes: 3 }

type Kdf =
  | {
      readonly name: "argon2id"
      readonly memoryKib: number
      readonly passes: number
      readonly lanes: number
    }
  | { readonly name: "key" }

const argon2Kdf = record({
  name: literal("argon2id"),
  memoryKib: uint(0xffff_ffff),
  passes: uint(0xffff_ffff),
  lanes: uint(0xffff_ffff),
})
const keyKdf = record({ name: literal("key") })
const kdfCodec: Codec<Kdf> = {
  toValue: (kdf) => (kdf.name === "key" ? keyKdf.toValue(kdf) : argon2Kdf.toValue(kdf)),
  fromValue: (value, field) =>
    Array.isArray(value) && value.length === 1
      ? keyKdf.fromValue(value, field)
      : argon2Kdf.fromValue(value, field),
}

const lock = { version: literal(1), kdf: kdfCodec, salt: bytes(16), commit: bytes(32) } as const
const lockCodec = record(lock)
const keyFileCodec = record({
  ...lock,
  nonce: bytes(24),
  ciphertext: bytes(aeadTagBytes, keyLimits.keyFileBytesMax),
})
const entriesCodec = list(
  record({
    use: oneOf(secretUses),
    publicKey: bytes(0, kemPublicKeyBytes),
    secret: bytes(1, keyLimits.secretBytesMax),
  }),
  0,
  keyLimits.keyFileEntriesMax,
)

/** The bytes of a key file; to be stored with mode 0600. */
export async function sealKeyFile(input: {
  readonly entries: readonly KeyEntry[]
  readonly unlock: Unlock
  readonly random: Random
  readonly cost?: Argon2Cost
}): Promise<Uint8Array> {
  const kdf: Kdf =
    input.unlock.kind === "secret"
      ? { name: "key" }
      : { name: "argon2id", ...(input.cost ?? argon2Default), lanes: 1 }
  if (!isSaneWork(kdf)) throw new RangeError("argon2 cost out of bounds")
  const salt = input.random(16)
  const nonce = input.random(24)
  const { key, commit } = await derive(kdf, salt, input.unlock)
  const aad = encode(lockCodec, { version: 1, kdf, salt, commit })
  const ciphertext = sealXChaCha({ key, nonce, aad }, encode(entriesCodec, input.entries))
  return encode(keyFileCodec, { version: 1, kdf, salt, commit, nonce, ciphertext })
}

/**
 * The secrets. Refused: `key-file` for malformed bytes or absurd work, before any work; `passphrase` for a wrong
 * one and for a changed salt, kdf or commitment; `tampered` for a changed ciphertext or nonce.
 */
export async function openKeyFile(file: Uint8Array, unlock: Unlock): Promise<readonly KeyEntry[]> {
  const { kdf, salt, commit, nonce, ciphertext } = parse(() =>
    decode(keyFileCodec, file, keyLimits.keyFileBytesMax),
  )
  if (!isSaneWork(kdf)) throw new ChappeError("key-file", "the key file asks for absurd work")
  const derived = await derive(kdf, salt, unlock)
  if (!constantTimeEqual(derived.commit, commit)) throw new ChappeError("passphrase")
  const aad = encode(lockCodec, { version: 1, kdf, salt, commit })
  const plaintext = openXChaCha({ key: derived.key, nonce, aad }, ciphertext)
  if (plaintext === undefined) throw new ChappeError("tampered", "the key file does not open")
  return parse(() => decode(entriesCodec, plaintext, keyLimits.keyFileBytesMax))
}

function parse<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (!(cause instanceof ChappeError)) throw cause
    throw new ChappeError("key-file", "the key file is malformed", { cause })
  }
}

function isSaneWork(kdf: Kdf): boolean {
  if (kdf.name === "key") return true
  return (
    kdf.memoryKib >= keyLimits.argon2KibMin &&
    kdf.memoryKib <= keyLimits.argon2KibMax &&
    kdf.passes >= 1 &&
    kdf.passes <= keyLimits.argon2PassesMax &&
    kdf.lanes === 1
  )
}

async function derive(
  kdf: Kdf,
  salt: Uint8Array,
  unlock: Unlock,
): Promise<{ readonly key: Uint8Array; readonly commit: Uint8Array }> {
  const root = await rootKey(kdf, salt, unlock)
  const keys = hkdfExpand("sha256", root, utf8("chappe/keyfile/v1/keys"), 64)
  return { key: keys.slice(0, 32), commit: keys.slice(32) }
}

async function rootKey(kdf: Kdf, salt: Uint8Array, unlock: Unlock): Promise<Uint8Array> {
  if (unlock.kind === "secret" && kdf.name === "key") {
    if (unlock.secret.length !== 32)
      throw new ChappeError("passphrase", `a secret of ${unlock.secret.length} bytes, not 32`)
    return hkdf({ ikm: unlock.secret, salt, info: utf8("chappe/keyfile/v1"), length: 32 })
  }
  if (unlock.kind === "passphrase" && kdf.name === "argon2id") {
    const passphrase = utf8(unlock.passphrase.normalize("NFC"))
    return argon2id({ passphrase, salt, memoryKib: kdf.memoryKib, passes: kdf.passes })
  }
  const wanted = kdf.name === "key" ? "a secret file" : "a passphrase"
  throw new ChappeError("passphrase", `this key file wants ${wanted}`)
}
