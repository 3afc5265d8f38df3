// Every request that a peer may make of a relay, and who answers it. What a peer's role does not allow is
// `forbidden`. docs/PROTOCOL.md, "Link messages".

import { ChappeError } from "../../protocol/errors.ts"
import { utf8 } from "../../protocol/bytes.ts"
import type { LinkMessage } from "../../protocol/link-messages.ts"
import { parseAddCheckpoint } from "../../protocol/witness-request.ts"
import type { AttachmentDesk } from "./attachment-desk.ts"
import type { Controls } from "./controls.ts"
import type { Draining } from "./draining.ts"
import type { Following } from "./following.ts"
import type { Forwards } from "./forwards.ts"
import type { Links, Peer, Request } from "./links.ts"
import type { Journal, Metrics } from "./ports.ts"
import type { LogStart } from "./log-start.ts"
import type { Probes } from "./probes.ts"
import type { PublishedLog } from "./published-log.ts"
import type { ReceiptDesk } from "./receipt-desk.ts"
import type { Rollback } from "./rollback.ts"
import type { StatementDesk } from "./statement-desk.ts"
import type { Submits } from "./submits.ts"
import type { Witnessing } from "./witnessing.ts"

export type ExchangeParts = {
  readonly submits: Submits
  readonly forwards: Forwards
  readonly receipts: ReceiptDesk
  readonly controls: Controls
  readonly links: Links
  readonly probes: Probes
  readonly attachments: AttachmentDesk
  readonly draining: Draining
  readonly statements: StatementDesk
  readonly following: Following
  readonly rollback: Rollback
  readonly witnessing: Witnessing
  readonly logStart: LogStart
  /** A log of this relay's own. */
  readonly logOf: (origin: string) => PublishedLog | undefined
  readonly metrics: Metrics
  readonly journal: Journal
}

export class Exchange {
  readonly #parts: ExchangeParts

  constructor(parts: ExchangeParts) {
    this.#parts = parts
  }

  async answer(peer: Peer, message: LinkMessage): Promise<Request> {
    const { submits, forwards, receipts, controls, attachments, statements, metrics } = this.#parts
    switch (message.name) {
      case "submit": {
        only(peer, "node")
        await this.#admit(peer)
        const acceptance = await this.#counted(submits.take(peer, message))
        return { name: "accepted", acceptance }
      }
      case "forward":
        only(peer, "relay")
        await this.#parts.logStart.begun()
        return { name: "custody", ...(await this.#counted(forwards.take(peer.name, message))) }
      case "receipts": {
        only(peer, "node")
        await this.#admit(peer)
        const acceptance = await receipts.take(peer.name, message)
        metrics.count("chappe_relay_receipts_total")
        return { name: "accepted", acceptance }
      }
      case "journal":
        only(peer, "node")
        await this.#admit(peer)
        return { name: "accepted", acceptance: await receipts.takeJournal(peer.name, message) }
      case "evidence":
        only(peer, "relay")
        await receipts.takeEvidence(message)
        return { name: "done" }
      case "control":
        await controls.take(peer, message.control)
        return { name: "done" }
      case "tombstone":
        await controls.takeTombstone(peer, message.tombstone)
        return { name: "done" }
      case "bodyOffer":
        if (peer.role === "node") this.#parts.draining.demandOpen(peer)
        return { name: "bodyHave", offset: await attachments.offer(message.body) }
      case "bodyPut":
        return { name: "bodyHave", offset: await attachments.put(message) }
      case "bodyGet":
        only(peer, "node")
        return { name: "bodyPart", part: await attachments.get(peer.name, message) }
      case "statementPut": {
        const { sort: kind, statement } = message
        await statements.take({ kind, statement }, peer.name)
        return { name: "done" }
      }
      case "prekeysPut":
        if (peer.role === "node" && message.member !== peer.name)
          throw new ChappeError("forbidden", `${peer.name} brings keys of ${message.member}`)
        await statements.takePrekeys(message.member, message.keys, peer.name)
        return { name: "done" }
      case "prekeysGet":
        return { name: "prekeysPart", keys: await statements.prekeys(message.hashes) }
      case "directoryGet":
      case "proofsGet":
      case "consistencyGet":
        return this.#fromLog(message)
      case "checkpoint":
        return this.#checkpoint(peer, message)
      case "promise":
        await this.#parts.rollback.promised(peer.name, utf8(message.promise))
        return { name: "done" }
      case "draining":
        only(peer, "relay")
        this.#parts.links.drains(peer, message.isOn)
        return { name: "done" }
      case "probe":
        only(peer, "relay")
        return this.#parts.probes.passOn(message)
      case "deliver":
      case "cosignatures":
      case "done":
      case "refused":
      case "accepted":
      case "custody":
      case "bodyHave":
      case "bodyPart":
      case "directoryPart":
      case "prekeysPart":
      case "cosigned":
      case "proofs":
      case "consistency":
      case "echo":
        throw new ChappeError("forbidden", `a relay does not take a ${message.name}`)
    }
  }

  /** What a node gives to be logged waits until it is known whether these logs are the newest. */
  async #admit(peer: Peer): Promise<void> {
    await this.#parts.witnessing.admit(peer)
    await this.#parts.logStart.begun()
  }

  async #counted<T>(taking: Promise<T>): Promise<T> {
    const { metrics } = this.#parts
    try {
      const taken = await taking
      metrics.count("chappe_relay_submits_total")
      return taken
    } catch (cause) {
      const code = cause instanceof ChappeError ? cause.code : "internal"
      metrics.count("chappe_relay_refusals_total", { code })
      throw cause
    }
  }

  async #fromLog(
    message: LinkMessage<"directoryGet" | "proofsGet" | "consistencyGet">,
  ): Promise<Request> {
    const log = this.#parts.logOf(message.origin)
    if (log === undefined) throw new ChappeError("not-found", `${message.origin} is not kept here`)
    if (message.name === "directoryGet") {
      if (message.origin.includes("/traffic/"))
        throw new ChappeError("forbidden", "traffic entries are for auditors")
      const entries = await log.entries(message.from)
      return { name: "directoryPart", size: log.head.size, entries }
    }
    if (message.name === "proofsGet")
      return { name: "proofs", paths: await log.inclusion(message.size, message.indexes) }
    return { name: "consistency", path: await log.consistency(message.from, message.to) }
  }

  async #checkpoint(peer: Peer, message: LinkMessage<"checkpoint">): Promise<Request> {
    const { checkpoint } = parseAddCheckpoint(utf8(message.body))
    if (this.#parts.rollback.isOwn(message.origin)) {
      await this.#parts.rollback.shown(peer.name, message.origin, checkpoint)
      return { name: "done" }
    }
    only(peer, "relay")
    // Reading on asks the peer in turn: it is not kept waiting for that.
    this.#parts.following.heard(peer, message.origin, checkpoint).catch((cause: unknown) => {
      if (!(cause instanceof ChappeError)) throw cause
      this.#parts.journal.warn("following", {
        peer: peer.name,
        origin: message.origin,
        code: cause.code,
        why: cause.message,
      })
    })
    return { name: "done" }
  }
}

function only(peer: Peer, role: Peer["role"]): void {
  if (peer.role !== role) throw new ChappeError("forbidden", `only a ${role} may ask this`)
}
