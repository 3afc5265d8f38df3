// The relay's keys, as the directory names them. Several relay keys with staggered lives may be held;
// the newest that is valid at network time signs. docs/PROTOCOL.md, "Keys".

import { crypto } from "../../keys/crypto.ts"
import { generateKeyPair } from "../../keys/ed25519.ts"
import type { KeyEntry } from "../../keys/key-file.ts"
import { type SigningKey, signingKey } from "../../keys/signing-key.ts"
import { equalBytes, toHex } from "../../protocol/bytes.ts"
import type { Directory } from "../../protocol/directory.ts"
import { ChappeError } from "../../protocol/errors.ts"
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

export class Keyring {
  readonly #name: string
  readonly #directory: Directory
  readonly #entries: readonly KeyEntry[]
  readonly #relayKeys: readonly SigningKey[]

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

  /** Seed of the link key that the directory accepts longest from `now`. Refused: `key-expired`. */
  linkSeed(now: number): Uint8Array {
    const accepted = this.#directory.linkKeys(this.#name, now).map(toHex)
    const usable = this.#entries.filter(
      ({ use, publicKey }) => use === "link" && accepted.includes(toHex(publicKey)),
    )
    const [entry] = usable
    if (entry === undefined)
      throw new ChappeError("key-expired", `${this.#name} holds no link key that is valid now`)
    return entry.secret
  }

  /** The newest log of that sort whose keys are held; of the traffic logs the one of `year`, if it is named. */
  ownLog(sort: "directory" | "traffic", year: number): OwnLog {
    const logs = (this.#directory.station(this.#name)?.logs ?? []).filter(({ origin }) =>
      origin.startsWith(`${this.#name}/${sort}`),
    )
    const held = logs.flatMap((named) => {
      const log = this.#noteKey("log", named.logVkey)
      const promise = this.#noteKey("promise", named.promiseVkey)
      return log === undefined || promise === undefined
        ? []
        : [{ origin: named.origin, log, promise }]
    })
    const future = (origin: string): boolean => yearOf(origin) > year
    const found = held.findLast(({ origin }) => !future(origin)) ?? held.at(-1)
    if (found === undefined)
      throw new ChappeError("key-expired", `${this.#name} holds no keys of a ${sort} log`)
    return found
  }

  #noteKey(use: "log" | "promise", vkey: string): NoteSigningKey | undefined {
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
