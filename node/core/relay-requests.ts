// What relays ask of this node over their links, and what it answers.

import { ChappeError, type ErrorCode } from "../../protocol/errors.ts"
import { linkLanes } from "../../protocol/frames.ts"
import { fromUtf8, utf8 } from "../../protocol/bytes.ts"
import { encodeAddCheckpoint } from "../../protocol/witness-request.ts"
import type { Alarms } from "./alarms.ts"
import { ask } from "./ask.ts"
import type { LinkMessage } from "../../protocol/link-messages.ts"
import type { Controls } from "./controls.ts"
import type { Cosignatures } from "./cosignatures.ts"
import type { DirectoryFollower } from "./directory-follower.ts"
import type { Evidence } from "./evidence.ts"
import type { Inbox } from "./inbox.ts"
import type { LinkTable } from "./link-table.ts"
import type { LinkRequest, Log, RelayLink } from "./ports.ts"
import type { Proofs } from "./proofs.ts"
import type { Witness, WitnessAnswer } from "./witness.ts"

type Shown = NonNullable<WitnessAnswer["checkpoint"]>

/** What the same bytes may get over. */
const passing: readonly ErrorCode[] = ["stale", "link-down", "busy", "clock", "too-early"]

export class RelayRequests {
  readonly #inbox: Inbox
  readonly #evidence: Evidence
  readonly #controls: Controls
  readonly #witness: Witness
  readonly #cosignatures: Cosignatures
  readonly #follower: DirectoryFollower
  readonly #proofs: Proofs
  readonly #links: LinkTable
  readonly #alarms: Alarms
  readonly #log: Log

  constructor(options: {
    readonly inbox: Inbox
    readonly evidence: Evidence
    readonly controls: Controls
    readonly witness: Witness
    readonly cosignatures: Cosignatures
    readonly follower: DirectoryFollower
    readonly proofs: Proofs
    readonly links: LinkTable
    readonly alarms: Alarms
    readonly log: Log
  }) {
    this.#inbox = options.inbox
    this.#evidence = options.evidence
    this.#controls = options.controls
    this.#witness = options.witness
    this.#cosignatures = options.cosignatures
    this.#follower = options.follower
    this.#proofs = options.proofs
    this.#links = options.links
    this.#alarms = options.alarms
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
      const isPassing = passing.includes(cause.code)
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
      case "tombstone":
        await this.#inbox.settleByTombstone(link, message.tombstone)
        return { name: "done" }
      case "checkpoint":
        return await this.#cosign(link, message)
      case "cosignatures":
        this.#cosignatures.take(message.origin, message.checkpoint)
        return { name: "done" }
      case "statementPut":
        this.#follower.learn(message.sort, message.statement, link.relay)
        return { name: "done" }
      case "draining":
        this.#links.drains(link, message.isOn)
        this.#log.info("draining", { relay: link.relay, isOn: message.isOn ? 1 : 0 })
        return { name: "done" }
      case "probe":
        return { name: "echo", echo: this.#controls.echo(message) }
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
      case "echo":
      case "promise":
        throw new ChappeError("frame", `a relay asks a node for ${message.name}`)
    }
  }

  async #cosign(link: RelayLink, message: LinkMessage<"checkpoint">): Promise<LinkRequest> {
    const { origin, body } = message
    const judged = await this.#witness.cosign(origin, body)
    const { status, body: answer, checkpoint, before, promise } = judged
    if (before !== undefined) this.#show(link, origin, before)
    if (checkpoint !== undefined) {
      if (promise !== undefined) this.#showPromise(link, promise, checkpoint)
      this.#follow(link, checkpoint)
    }
    return { name: "cosigned", status, body: answer }
  }

  /** A relay that was put back from an old copy learns it by its own word. */
  #show(link: RelayLink, origin: string, note: Uint8Array): void {
    const body = fromUtf8(encodeAddCheckpoint({ old: 0, path: [], checkpoint: note }))
    const told = ask(link, linkLanes.control, { name: "checkpoint", origin, body }, "done")
    told.catch((cause: unknown) => {
      if (!(cause instanceof ChappeError)) throw cause
      this.#log.info("rollback-shown", { origin, code: cause.code })
    })
  }

  /** The same, before a checkpoint told of it: it promised more than it shows. */
  #showPromise(link: RelayLink, promise: string, shown: Shown): void {
    ask(link, linkLanes.control, { name: "promise", promise }, "done").catch(
      async (cause: unknown) => {
        if (!(cause instanceof ChappeError)) throw cause
        const { origin, size } = shown.opened
        this.#log.info("rollback-shown", { origin, code: cause.code })
        if (cause.code === "rollback")
          await this.#alarms.raise("log-rollback", `${origin} ${size}`, [utf8(promise), shown.note])
      },
    )
  }

  /** What a new head is good for, after it was answered. */
  #follow(link: RelayLink, { opened, note }: Shown): void {
    const isDirectory = opened.origin.startsWith(`${link.relay}/directory`)
    const task = isDirectory
      ? this.#follower.refresh(link).then(() => this.#follower.confirmCheckpoint(opened, note))
      : this.#proofs.fetch(link, opened, note)
    task.catch((cause: unknown) => {
      if (!(cause instanceof ChappeError)) throw cause
      this.#log.info("checkpoint", { origin: opened.origin, code: cause.code })
    })
  }
}
