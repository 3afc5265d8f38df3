// Keys that end: a new link key before the old one ends, and the standby key as the next incarnation when
// no node key held may seal any more. docs/PROTOCOL.md, "Incarnations".

import type { KeyEntry } from "../../keys/key-file.ts"
import { type SigningKey, signingKey } from "../../keys/signing-key.ts"
import { possessionOf } from "../../keys/statements.ts"
import { emptyBytes, equalBytes, toHex } from "../../protocol/bytes.ts"
import type { Directory } from "../../protocol/directory.ts"
import { limits } from "../../protocol/limits.ts"
import type { StationKey } from "../../protocol/station.ts"
import { nodeLimits } from "../limits.ts"
import type { Alarms } from "./alarms.ts"
import { type KeyVault, type OwnKey, sealingKeyAt, signingKeyAt } from "./identity.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { OwnChain } from "./own-chain.ts"
import type { Random } from "./ports.ts"

type NewKey = { readonly entry: KeyEntry; readonly key: SigningKey }

export class Succession {
  readonly #vault: KeyVault
  readonly #directory: Directory
  readonly #chain: OwnChain
  readonly #alarms: Alarms
  readonly #clock: NetworkClock
  readonly #random: Random

  constructor(options: {
    readonly vault: KeyVault
    readonly directory: Directory
    readonly chain: OwnChain
    readonly alarms: Alarms
    readonly clock: NetworkClock
    readonly random: Random
  }) {
    this.#vault = options.vault
    this.#directory = options.directory
    this.#chain = options.chain
    this.#alarms = options.alarms
    this.#clock = options.clock
    this.#random = options.random
  }

  /** Does what is due by now. `mayExtend`: whether the chain of a key in use may get a statement. */
  async keepUp(mayExtend: boolean): Promise<void> {
    const { identity } = this.#vault
    if (this.#clock.isOff || this.#directory.station(identity.name) === undefined) return
    const now = this.#clock.now()
    const sealing = sealingKeyAt(identity, this.#directory, now)
    if (sealing === undefined && (await this.#activateStandby(now))) return
    const signing = signingKeyAt(identity, this.#directory, now)
    if (signing === undefined || !mayExtend) return
    if (!this.#alarms.isCloned(signing.signing.keyId)) await this.#renewLinkKey(signing, now)
  }

  async #activateStandby(now: number): Promise<boolean> {
    const { identity } = this.#vault
    const entry = await this.#vault.standby()
    const signing = entry === undefined ? undefined : signingKey("node", entry.secret)
    const station = this.#directory
      .station(identity.name)
      ?.keys.find((key) => signing !== undefined && equalBytes(key.keyId, signing.keyId))
    const isUsable =
      station !== undefined &&
      station.incarnation > this.#directory.currentIncarnation(identity.name) &&
      station.notBefore <= now &&
      now <= station.notAfter - limits.nodeKeyRestSeconds &&
      !this.#directory.isRevokedAnywhere(identity.name, station.keyId) &&
      !this.#isBegunElsewhere()
    if (entry === undefined || signing === undefined || station === undefined || !isUsable) {
      await this.#alarms.raise("no-sealing-key", identity.name)
      return false
    }
    const link = this.#newLinkKey()
    const hedge: KeyEntry = { use: "hedge", publicKey: emptyBytes, secret: this.#random(32) }
    await this.#vault.add([entry, link.entry, hedge])
    await this.#name(link, { signing, station }, now)
    await this.#alarms.raise("standby-used", `${identity.name} ${station.incarnation}`)
    await this.#alarms.clear("no-sealing-key", identity.name)
    return true
  }

  /**
   * The root has begun an incarnation after those whose keys are held here, and it stands: this process goes by
   * an old key file, or its member's node runs elsewhere. The standby is for that one. A node that was put back
   * from a backup holds no key of an incarnation that was in use.
   */
  #isBegunElsewhere(): boolean {
    const { name, nodeKeys } = this.#vault.identity
    const current = this.#directory.currentIncarnation(name)
    const keys = this.#directory.station(name)?.keys ?? []
    const isHeld = ({ keyId }: StationKey): boolean =>
      nodeKeys.some((own) => equalBytes(own.keyId, keyId))
    const held = keys.filter(isHeld)
    const isPassed = held.length > 0 && held.every(({ incarnation }) => incarnation < current)
    return (
      isPassed &&
      keys.some(
        ({ incarnation, keyId }) =>
          incarnation === current && !this.#directory.isRevokedAnywhere(name, keyId),
      )
    )
  }

  /** A link key that is named and lasts, or a new one. */
  async #renewLinkKey(by: OwnKey, now: number): Promise<void> {
    const { identity } = this.#vault
    const until = Math.min(now + nodeLimits.linkKeyRenewSeconds, by.station.notAfter)
    const lasting = this.#directory.linkKeys(identity.name, until).map(toHex)
    if (identity.linkKeys.some((key) => lasting.includes(toHex(key)))) return
    const link = this.#newLinkKey()
    await this.#vault.add([link.entry])
    await this.#name(link, by, now)
  }

  #newLinkKey(): NewKey {
    const secret = this.#random(32)
    const key = signingKey("link", secret)
    return { key, entry: { use: "link", publicKey: key.publicKey, secret } }
  }

  async #name(link: NewKey, by: OwnKey, now: number): Promise<void> {
    const possession = possessionOf(this.#vault.identity.name, link.key)
    const notAfter = now + limits.nodeKeySecondsMax
    await this.#chain.append("link", { key: link.key.publicKey, notAfter, possession }, { by })
  }
}
