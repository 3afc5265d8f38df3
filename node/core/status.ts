// What an operator asks first: links, heads, queues, clock, keys, alarms.

import type { Alarms } from "./alarms.ts"
import type { Directory } from "../../protocol/directory.ts"
import type { DirectoryFollower } from "./directory-follower.ts"
import type { DiskRoom } from "./disk-room.ts"
import type { Escalations } from "./escalations.ts"
import type { Inbox } from "./inbox.ts"
import type { Journal } from "./journal.ts"
import type { LinkTable } from "./link-table.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { Outbox } from "./outbox.ts"
import type { Proofs } from "./proofs.ts"
import type { ReceiptBook } from "./receipt-book.ts"
import { type JsonObject, gapView } from "./views.ts"

type Parts = {
  readonly me: string
  readonly alarms: Alarms
  readonly clock: NetworkClock
  readonly directory: Directory
  readonly escalations: Escalations
  readonly follower: DirectoryFollower
  readonly inbox: Inbox
  readonly journal: Journal
  readonly links: LinkTable
  readonly outbox: Outbox
  readonly proofs: Proofs
  readonly receipts: ReceiptBook
  readonly room: DiskRoom
}

/** Levels, for metrics and for people. */
export type Measured = {
  readonly links: number
  readonly outboxActive: number
  readonly outboxUnsealed: number
  readonly receiptsOpen: number
  readonly inboxHeld: number
  readonly inboxGaps: number
  readonly escalationsOpen: number
  readonly proofsWanted: number
  readonly clockOffsetSeconds: number
  readonly alarms: number
  readonly diskFreeBytes: number
  /** 1: nothing new is taken. */
  readonly diskFull: number
}

export function measure(parts: Parts): Measured {
  return {
    links: parts.links.inOrder().length,
    outboxActive: parts.outbox.activeCount,
    outboxUnsealed: parts.outbox.unsealedCount,
    receiptsOpen: parts.receipts.openCount,
    inboxHeld: parts.inbox.heldCount,
    inboxGaps: parts.inbox.gaps.length,
    escalationsOpen: parts.escalations.openCount,
    proofsWanted: parts.proofs.wantedCount,
    clockOffsetSeconds: parts.clock.offsetSeconds,
    alarms: parts.alarms.list().length,
    diskFreeBytes: parts.room.freeBytes,
    diskFull: parts.room.has(0) ? 0 : 1,
  }
}

export type RelayState = {
  readonly relay: string
  readonly up: boolean
  /** Why it is not up. */
  readonly code: string | null
}

export function statusView(parts: Parts, relays: readonly RelayState[]): JsonObject {
  const { me, alarms, clock, directory, follower, journal } = parts
  const {
    links: _,
    clockOffsetSeconds: __,
    alarms: ___,
    diskFreeBytes,
    diskFull,
    ...queues
  } = measure(parts)
  const station = directory.hasRoster ? directory.station(me) : undefined
  return {
    name: me,
    links: relays,
    heads: follower.origins().map((origin) => {
      const verified = follower.verifiedOf(origin)
      const size = verified?.head.size ?? 0
      return { origin, size, checkedAt: verified?.at ?? null, entries: follower.sizeOf(origin) }
    }),
    queues,
    missing: parts.inbox.gaps.map(gapView),
    clock: { now: clock.now(), offsetSeconds: clock.offsetSeconds, off: clock.isOff },
    keys: {
      incarnation: station === undefined ? 0 : directory.currentIncarnation(me),
      node: (station?.keys ?? []).map(({ kind, incarnation, notAfter }) => ({
        kind,
        incarnation,
        notAfter,
      })),
    },
    journal: { entries: journal.length },
    disk: { freeBytes: diskFreeBytes, isFull: diskFull === 1 },
    alarms: alarms.list().map(({ kind, subject, at }) => ({ kind, subject, at })),
  }
}
