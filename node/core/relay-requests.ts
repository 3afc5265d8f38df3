// What relays ask of this node over their links, and what it answers.

import { ChappeError } from "../../protocol/errors.ts"
import type { LinkMessage } from "../../protocol/link-messages.ts"
import type { Controls } from "./controls.ts"
import type { DirectoryFollower } from "./directory-follower.ts"
import type { Evidence } from "./evidence.ts"
import type { Inbox } from "./inbox.ts"
import type { LinkRequest, Log, RelayLink } from "./ports.ts"
import type { Proofs } from "./proofs.ts"
import type { Witness } from "./witness.ts"

export class RelayRequests {
  readonly #inbox: Inbox
  readonly #evidence: Evidence
  readonly #controls: Controls
  readonly #witness: Witness
  readonly #follower: DirectoryFollower
  readonly #proofs: Proofs
  readonly #log: Log

  constructor(options: {
    readonly inbox: Inbox
    readonly evidence: Evidence
    readonly controls: Controls
    readonly witness: Witness
    readonly follower: DirectoryFollower
    readonly proofs: Proofs
    readonly log: Log
  }) {
    this.#inbox = options.inbox
    this.#evidence = options.evidence
    this.#controls = options.controls
    this.#witness = options.witness
    this.#follower = options.follower
    this.#proofs = options.proofs
    this.#log = options.log
  }

  /** Never rejects for a peer's mistake; rejects when this node's disk fails. */
  async answer(link: RelayLink, message: LinkMessage): Promise<LinkRequest> {
    try {
      return await this.#answer(link, message)
    } catch (cause) {
      if (!(cause instanceof ChappeError)) throw cause
      if (cause.code === "storage" || cause.code === "disk-full") throw cause
      this.#log.info("request-refused", { relay: link.relay, name: message.name, code: cause.code })
      const isPassing = cause.code === "stale" || cause.code === "link-down"
      return {
        name: "refused",
        code: cause.code,
        final: !isPassing,
        retrySeconds: isPassing ? 10 : 0,
      }
    }
  }

  async #answer(link: RelayLink, message: LinkMessage): Promise<LinkRequest> {
    switch (message.name) {
      case "deliver": {
        const answer = await this.#inbox.deliver(link, message)
        if (answer.kind === "taken") return { name: "done" }
        const { code, final, retrySeconds } = answer
        return { name: "refused", code, final, retrySeconds }
      }
      case "evidence":
        await this.#evidence.take(link, message)
        return { name: "done" }
      case "control":
        await this.#controls.take(link, message.control)
        return { name: "done" }
      case "checkpoint":
        return await this.#cosign(link, message)
      case "statementPut":
        this.#follower.learn(message.sort, message.statement)
        return { name: "done" }
      case "done":
      case "refused":
      case "submit":
      case "accepted":
      case "forward":
      case "custody":
      case "receipts":
      case "bodyOffer":
      case "bodyHave":
      case "bodyPut":
      case "bodyGet":
      case "bodyPart":
      case "directoryGet":
      case "directoryPart":
      case "prekeysPut":
      case "prekeysGet":
      case "prekeysPart":
      case "cosigned":
      case "proofsGet":
      case "proofs":
      case "consistencyGet":
      case "consistency":
      case "journal":
        throw new ChappeError("frame", `a relay asks a node for ${message.name}`)
    }
  }

  async #cosign(link: RelayLink, message: LinkMessage<"checkpoint">): Promise<LinkRequest> {
    const { origin, body } = message
    const { status, body: answer, checkpoint } = await this.#witness.cosign(origin, body)
    if (checkpoint !== undefined) this.#follow(link, checkpoint)
    return { name: "cosigned", status, body: answer }
  }

  /** What a new head is good for, after it was answered. */
  #follow(
    link: RelayLink,
    { opened, note }: NonNullable<Awaited<ReturnType<Witness["cosign"]>>["checkpoint"]>,
  ): void {
    const isDirectory = opened.origin === `${link.relay}/directory`
    const task = isDirectory
      ? this.#follower.refresh(link).then(() => this.#follower.confirmCheckpoint(opened, note))
      : this.#proofs.fetch(link, opened, note)
    task.catch((cause: unknown) => {
      if (!(cause instanceof ChappeError)) throw cause
      this.#log.info("checkpoint", { origin: opened.origin, code: cause.code })
    })
  }
}
