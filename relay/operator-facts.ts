// The answers of the operator's door, declared once: what the relay says and what the command reads.
// docs/operator.md, "Watching a relay". Names stations and codes, never content.

import { type Static, type TSchema, Type } from "typebox"
import { precedences } from "../protocol/envelope.ts"

const count = Type.Integer({ minimum: 0 })
const seconds = count
function orNull<T extends TSchema>(schema: T) {
  return Type.Union([schema, Type.Null()])
}

/** `sentence` and `next`: the code's row of the error table. */
const trouble = Type.Object({
  code: Type.String(),
  sentence: Type.String(),
  next: Type.String(),
  secondsAgo: seconds,
})
export type TroubleFacts = Static<typeof trouble>

/** `evidence`: receipts and controls, which overtake all mail. */
const laneWord = Type.Enum(["evidence", ...precedences])
export type LaneWord = Static<typeof laneWord>

const lane = Type.Object({
  lane: laneWord,
  items: count,
  /** Of bodies. */
  bytes: count,
  /** Since a relay accepted the oldest; null where that is not said. */
  oldestSeconds: orNull(seconds),
  /** The peer has taken the oldest, and its receipt is waited for. */
  handedOver: Type.Boolean(),
  lastError: orNull(trouble),
})
export type LaneFacts = Static<typeof lane>

const depth = Type.Object({ items: count, bytes: count })

const peer = Type.Object({
  name: Type.String(),
  role: Type.Enum(["member", "relay"]),
  linked: Type.Boolean(),
  /** Since it is linked, or since it is not; null when it was not since the process began. */
  seconds: orNull(seconds),
  /** The version of the protocol that is spoken with it; null before its first HELLO. */
  protocol: orNull(count),
  /** Its clock minus ours, at its last HELLO. */
  skewSeconds: orNull(Type.Integer()),
  refusedLink: orNull(trouble),
  /** The last item that it refused for good. */
  setAside: orNull(trouble),
  /** Lanes in which something waits or went wrong, highest first. */
  lanes: Type.Array(lane),
  /** Of a relay: what it has in custody and has not delivered yet, as far as we know. */
  inCustody: orNull(depth),
})
export type PeerFacts = Static<typeof peer>

const log = Type.Object({
  origin: Type.String(),
  entries: count,
  /** Entries under the last checkpoint. */
  published: count,
  checkpointSeconds: seconds,
  /** Since a witness last cosigned; null when none has since the process began. */
  witnessSeconds: orNull(seconds),
  /** Who cosigned in the last ten minutes. */
  witnesses: Type.Array(Type.String()),
})
export type LogFacts = Static<typeof log>

const own = Type.Object({
  relay: Type.String(),
  version: Type.String(),
  at: count,
  upSeconds: seconds,
  clock: Type.Object({
    offsetSeconds: Type.Integer(),
    isOff: Type.Boolean(),
    /** False: too few agree with this clock, and nothing is logged until it is known who is right. */
    isAgreed: Type.Boolean(),
    /** The logs' last entries are so far ahead of network time, and take no other until then; null: they do. */
    logWaitsSeconds: orNull(seconds),
  }),
  disk: Type.Object({
    freeBytes: count,
    /** New mail is refused. */
    isFull: Type.Boolean(),
    daysLeft: orNull(Type.Number({ minimum: 0 })),
  }),
  /** Files of the logs that were found changed in this round of reading everything, or the one before. */
  scrub: Type.Object({
    rounds: count,
    damaged: Type.Array(Type.String()),
    mended: Type.Array(Type.String()),
  }),
})
export type OwnFacts = Static<typeof own>

export const drainFacts = Type.Object({
  /** Network time; null while the relay works as usual. */
  since: orNull(count),
  /** What is left here and nowhere else. */
  items: count,
  /** Messages that another relay forwarded here and holds until they are delivered. */
  heldElsewhere: count,
  /** Nothing is left that would have to wait for this relay. */
  isEmpty: Type.Boolean(),
  /** Members who have no other active home. */
  onlyHomeOf: Type.Array(Type.String()),
})
export type DrainFacts = Static<typeof drainFacts>

export const probeFacts = Type.Object({
  member: Type.String(),
  /** The relay that asked, and the one that passed it on where the member is linked there. */
  relay: Type.String(),
  via: orNull(Type.String()),
  roundTripMs: Type.Number({ minimum: 0 }),
  /** The node's clock minus ours. */
  skewSeconds: Type.Integer(),
  /** Hex; the node key that signed the echo. */
  keyId: Type.String(),
})
export type ProbeFacts = Static<typeof probeFacts>

export const relayFacts = Type.Object({
  own,
  /** While it is being emptied. */
  draining: orNull(drainFacts),
  logs: Type.Array(log),
  members: Type.Array(peer),
  relays: Type.Array(peer),
  /** What recipients refused for good; kept until it expires. */
  aside: depth,
})
export type RelayFacts = Static<typeof relayFacts>

/** Mail for a member that goes, or has gone, to another relay. */
const elsewhere = Type.Object({
  relay: peer,
  /** Waits for that relay here, or is in its custody. */
  state: Type.Enum(["waiting", "custody"]),
  items: count,
  oldestSeconds: orNull(seconds),
})
export type ElsewhereFacts = Static<typeof elsewhere>

export const memberFacts = Type.Object({
  own,
  member: peer,
  status: Type.Enum(["active", "suspended", "removed"]),
  homes: Type.Array(Type.String()),
  elsewhere: Type.Array(elsewhere),
  asideItems: count,
})
export type MemberFacts = Static<typeof memberFacts>
