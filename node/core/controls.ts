// Controls: small signed requests between nodes, as "I lack these numbers of our channel".
// docs/PROTOCOL.md, "Controls".

import { crypto } from "../../keys/crypto.ts"
import { toHex } from "../../protocol/bytes.ts"
import { uint } from "../../protocol/codec.ts"
import {
  type Control,
  controlPae,
  decodeControl,
  decodeSignedControl,
  encodeControl,
  encodeSignedControl,
  gapBody,
} from "../../protocol/control.ts"
import type { Directory } from "../../protocol/directory.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { linkLanes } from "../../protocol/frames.ts"
import type { Dispatcher } from "./dispatcher.ts"
import { ask } from "./ask.ts"
import { type Identity, requireSigningKey } from "./identity.ts"
import type { MissingRange } from "./inbox.ts"
import type { LinkTable } from "./link-table.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { Outbox } from "./outbox.ts"
import type { Log, RelayLink } from "./ports.ts"
import type { Records, Table } from "./records.ts"
import { Serial } from "./serial.ts"

export class Controls {
  readonly #identity: Identity
  readonly #directory: Directory
  readonly #links: LinkTable
  readonly #outbox: Outbox
  readonly #dispatcher: Dispatcher
  readonly #records: Records
  readonly #sent: Table<number>
  readonly #seen: Table<number>
  readonly #clock: NetworkClock
  readonly #log: Log
  readonly #serial = new Serial()

  constructor(options: {
    readonly identity: Identity
    readonly directory: Directory
    readonly links: LinkTable
    readonly outbox: Outbox
    readonly dispatcher: Dispatcher
    readonly records: Records
    readonly clock: NetworkClock
    readonly log: Log
  }) {
    this.#identity = options.identity
    this.#directory = options.directory
    this.#links = options.links
    this.#outbox = options.outbox
    this.#dispatcher = options.dispatcher
    this.#records = options.records
    this.#sent = options.records.table("control-sent", uint(0xffff_ffff))
    this.#seen = options.records.table("control-seen", uint(0xffff_ffff))
    this.#clock = options.clock
    this.#log = options.log
  }

  /** Asks the sender for what is missing, through any relay. It may ask in vain: it asks again later. */
  async askFor({ sender, ...gap }: MissingRange): Promise<void> {
    const link = this.#links.first()
    if (link === undefined) return
    const control = await this.#sign(sender, "gap", gapBody.toValue(gap))
    this.#log.info("gap", { sender, first: gap.first, last: gap.last })
    await ask(link, linkLanes.control, { name: "control", control }, "done")
  }

  async #sign(to: string, op: Control["op"], body: Control["body"]): Promise<Uint8Array> {
    return await this.#serial.run(async () => {
      const at = this.#clock.now()
      const { signing } = requireSigningKey(this.#identity, this.#directory, at)
      const key = `${toHex(signing.keyId)}/${to}`
      const n = ((await this.#sent.get(key)) ?? 0) + 1
      await this.#records.commit([this.#sent.put(key, n)])
      const from = this.#identity.name
      const control = encodeControl({ version: 1, from, to, n, at, op, body })
      const signature = signing.sign(controlPae(control))
      return encodeSignedControl({ control, keyId: signing.keyId, signature })
    })
  }

  /** Refused: `not-canonical`, `not-for-me`, `sender-key`, `signature`. One seen before is passed over. */
  async take(link: RelayLink, bytes: Uint8Array): Promise<void> {
    const signed = decodeSignedControl(bytes)
    const control = decodeControl(signed.control)
    if (control.to !== this.#identity.name) throw new ChappeError("not-for-me")
    const now = this.#clock.now()
    const key = this.#directory.requireStationKey(control.from, signed.keyId, "now", now)
    if (!crypto.verify(key.key, controlPae(signed.control), signed.signature))
      throw new ChappeError("signature", "the control's signature does not hold")
    const place = `${control.from}/${toHex(signed.keyId)}`
    const isNew = await this.#serial.run(async () => {
      if (control.n <= ((await this.#seen.get(place)) ?? 0)) return false
      await this.#records.commit([this.#seen.put(place, control.n)])
      return true
    })
    if (isNew && control.op === "gap") await this.#fillGap(link, control)
  }

  /** Sends again what is asked for and still kept, in its order. */
  async #fillGap(link: RelayLink, control: Control): Promise<void> {
    const gap = gapBody.fromValue(control.body, "body")
    const { from, last, first } = { ...gap, from: control.from }
    const asked = await this.#outbox.inChannel(from, gap, first, last)
    this.#log.info("gap-asked", { by: from, first, last, held: asked.length })
    for (const messageId of asked) await this.#dispatcher.again(link, messageId)
  }
}
