// After a restore from a backup: every sender is asked for what came after it was taken, from the last
// number that is here, in each channel. Senders keep sealed copies until they expire, and may be away for
// long: asking goes on as long as a copy may still be somewhere. docs/PROTOCOL.md, "Backups".

import { type Infer, record } from "../../protocol/codec.ts"
import type { Directory } from "../../protocol/directory.ts"
import { lanes, time } from "../../protocol/envelope.ts"
import { nodeLimits } from "../limits.ts"
import { channelKey } from "./channel.ts"
import type { MissingRange } from "./gaps.ts"
import type { Inbox } from "./inbox.ts"
import type { LinkTable } from "./link-table.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { Change, Log } from "./ports.ts"
import type { Records, Table } from "./records.ts"

const catchUp = record({ takenAt: time, restoredAt: time })
type Restored = Infer<typeof catchUp>

const table = (records: Records): Table<Restored> => records.table("catch-up", catchUp)
const place = "restored"

/** What a restore leaves for the first start. */
export function catchUpRecord(records: Records, restored: Restored): Change {
  return table(records).put(place, restored)
}

type Asked = {
  readonly taken: number
  readonly nextMs: number
  readonly pauseMs: number
  readonly attempt: number
}

export class CatchUp {
  readonly #me: string
  readonly #directory: Directory
  readonly #inbox: Inbox
  readonly #links: LinkTable
  readonly #records: Records
  readonly #clock: NetworkClock
  readonly #log: Log
  /** The attempt's number says through which relay. */
  readonly #askFor: (missing: MissingRange, attempt: number) => void
  /** By sender: the sum of the numbers that were here when it was asked, and when it is asked again. */
  readonly #asked = new Map<string, Asked>()
  #restored: Restored | undefined

  constructor(options: {
    readonly me: string
    readonly directory: Directory
    readonly inbox: Inbox
    readonly links: LinkTable
    readonly records: Records
    readonly clock: NetworkClock
    readonly log: Log
    readonly askFor: (missing: MissingRange, attempt: number) => void
  }) {
    this.#me = options.me
    this.#directory = options.directory
    this.#inbox = options.inbox
    this.#links = options.links
    this.#records = options.records
    this.#clock = options.clock
    this.#log = options.log
    this.#askFor = options.askFor
  }

  async load(): Promise<void> {
    this.#restored = await table(this.#records).get(place)
  }

  /** Asks whom it is time to ask; a sender that had something is asked for more soon. */
  async tick(): Promise<void> {
    const restored = this.#restored
    if (restored === undefined || this.#clock.isOff || this.#links.first() === undefined) return
    if (!this.#directory.hasRoster) return
    const { maxLifetime } = this.#directory.roster().policy
    if (this.#clock.now() > restored.restoredAt + maxLifetime) {
      await this.#records.commit([table(this.#records).remove(place)])
      this.#restored = undefined
      return
    }
    const nowMs = this.#clock.monotonicMs()
    for (const { node } of this.#directory.activeMembers()) {
      const asked = this.#asked.get(node)
      if (node === this.#me || (asked?.nextMs ?? 0) > nowMs) continue
      const channels = await this.#channelsOf(node)
      const taken = channels.reduce((sum, { first }) => sum + first, 0)
      const isNews = asked === undefined || asked.taken !== taken
      const pauseMs = isNews
        ? nodeLimits.catchUpPauseMs
        : Math.min(2 * asked.pauseMs, nodeLimits.catchUpPauseMsMax)
      const attempt = (asked?.attempt ?? -1) + 1
      this.#asked.set(node, { taken, nextMs: nowMs + pauseMs, pauseMs, attempt })
      if (asked === undefined) this.#log.info("catch-up", { sender: node })
      for (const missing of channels) this.#askFor(missing, attempt)
    }
  }

  /** Everything after the last number here, of the sender's newest incarnations. */
  async #channelsOf(sender: string): Promise<readonly MissingRange[]> {
    const newest = Math.max(1, this.#directory.currentIncarnation(sender))
    const oldest = Math.max(1, newest - nodeLimits.catchUpIncarnations + 1)
    const channels: MissingRange[] = []
    for (let incarnation = oldest; incarnation <= newest; incarnation++)
      for (const lane of lanes) {
        const last = await this.#inbox.lastNumber(channelKey(sender, incarnation, lane))
        channels.push({ sender, incarnation, lane, first: last + 1, last: 0xffff_ffff })
      }
    return channels
  }
}
