// The newest checkpoint of each own log that the witness quorum has cosigned, and who is shown it. Under
// traffic a witness answers about a checkpoint that is no longer the last: its word still counts for that one.
// docs/PROTOCOL.md, "Witness protocol".

import { crypto } from "../../keys/crypto.ts"
import { parseCheckpointText } from "../../protocol/checkpoint.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { linkLanes } from "../../protocol/frames.ts"
import {
  type NoteSignature,
  formatNote,
  heldSignatures,
  parseNote,
  parseSignatureLines,
} from "../../protocol/signed-note.ts"
import { isQuorum } from "../../protocol/tlog-policy.ts"
import { isNamed } from "../../protocol/verifier-key.ts"
import { type WitnessPolicy, witnessName } from "../../protocol/witness-policy.ts"
import { relayLimits } from "../limits.ts"
import { Refusal } from "./peer-link.ts"
import type { Links, Peer } from "./links.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { Journal } from "./ports.ts"

/** A checkpoint with lines of policy witnesses, by the name of each in the policy. */
type Head = {
  readonly origin: string
  readonly size: number
  readonly text: string
  readonly own: readonly NoteSignature[]
  readonly lines: Map<string, NoteSignature>
}

/** A checkpoint that a quorum has cosigned, with the lines. */
export type CosignedHead = {
  readonly origin: string
  readonly size: number
  readonly note: Uint8Array
}

type Log = { readonly waiting: Head[]; newest: CosignedHead | undefined; shownAtMs: number }

export class CosignedHeads {
  readonly #policy: WitnessPolicy
  readonly #network: NetworkClock
  readonly #links: Links
  readonly #journal: Journal
  readonly #nowMs: () => number
  readonly #witnessed: (head: CosignedHead) => void
  readonly #logs = new Map<string, Log>()
  /** Peers of an earlier version. */
  readonly #without = new WeakSet<Peer>()

  constructor(parts: {
    readonly policy: WitnessPolicy
    readonly network: NetworkClock
    readonly links: Links
    readonly journal: Journal
    readonly nowMs: () => number
    /** A quorum has cosigned this, or cosigned it again. */
    readonly witnessed: (head: CosignedHead) => void
  }) {
    this.#policy = parts.policy
    this.#network = parts.network
    this.#links = parts.links
    this.#journal = parts.journal
    this.#nowMs = parts.nowMs
    this.#witnessed = parts.witnessed
  }

  /** A witness's lines for a checkpoint that it was shown. Refused: `note`. */
  take(checkpoint: Uint8Array, lines: string): void {
    const policy = this.#policy.current
    if (policy === undefined) return
    const signatures = parseSignatureLines(lines)
    const head = this.#headOf(checkpoint)
    const { origin, size, text } = head
    for (const { key, time } of heldSignatures(
      crypto.verify,
      { text, signatures },
      this.#policy.keys,
    )) {
      const line = signatures.findLast((one) => isNamed(key, one))
      const witness = policy.witnesses.find((one) => witnessName(one.key) === witnessName(key))
      if (time === undefined || line === undefined || witness === undefined) continue
      this.#network.cosigned(witnessName(key), { origin, size, time })
      head.lines.set(witness.name, line)
    }
    if (isQuorum(policy, new Set(head.lines.keys()))) this.#settle(head)
  }

  #headOf(checkpoint: Uint8Array): Head {
    const { text, signatures } = parseNote(checkpoint)
    const { origin, size } = parseCheckpointText(text)
    const { waiting } = this.#log(origin)
    const known = waiting.find((head) => head.text === text)
    if (known !== undefined) return known
    const own = signatures.filter(({ name }) => name === origin).slice(0, 1)
    const head = { origin, size, text, own, lines: new Map<string, NoteSignature>() }
    waiting.push(head)
    if (waiting.length > relayLimits.headsForWitnessesMax) waiting.shift()
    return head
  }

  #log(origin: string): Log {
    const log = this.#logs.get(origin) ?? {
      waiting: [],
      newest: undefined,
      shownAtMs: Number.NEGATIVE_INFINITY,
    }
    this.#logs.set(origin, log)
    return log
  }

  #settle({ origin, size, text, own, lines }: Head): void {
    const log = this.#log(origin)
    if (log.newest !== undefined && size < log.newest.size) return
    const note = formatNote({ text, signatures: [...own, ...lines.values()] })
    log.newest = { origin, size, note }
    // What is smaller has no more use; this one may be cosigned again.
    log.waiting.splice(
      0,
      log.waiting.findIndex((head) => head.text === text),
    )
    this.#witnessed(log.newest)
    // The next word comes within a minute: what is not shown now is shown with it.
    const nowMs = this.#nowMs()
    if (nowMs - log.shownAtMs < relayLimits.cosignaturesMs) return
    log.shownAtMs = nowMs
    for (const peer of this.#links.all("node")) this.#show(peer, log.newest)
  }

  /** A new link: what network time is made of. */
  show(peer: Peer): void {
    if (peer.role !== "node") return
    for (const { newest } of this.#logs.values()) if (newest !== undefined) this.#show(peer, newest)
  }

  #show(peer: Peer, { origin, note: checkpoint }: CosignedHead): void {
    if (this.#without.has(peer)) return
    const shown = peer.request(linkLanes.control, { name: "cosignatures", origin, checkpoint })
    shown.catch((cause: unknown) => {
      if (!(cause instanceof ChappeError)) throw cause
      if (cause instanceof Refusal && cause.code === "unknown-request") this.#without.add(peer)
      else if (cause.code !== "link-down")
        this.#journal.warn("cosignatures", { peer: peer.name, code: cause.code })
    })
  }
}
