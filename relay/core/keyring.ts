// The relay's keys, as the directory names them. Several relay keys with staggered lives may be held;
// the newest that is valid at network time signs. docs/PROTOCOL.md, "Keys".

import { crypto } from "../../keys/crypto.ts"
import { generateKeyPair } from "../../keys/ed25519.ts"
import type { KeyEntry } from "../../keys/key-file.ts"
import { type SigningKey, signingKey } from "../../keys/signing-key.ts"
import { equalBytes } from "../../protocol/bytes.ts"
import type { Directory } from "../../protocol/directory.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { limits } from "../../protocol/limits.ts"
import { type VerifierKey, parseVerifierKey } from "../../protocol/verifier-key.ts"

export type NoteSigningKey = {
  readonly key: VerifierKey
  readonly sign: (message: Uint8Array) => Uint8Array
}

/** A log that this relay writes, with its two keys. */
export type OwnLog = {
  readonly origin: string
  readonly log: NoteSigningKey
  readonly promise: NoteSigningKey
}

export type LogSort = "directory" | "traffic"

export class Keyring {
  readonly #name: string
  readonly #directory: Directory
  readonly #entries: readonly KeyEntry[]
  readonly #relayKeys: readonly SigningKey[]
  readonly #noteKeys = new Map<string, NoteSigningKey | undefined>()

  constructor(name: string, directory: Directory, entries: readonly KeyEntry[]) {
    this.#name = name
    this.#directory = directory
    this.#entries = entries
    this.#relayKeys = entries
      .filter(({ use }) => use === "relay")
      .map(({ secret }) => signingKey("relay", secret))
  }

  /** The newest relay key that is valid at `now`. Refused: `key-expired`. */
  relayKey(now: number): SigningKey {
    const named = this.#directory.station(this.#name)?.keys ?? []
    const usable = this.#relayKeys
      .map((key) => ({ key, named: named.find(({ keyId }) => equalBytes(keyId, key.keyId)) }))
      .filter(
        ({ key }) =>
          this.#directory.stationKeyAt(this.#name, key.keyId, "now", now).kind === "valid",
      )
      .toSorted((a, b) => (a.named?.notBefore ?? 0) - (b.named?.notBefore ?? 0))
      .at(-1)
    if (usable === undefined)
      throw new ChappeError("key-expired", `${this.#name} holds no relay key that is valid now`)
    return usable.key
  }

  /** Seed of the link key to be shown now: of those that last another week the one that ends first. Refused: `key-expired`. */
  linkSeed(now: number): Uint8Array {
    const seedOf = (key: Uint8Array): Uint8Array | undefined =>
      this.#entries.find(({ use, publicKey }) => use === "link" && equalBytes(publicKey, key))
        ?.secret
    const accepted = this.#directory.linkKeys(this.#name, now)
    const named = (this.#directory.station(this.#name)?.keys ?? [])
      .flatMap(({ links }) => links)
      .filter(({ key }) => accepted.some((one) => equalBytes(one, key)))
      .toSorted((a, b) => a.notAfter - b.notAfter)
      .flatMap(({ key, notAfter }) => {
        const seed = seedOf(key)
        return seed === undefined ? [] : [{ seed, notAfter }]
      })
    const week = 7 * limits.secondsPerDay
    const chosen = named.find(({ notAfter }) => notAfter > now + week) ?? named.at(-1)
    if (chosen === undefined)
      throw new ChappeError("key-expired", `${this.#name} holds no link key that is valid now`)
    return chosen.seed
  }

  /** The newest log of that sort whose keys are held; of the traffic logs none of a year after `year`. */
  ownLog(sort: LogSort, year: number): OwnLog {
    const held = this.#held(sort)
    const found = held.findLast(({ origin }) => yearOf(origin) <= year) ?? held.at(-1)
    if (found === undefined)
      throw new ChappeError("key-expired", `${this.#name} holds no keys of a ${sort} log`)
    return found
  }

  /** The log of that sort that was named before the one with this origin. */
  logBefore(sort: LogSort, origin: string): OwnLog | undefined {
    const held = this.#held(sort)
    const at = held.findIndex((log) => log.origin === origin)
    return at > 0 ? held[at - 1] : undefined
  }

  #held(sort: LogSort): readonly OwnLog[] {
    const logs = this.#directory.station(this.#name)?.logs ?? []
    return logs
      .filter(({ origin }) => origin.startsWith(`${this.#name}/${sort}`))
      .flatMap((named) => {
        const log = this.#noteKey("log", named.logVkey)
        const promise = this.#noteKey("promise", named.promiseVkey)
        return log === undefined || promise === undefined
          ? []
          : [{ origin: named.origin, log, promise }]
      })
  }

  #noteKey(use: "log" | "promise", vkey: string): NoteSigningKey | undefined {
    const name = `${use} ${vkey}`
    // Asked several times a second, and a key's admission is point arithmetic.
    if (!this.#noteKeys.has(name)) this.#noteKeys.set(name, this.#heldNoteKey(use, vkey))
    return this.#noteKeys.get(name)
  }

  #heldNoteKey(use: "log" | "promise", vkey: string): NoteSigningKey | undefined {
    const key = parseVerifierKey(crypto, vkey)
    const entry = this.#entries.find(
      (candidate) => candidate.use === use && equalBytes(candidate.publicKey, key.publicKey),
    )
    if (entry === undefined) return undefined
    const pair = generateKeyPair(entry.secret)
    return { key, sign: (message) => pair.sign(message) }
  }
}

/** The year that a traffic origin names, `hub1/traffic/2027.2`; 0 for others. */
function yearOf(origin: string): number {
  const year = /\/traffic\/(?<year>[0-9]{4})/u.exec(origin)?.groups?.["year"]
  return year === undefined ? 0 : Number(year)
}
