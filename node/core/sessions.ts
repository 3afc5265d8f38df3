// Officers' sessions: who opened a key file may act as that officer until it is idle. The key lives in
// memory for that time only. What the key may do is read from the directory at each act.

import { type KeyEntry, openKeyFile } from "../../keys/key-file.ts"
import { sha256 } from "../../keys/crypto.ts"
import { type SigningKey, signingKey } from "../../keys/signing-key.ts"
import { equalBytes, fromUtf8, toHex, utf8 } from "../../protocol/bytes.ts"
import { type Role, roleNames, roles } from "../../protocol/capability.ts"
import type { Directory } from "../../protocol/directory.ts"
import { ChappeError } from "../../protocol/errors.ts"
import type { OfficerKey } from "../../protocol/station.ts"
import { nodeLimits } from "../limits.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { OfficerKeyFiles, Random } from "./ports.ts"
import { Serial } from "./serial.ts"

export type Session = {
  readonly officer: OfficerKey
  readonly signing: SigningKey
}

type Open = { readonly name: string; readonly signing: SigningKey; usedAtMs: number }
type Failures = { count: number; untilMs: number }

export class Sessions {
  readonly #me: string
  readonly #directory: Directory
  readonly #files: OfficerKeyFiles
  readonly #clock: NetworkClock
  readonly #random: Random
  /** By the hash of the token, so that memory holds nothing that signs in. */
  readonly #open = new Map<string, Open>()
  readonly #failures = new Map<string, Failures>()
  readonly #serial = new Serial()

  constructor(options: {
    readonly me: string
    readonly directory: Directory
    readonly files: OfficerKeyFiles
    readonly clock: NetworkClock
    readonly random: Random
  }) {
    this.#me = options.me
    this.#directory = options.directory
    this.#files = options.files
    this.#clock = options.clock
    this.#random = options.random
  }

  /**
   * `name`: the part after the slash, or the whole officer id. `secret`: 32 bytes or a passphrase. Refused:
   * `unknown-officer`, `passphrase`, `rate-limit`, `officer-revoked`, `key-expired`, `key-file`.
   */
  async open(
    name: string,
    secret: Uint8Array,
  ): Promise<{ readonly token: string; readonly session: Session }> {
    const short = name.startsWith(`${this.#me}/`) ? name.slice(this.#me.length + 1) : name
    const file = /^[a-z0-9.-]{1,32}$/u.test(short) ? await this.#files.read(short) : undefined
    if (file === undefined)
      throw new ChappeError("unknown-officer", "no officer has this name here")
    // One at a time: guessing costs its full price.
    return await this.#serial.run(async () => {
      this.#requirePatience(short)
      const signing = await this.#unlock(short, file, secret)
      const officer = this.#judge(`${this.#me}/${short}`, signing)
      const token = toHex(this.#random(32))
      this.#makeRoom()
      const usedAtMs = this.#clock.monotonicMs()
      this.#open.set(tokenName(token), { name: officer.officer, signing, usedAtMs })
      return { token, session: { officer, signing } }
    })
  }

  /** Refused: `unauthenticated`, `officer-revoked`, `key-expired`. */
  require(token: string): Session {
    const name = tokenName(token)
    const open = this.#open.get(name)
    const now = this.#clock.monotonicMs()
    if (open === undefined || now - open.usedAtMs > nodeLimits.sessionIdleMs) {
      this.#open.delete(name)
      throw new ChappeError("unauthenticated")
    }
    open.usedAtMs = now
    // Insertion order is the order of use, so that the idlest goes first.
    this.#open.delete(name)
    this.#open.set(name, open)
    return { officer: this.#judge(open.name, open.signing), signing: open.signing }
  }

  /** What the officer may do now; for what lasts longer than one request. Refused: as for `require`. */
  again({ officer, signing }: Session): Session {
    return { officer: this.#judge(officer.officer, signing), signing }
  }

  close(token: string): void {
    this.#open.delete(tokenName(token))
  }

  #requirePatience(name: string): void {
    const failures = this.#failures.get(name)
    if (failures !== undefined && failures.untilMs > this.#clock.monotonicMs())
      throw new ChappeError("rate-limit", "too many wrong passphrases")
  }

  async #unlock(name: string, file: Uint8Array, secret: Uint8Array): Promise<SigningKey> {
    try {
      const entries = await openEither(file, secret)
      this.#failures.delete(name)
      const entry = entries.find(({ use }) => use === "officer")
      if (entry === undefined) throw new ChappeError("key-file", "the file holds no officer's key")
      return signingKey("officer", entry.secret)
    } catch (cause) {
      if (cause instanceof ChappeError && cause.code === "passphrase") this.#failed(name)
      throw cause
    }
  }

  #failed(name: string): void {
    const failures = this.#failures.get(name) ?? { count: 0, untilMs: 0 }
    this.#failures.set(name, failures)
    failures.count += 1
    if (failures.count < nodeLimits.wrongSecretsMax) return
    failures.count = 0
    failures.untilMs = this.#clock.monotonicMs() + nodeLimits.wrongSecretPauseMs
  }

  /** The officer's key as the directory knows it now. */
  #judge(officer: string, signing: SigningKey): OfficerKey {
    const known = this.#directory
      .station(this.#me)
      ?.officers.find((one) => one.officer === officer && equalBytes(one.keyId, signing.keyId))
    if (known === undefined)
      throw new ChappeError("unknown-officer", `${officer} is not enrolled with this key`)
    if (this.#directory.isRevokedAnywhere(this.#me, signing.keyId))
      throw new ChappeError("officer-revoked", `the key of ${officer} was revoked`)
    const now = this.#clock.now()
    if (now < known.notBefore || known.notAfter < now)
      throw new ChappeError("key-expired", `the key of ${officer} is not valid now`)
    return known
  }

  #makeRoom(): void {
    if (this.#open.size < nodeLimits.sessionsMax) return
    const [idlest] = this.#open.keys()
    if (idlest !== undefined) this.#open.delete(idlest)
  }
}

function tokenName(token: string): string {
  return toHex(sha256(utf8(token)))
}

/** The file says which of the two it wants, and only then does the work. */
async function openEither(file: Uint8Array, secret: Uint8Array): Promise<readonly KeyEntry[]> {
  try {
    return await openKeyFile(file, { kind: "secret", secret })
  } catch (cause) {
    if (!(cause instanceof ChappeError) || cause.code !== "passphrase") throw cause
    const passphrase = passphraseOf(secret)
    if (passphrase === undefined) throw cause
    return await openKeyFile(file, { kind: "passphrase", passphrase })
  }
}

function passphraseOf(secret: Uint8Array): string | undefined {
  try {
    return fromUtf8(secret)
  } catch (cause) {
    if (cause instanceof ChappeError) return undefined
    throw cause
  }
}

/** Refused: `capability`, naming the one that is missing. */
export function requireCapability({ officer }: Session, capability: string): void {
  if (!officer.capabilities.includes(capability))
    throw new ChappeError("capability", `${officer.officer} does not hold ${capability}`)
}

/** The roles whose capabilities the officer holds, all of them. */
export function rolesOf({ capabilities }: OfficerKey): readonly Role[] {
  return roleNames.filter((role) => roles[role].every((one) => capabilities.includes(one)))
}
