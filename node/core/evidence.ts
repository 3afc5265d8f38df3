// Evidence that comes in: other nodes' and relays' receipts for what this node sent. Each is verified,
// stored with what proves it, and moves its recipient's copy up the ladder.

import { openAcceptance } from "../../keys/accepted-entry.ts"
import { sha256 } from "../../keys/crypto.ts"
import { openBase } from "../../keys/hpke.ts"
import { dayOf } from "../../keys/prekey-period.ts"
import { type BatchVerifier, batchRoot, decodeAuth } from "../../protocol/batch.ts"
import { toHex } from "../../protocol/bytes.ts"
import type { Directory, Place } from "../../protocol/directory.ts"
import { ChappeError } from "../../protocol/errors.ts"
import type { Acceptance, LinkMessage, ReceiptItem } from "../../protocol/link-messages.ts"
import { isMemberName } from "../../protocol/names.ts"
import {
  type Receipt,
  decodeReceipt,
  decodeSealedReceiptInside,
  encodeSealedReceiptInfo,
  isSealedStep,
  receiptIdOf,
  receiptSteps,
  stepName,
} from "../../protocol/receipt.ts"
import { type Core, type Header, decodeHeader, recipientIndex } from "../../protocol/envelope.ts"
import { limits } from "../../protocol/limits.ts"
import { nodeLimits } from "../limits.ts"
import type { DirectoryFollower } from "./directory-follower.ts"
import { rungOf } from "./ladder.ts"
import type { LinkTable } from "./link-table.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { Outbox } from "./outbox.ts"
import { type StoredReceipt, storedReceipt } from "./outbox-records.ts"
import type { OwnPrekeys } from "./own-prekeys.ts"
import type { Change, Log, RelayLink } from "./ports.ts"
import type { Proofs } from "./proofs.ts"
import type { BookItem } from "./receipt-book.ts"
import { type Keyed, type Records, type Table, numberKey, walk } from "./records.ts"

export class Evidence {
  readonly #me: string
  readonly #directory: Directory
  readonly #follower: DirectoryFollower
  readonly #links: LinkTable
  readonly #outbox: Outbox
  readonly #prekeys: OwnPrekeys
  readonly #proofs: Proofs
  readonly #batches: BatchVerifier
  readonly #records: Records
  readonly #receipts: Table<StoredReceipt>
  /** By relay: when it brought sealed receipts that no key opened. */
  readonly #misses = new Map<string, number[]>()
  readonly #clock: NetworkClock
  readonly #log: Log
  /** A recipient lost the key: its copy is to be sealed anew. */
  readonly #reseal: (messageId: Uint8Array, from: RelayLink) => void
  readonly #handOver: (messageId: Uint8Array, relay: string) => void

  constructor(options: {
    readonly me: string
    readonly directory: Directory
    readonly follower: DirectoryFollower
    readonly links: LinkTable
    readonly outbox: Outbox
    readonly prekeys: OwnPrekeys
    readonly proofs: Proofs
    readonly batches: BatchVerifier
    readonly records: Records
    readonly clock: NetworkClock
    readonly log: Log
    readonly reseal: (messageId: Uint8Array, from: RelayLink) => void
    /** Hands the envelope to this relay again. */
    readonly handOver: (messageId: Uint8Array, relay: string) => void
  }) {
    this.#me = options.me
    this.#directory = options.directory
    this.#follower = options.follower
    this.#links = options.links
    this.#outbox = options.outbox
    this.#prekeys = options.prekeys
    this.#proofs = options.proofs
    this.#batches = options.batches
    this.#records = options.records
    this.#receipts = options.records.table("evidence", storedReceipt)
    this.#clock = options.clock
    this.#log = options.log
    this.#reseal = options.reseal
    this.#handOver = options.handOver
  }

  /**
   * Takes each item in that holds; resolves when all are stored. Items that do not hold are noted and
   * passed over: sending them again would not help. Refused: `stale` while keys cannot be judged yet,
   * `busy` after too much that no key opens.
   */
  async take(link: RelayLink, message: LinkMessage<"evidence">): Promise<void> {
    let missed = 0
    for (const item of message.items) {
      if (item.auth === null && missed >= nodeLimits.sealedMissesMax) continue
      if (item.auth === null) this.#demandPatience(link.relay)
      try {
        await this.#takeItem(link, message, item)
      } catch (cause) {
        if (!(cause instanceof ChappeError)) throw cause
        if (cause.code === "wrap") {
          missed += 1
          this.#misses.get(link.relay)?.push(this.#clock.monotonicMs())
        }
        if (["storage", "disk-full", "stale", "link-down"].includes(cause.code)) throw cause
        this.#log.warn("evidence-refused", { from: message.from, code: cause.code })
      }
    }
  }

  /** What no key opens is dear to try: a relay that brings much of it waits. Refused: `busy`. */
  #demandPatience(relay: string): void {
    const minuteAgo = this.#clock.monotonicMs() - 60_000
    const recent = (this.#misses.get(relay) ?? []).filter((at) => at > minuteAgo)
    this.#misses.set(relay, recent)
    if (recent.length >= nodeLimits.sealedMissesPerMinute)
      throw new ChappeError("busy", `${relay} brings receipts that no key opens`)
  }

  /** Everything stored about an envelope, in the order of arrival. */
  async of(messageId: Uint8Array): Promise<readonly Keyed<StoredReceipt>[]> {
    const found: Keyed<StoredReceipt>[] = []
    for await (const one of walk(this.#receipts, `${toHex(messageId)}/`)) found.push(one)
    return found
  }

  /** This node's own receipt about a message of its own, before a relay has logged it. */
  own({ receipt, auth }: Pick<BookItem, "receipt" | "auth">): Change {
    return this.#receipts.put(keyOf(decodeReceipt(receipt)), { receipt, auth, acceptance: null })
  }

  async #takeItem(
    link: RelayLink,
    message: LinkMessage<"evidence">,
    item: ReceiptItem,
  ): Promise<void> {
    const opened = this.#openItem(message, item)
    const receipt = decodeReceipt(opened.receipt)
    const { core } = await this.#headerOf(receipt)
    await this.#verify(link, receipt, opened)
    const step = stepName(receipt.step)
    if (step === "expired") this.#requireTimeOver(core)
    const rung = rungOf(step)
    const name = toHex(receipt.messageId)
    const key = keyOf(receipt)
    const before = await this.#receipts.get(key)
    const { acceptance } = opened
    const isBetter = before === undefined || (before.acceptance === null && acceptance !== null)
    if (!isBetter) return
    const stored: StoredReceipt = { receipt: opened.receipt, auth: opened.auth, acceptance }
    const changes = [this.#receipts.put(key, stored), ...this.#wantProof(acceptance, opened)]
    if (rung === undefined) {
      await this.#records.commit(changes)
      return
    }
    const { messageId, recipientNode, reason, at } = receipt
    const reached = { name: rung, at, reason }
    const isResealed = await this.#outbox.reached(messageId, recipientNode, reached, changes)
    this.#log.info("evidence", { id: name, step, recipient: recipientNode })
    if (isResealed) this.#reseal(messageId, link)
    // The relay no longer has what it took; this node keeps it until it expires. Once a receipt: what is
    // lost again is handed in again with all that nobody has signed for.
    const isLost = step === "undelivered" && reason === damaged
    if (isLost && before === undefined) this.#handOver(messageId, receipt.by ?? "")
  }

  /** Of the message that a receipt is about. Refused: `not-for-me` for what was not sent from here to there. */
  async #headerOf({ messageId, recipientNode }: Receipt): Promise<Header> {
    const head = await this.#outbox.headOf(messageId)
    const header = head === undefined ? undefined : decodeHeader(head.header)
    if (header === undefined || recipientIndex(header.core, recipientNode) < 0)
      throw new ChappeError("not-for-me", "a receipt for what this node has not sent")
    return header
  }

  /** A relay that gives up early must not stop the sender. Refused: `signature`. */
  #requireTimeOver({ expires }: Core): void {
    if (this.#clock.now() + limits.clockSkewSecondsMax < expires)
      throw new ChappeError("signature", "a relay calls a message expired before its time")
  }

  #wantProof(acceptance: Acceptance | null, opened: OpenedItem) {
    return acceptance === null || opened.origin === undefined
      ? []
      : this.#proofs.want(opened.origin, acceptance.index, acceptance.entry)
  }

  #openItem({ from, acceptance }: LinkMessage<"evidence">, item: ReceiptItem): OpenedItem {
    if (item.to !== this.#me) throw new ChappeError("not-for-me")
    if (item.auth !== null)
      return {
        receipt: item.receipt,
        auth: item.auth,
        acceptance,
        isSealed: false,
        origin: undefined,
      }
    const info = encodeSealedReceiptInfo(from, this.#me)
    const plaintext = this.#unseal(info, item.receipt)
    const inside = decodeSealedReceiptInside(plaintext)
    return {
      receipt: inside.receipt,
      auth: inside.auth,
      acceptance: acceptance === null ? null : { ...acceptance, salt: inside.salt },
      isSealed: true,
      origin: undefined,
    }
  }

  #unseal(info: Uint8Array, sealed: Uint8Array): Uint8Array {
    const today = dayOf(this.#clock.now())
    for (const secret of this.#prekeys.secretsAround(today, nodeLimits.sealedTryDays)) {
      try {
        return openBase({ secret, info, sealed })
      } catch (cause) {
        if (!(cause instanceof ChappeError)) throw cause
      }
    }
    throw new ChappeError("wrap", "no key here opens a sealed receipt")
  }

  /** Who took the step signed it: the recipient's node, or for relays' steps the relay it names. */
  async #verify(link: RelayLink, receipt: Receipt, opened: OpenedItem): Promise<void> {
    if (isSealedStep(receipt.step) !== opened.isSealed)
      throw new ChappeError("signature", "a receipt travels in the wrong form")
    const signer = signerOf(receipt, this.#me)
    const auth = decodeAuth(opened.auth)
    const id = receiptIdOf(sha256, opened.receipt)
    const root = batchRoot(sha256, auth, id, "message")
    let place: Place = "now"
    let time = receipt.at
    if (opened.acceptance !== null) {
      const accepted = openAcceptance(this.#directory, opened.acceptance, root)
      await this.#catchUp(link, accepted.relay, accepted.place)
      place = accepted.place
      time = accepted.entry.time
      opened.origin = accepted.origin
    }
    const key = this.#directory.requireStationKey(signer, receipt.keyId, place, time)
    this.#batches.check({
      signer: { name: signer, keyId: receipt.keyId },
      publicKey: key.key,
      auth,
      id,
      purpose: "message",
    })
  }

  async #catchUp(
    link: RelayLink,
    relay: string,
    place: { readonly origin: string; readonly size: number },
  ): Promise<void> {
    if (this.#follower.sizeOf(place.origin) >= place.size) return
    const source = relay === link.relay ? link : this.#links.get(relay)
    if (source !== undefined) await this.#follower.refresh(source)
    if (this.#follower.sizeOf(place.origin) < place.size) throw new ChappeError("stale")
  }
}

/** The reason of UNDELIVERED when a relay's disk does not give a message back. */
const damaged = "damaged"

type OpenedItem = {
  readonly receipt: Uint8Array
  readonly auth: Uint8Array
  readonly acceptance: Acceptance | null
  readonly isSealed: boolean
  /** Known once the acceptance was opened. */
  origin: string | undefined
}

const relaySteps: readonly number[] = [
  receiptSteps.custody,
  receiptSteps.forwarded,
  receiptSteps.expired,
  receiptSteps.undelivered,
]

function keyOf({ messageId, step, recipientNode, keyId }: Receipt): string {
  return `${toHex(messageId)}/${numberKey(step)}/${recipientNode}/${toHex(keyId)}`
}

/**
 * The recipient's node, the relay that took the step, or the sender where it says that a deadline was
 * missed. Refused: `signature` where nobody who may take the step is named.
 */
export function signerOf(receipt: Receipt, sender: string): string {
  const isRelays = relaySteps.includes(receipt.step)
  if (!isRelays) return receipt.recipientNode
  const { by, step } = receipt
  if (by === sender && step === receiptSteps.undelivered) return by
  if (by === null || isMemberName(by))
    throw new ChappeError("signature", "a relay's receipt names no relay")
  return by
}
