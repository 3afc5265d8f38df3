// Controls: small signed requests between nodes, as "I lack these numbers of our channel".
// docs/PROTOCOL.md, "Controls".

import { crypto } from "../../keys/crypto.ts"
import { equalBytes, toHex } from "../../protocol/bytes.ts"
import { type Infer, list, record, uint } from "../../protocol/codec.ts"
import {
  type Control,
  type Note,
  controlPae,
  decodeControl,
  decodeSignedControl,
  encodeControl,
  encodeSignedControl,
  gapBody,
  noteBody,
  wantedBody,
  probeBody,
} from "../../protocol/control.ts"
import type { Directory } from "../../protocol/directory.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { linkLanes } from "../../protocol/frames.ts"
import { limits } from "../../protocol/limits.ts"
import type { LinkMessage } from "../../protocol/link-messages.ts"
import type { WantedBody } from "./body-requests.ts"
import type { Dispatcher } from "./dispatcher.ts"
import { Refused, ask } from "./ask.ts"
import { type Identity, requireSigningKey } from "./identity.ts"
import type { MissingRange } from "./gaps.ts"
import type { JustGiven } from "./just-given.ts"
import type { LinkTable } from "./link-table.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { Outbox } from "./outbox.ts"
import type { Log, RelayLink } from "./ports.ts"
import type { Records, Table } from "./records.ts"
import { Serial } from "./serial.ts"
import type { TombstoneMaker } from "./tombstone-maker.ts"

const u32 = uint(0xffff_ffff)
const seenNumbers = record({ highest: u32, open: list(u32, 0, limits.controlsAheadMax) })
/** Controls of one key that came: all up to the highest but the open ones; of those the oldest are given up. */
type SeenNumbers = Infer<typeof seenNumbers>

/** Undefined for a number that came before, or is too old to tell. */
function withNumber(seen: SeenNumbers | undefined, n: number): SeenNumbers | undefined {
  const { highest, open } = seen ?? { highest: 0, open: [] }
  if (n <= highest)
    return open.includes(n) ? { highest, open: open.filter((one) => one !== n) } : undefined
  const first = Math.max(highest + 1, n - limits.controlsAheadMax)
  const between = Array.from({ length: n - first }, (_, i) => first + i)
  return { highest: n, open: [...open, ...between].slice(-limits.controlsAheadMax) }
}

export class Controls {
  readonly #identity: Identity
  readonly #directory: Directory
  readonly #links: LinkTable
  readonly #outbox: Outbox
  readonly #dispatcher: Dispatcher
  readonly #tombstones: TombstoneMaker
  readonly #records: Records
  readonly #sent: Table<number>
  readonly #seen: Table<SeenNumbers>
  readonly #clock: NetworkClock
  readonly #log: Log
  readonly #serial = new Serial()
  readonly #given: JustGiven
  #onNote: (from: string, note: Note) => Promise<void> = async () => undefined

  constructor(options: {
    readonly identity: Identity
    readonly directory: Directory
    readonly links: LinkTable
    readonly outbox: Outbox
    readonly dispatcher: Dispatcher
    readonly tombstones: TombstoneMaker
    readonly given: JustGiven
    readonly records: Records
    readonly clock: NetworkClock
    readonly log: Log
  }) {
    this.#identity = options.identity
    this.#directory = options.directory
    this.#links = options.links
    this.#outbox = options.outbox
    this.#dispatcher = options.dispatcher
    this.#tombstones = options.tombstones
    this.#given = options.given
    this.#records = options.records
    this.#sent = options.records.table("control-sent", uint(0xffff_ffff))
    this.#seen = options.records.table("control-window", seenNumbers)
    this.#clock = options.clock
    this.#log = options.log
  }

  /**
   * Asks the sender for what is missing, through one relay after another. It may ask in vain: it asks
   * again later.
   */
  async askFor({ sender, ...gap }: MissingRange, attempt: number): Promise<void> {
    this.#log.info("gap", { sender, first: gap.first, last: gap.last })
    await this.#send(sender, "gap", gapBody.toValue(gap), attempt)
  }

  /** Asks the sender for an attachment that no relay gives. */
  async askForBody({ sender, ...wanted }: WantedBody, attempt: number): Promise<void> {
    this.#log.info("body", { sender, hash: toHex(wanted.hash) })
    await this.#send(sender, "body", wantedBody.toValue(wanted), attempt)
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

  /**
   * The answer to a relay's probe: a control to oneself with number 0, which is no request and is taken by
   * nobody as one. Refused: `not-for-me`, `key-expired`.
   */
  echo({ relay, to, nonce }: LinkMessage<"probe">): Uint8Array {
    const from = this.#identity.name
    if (to !== from) throw new ChappeError("not-for-me", `a probe of ${to}`)
    const at = this.#clock.ownSeconds()
    const { signing } = requireSigningKey(this.#identity, this.#directory, this.#clock.now())
    const body = probeBody.toValue({ relay, nonce })
    const control = encodeControl({ version: 1, from, to, n: 0, at, op: "probe", body })
    const signature = signing.sign(controlPae(control))
    return encodeSignedControl({ control, keyId: signing.keyId, signature })
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
      const next = withNumber(await this.#seen.get(place), control.n)
      if (next === undefined) return false
      await this.#records.commit([this.#seen.put(place, next)])
      return true
    })
    if (!isNew) return
    if (control.op === "gap") await this.#fillGap(link, control)
    if (control.op === "body") await this.#fillBody(link, control)
    if (control.op === "note")
      await this.#onNote(control.from, noteBody.fromValue(control.body, "body"))
  }

  /** Who takes notes. */
  whenNoted(task: (from: string, note: Note) => Promise<void>): void {
    this.#onNote = task
  }

  /** A word to another node, through one relay after another. Refused: `link-down`, `key-expired`. */
  async note(to: string, note: Note, attempt: number): Promise<void> {
    await this.#send(to, "note", noteBody.toValue(note), attempt)
  }

  async #send(
    to: string,
    op: Control["op"],
    body: Control["body"],
    attempt: number,
  ): Promise<void> {
    const links = this.#links.inOrder()
    const link = links[attempt % links.length]
    if (link === undefined) throw new ChappeError("link-down")
    const control = await this.#sign(to, op, body)
    await ask(link, linkLanes.control, { name: "control", control }, "done")
  }

  /** Sends again what is asked for and still kept, in its order. */
  async #fillGap(link: RelayLink, control: Control): Promise<void> {
    const gap = gapBody.fromValue(control.body, "body")
    const { from, last, first } = { ...gap, from: control.from }
    const asked = await this.#outbox.inChannel(from, gap, first, last)
    this.#log.info("gap-asked", { by: from, first, last, held: asked.length })
    for (const messageId of asked) await this.#provide(link, from, messageId)
  }

  /** The message with its attachments once more: a relay serves a body only for a message that names it. */
  async #fillBody(link: RelayLink, { from, body }: Control): Promise<void> {
    const { messageId, hash } = wantedBody.fromValue(body, "body")
    const item = await this.#outbox.ofEnvelope(messageId)
    const isTheirs = item?.recipients.some(({ member }) => member === from) === true
    const isNamed = item?.attachments.some((one) => equalBytes(one.hash, hash)) === true
    this.#log.info("body-asked", { by: from, hash: toHex(hash), held: isTheirs && isNamed })
    if (isTheirs && isNamed) await this.#provide(link, from, messageId)
  }

  /** The message once more, or a tombstone when it will not come. */
  async #provide(link: RelayLink, member: string, messageId: Uint8Array): Promise<void> {
    if (this.#given.has(member, messageId)) return
    const fate = await this.#outbox.fateOf(messageId, member)
    if (fate === undefined) return await this.#dispatcher.again(link, messageId)
    const head = await this.#outbox.headOf(messageId)
    const tombstone =
      head === undefined ? undefined : this.#tombstones.make(messageId, head, member, fate)
    if (tombstone === undefined) return
    try {
      await ask(link, linkLanes.control, { name: "tombstone", tombstone }, "done")
    } catch (cause) {
      if (!(cause instanceof Refused)) throw cause
      // One that a relay does not take must not keep what stands behind it from coming.
      this.#log.info("tombstone-refused", { id: toHex(messageId), code: cause.code })
    }
  }
}
