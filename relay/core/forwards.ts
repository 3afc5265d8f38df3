// Forwards: another relay hands over slices for members that are at home here. The answer, custody
// receipts under one log entry, comes after the same synced commit as a submit's. At most one hop: what
// came this way is only queued for members. docs/PROTOCOL.md, "Delivery".

import { openAcceptance } from "../../keys/accepted-entry.ts"
import { sha256 } from "../../keys/crypto.ts"
import type { BatchVerifier } from "../../protocol/batch.ts"
import { emptyBytes, toHex } from "../../protocol/bytes.ts"
import type { Directory } from "../../protocol/directory.ts"
import { type Leaf, decodeLeaf, recipientIndex } from "../../protocol/envelope.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { limits } from "../../protocol/limits.ts"
import type { LinkMessage } from "../../protocol/link-messages.ts"
import { leafHash, verifyInclusion } from "../../protocol/tree.ts"
import { type ReadEnvelope, judgeEnvelope, readEnvelope } from "./admit-submit.ts"
import type { Committer } from "./committer.ts"
import type { Draft, SealedSteps } from "./draft.ts"
import {
  type HeldRecipient,
  type Mail,
  dueKey,
  knownKey,
  messageKey,
  newHoldReads,
  sliceKey,
} from "./mail.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { AttachmentStore } from "./ports.ts"
import { knownRecord, queueNames, sliceRecord } from "./records.ts"

export type Forward = LinkMessage<"forward">

export type ForwardParts = {
  readonly directory: Directory
  readonly batches: BatchVerifier
  readonly network: NetworkClock
  readonly committer: Committer
  readonly mail: Mail
  readonly attachments: AttachmentStore
  readonly hasRoom: () => boolean
  /** Resolves once the other relay's directory log is known up to a size. Refused: `not-ready`. */
  readonly reach: (origin: string, size: number) => Promise<void>
}

export class Forwards {
  readonly #parts: ForwardParts

  constructor(parts: ForwardParts) {
    this.#parts = parts
  }

  /** Refused: the codes of the release order's steps 1 to 7, `slice`, `body`, `busy`, `attachments-missing`. */
  async take(peer: string, forward: Forward): Promise<SealedSteps> {
    const { directory, batches, network, committer, hasRoom } = this.#parts
    const read = readEnvelope(forward)
    const leaves = forward.slices.map(({ leaf }) => decodeLeaf(leaf))
    if (!network.isAgreed) throw new ChappeError("clock")
    const accepted = openAcceptance(directory, forward.acceptance, read.messageId)
    if (accepted.relay !== peer || accepted.entry.kind !== "envelope")
      throw new ChappeError("entry", `${peer} forwards what it has not accepted`)
    await this.#parts.reach(accepted.place.origin, accepted.place.size)
    const incarnations = leaves.map(({ incarnation }) => incarnation)
    judgeEnvelope(read, forward.body, incarnations, {
      directory,
      batches,
      place: accepted.place,
      now: network.now,
      acceptedAt: accepted.entry.time,
    })
    judgeSlices(read, forward, leaves)
    for (const { node } of leaves)
      if (directory.member(node) === undefined)
        throw new ChappeError("unknown-recipient", `${node} is not a member`)
    if (!hasRoom()) throw new ChappeError("busy", "the disk has no room for new mail")
    await this.#judgeAttachments(forward)
    return committer.commit(async (draft) => this.#accept(draft, peer, forward, read, leaves), {
      bodyBytes: forward.body.length,
      holds: read.messageId,
      reads: [knownKey(read.messageId), ...newHoldReads],
    })
  }

  async #judgeAttachments({ attachments }: Forward): Promise<void> {
    for (const { hash, length } of attachments)
      if (!(await this.#parts.attachments.isWhole(hash, length)))
        throw new ChappeError("attachments-missing", `attachment ${toHex(hash)} is not whole here`)
  }

  async #accept(
    draft: Draft,
    peer: string,
    forward: Forward,
    read: ReadEnvelope,
    leaves: readonly Leaf[],
  ): Promise<() => SealedSteps> {
    const { mail } = this.#parts
    const { messageId, header } = read
    const { core } = header
    const { time } = draft
    // Another message's end may have taken them away meanwhile.
    await this.#judgeAttachments(forward)
    const isNew = !(await draft.has(knownKey(messageId)))
    const recipients: HeldRecipient[] = []
    for (const [i, { node }] of leaves.entries()) {
      const slice = isNew ? undefined : await draft.get(sliceRecord, sliceKey(messageId, node))
      const given = forward.slices[i]
      if (given === undefined) throw new RangeError("a slice for each leaf")
      if (slice === undefined || slice.queue === queueNames.aside)
        recipients.push({ node, ...given, queue: queueNames.member(node) })
    }
    // Whichever relay came first, each that holds a copy is to hear of the delivery.
    if (!isNew && (await draft.has(messageKey(messageId)))) mail.copyAt(draft, messageId, peer)
    if (recipients.length > 0)
      await mail.hold(
        draft,
        {
          isNew,
          messageId,
          header: forward.header,
          auth: forward.auth,
          attachments: forward.attachments,
          via: peer,
          recipients,
          body: forward.body,
          lane: core.precedence,
          expires: core.expires,
        },
        () => forward.acceptance,
      )
    const key = knownKey(messageId)
    if (isNew) {
      draft.put(knownRecord, key, { acceptance: null, expires: core.expires })
      draft.putBytes(dueKey(time + limits.idKeepSeconds, "k", messageId), emptyBytes)
    }
    const range = draft.sign(
      leaves.map(({ node }) => ({
        messageId,
        recipientNode: node,
        step: "custody",
        reason: null,
        ref: null,
      })),
    )
    let answer: SealedSteps | undefined
    draft.onSealed((sealed) => {
      answer = sealed.steps(range)
    })
    return () => {
      if (answer === undefined) throw new RangeError("the commit was not sealed")
      return answer
    }
  }
}

/** Each slice stands at its recipient's place under slicesRoot. Refused: `slice`. */
function judgeSlices({ header }: ReadEnvelope, forward: Forward, leaves: readonly Leaf[]): void {
  const size = header.core.recipients.length
  for (const [i, { leaf, path }] of forward.slices.entries()) {
    const node = leaves[i]?.node ?? ""
    const index = recipientIndex(header.core, node)
    const place = { sha256, index, size, leaf: leafHash(sha256, leaf), path }
    if (index < 0 || !verifyInclusion({ ...place, root: header.slicesRoot }))
      throw new ChappeError("slice", `the slice of ${node} is not in the tree`)
  }
  if (new Set(leaves.map(({ node }) => node)).size !== leaves.length)
    throw new ChappeError("slice", "a slice stands twice")
}
