// Attachment bodies over links, both ways, resumable: what a break repeats is one part.

import { toHex } from "../../protocol/bytes.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { linkLanes } from "../../protocol/frames.ts"
import { limits } from "../../protocol/limits.ts"
import type { AttachmentRef } from "../../protocol/link-messages.ts"
import { ask } from "./ask.ts"
import type { DiskRoom } from "./disk-room.ts"
import type { LinkTable } from "./link-table.ts"
import type { BodyFiles, RelayLink } from "./ports.ts"

export class BodyTransfer {
  readonly #files: BodyFiles
  readonly #links: LinkTable
  readonly #room: DiskRoom
  readonly #uploads = new Map<string, Promise<void>>()
  readonly #downloads = new Map<string, Promise<void>>()

  constructor(files: BodyFiles, links: LinkTable, room: DiskRoom) {
    this.#files = files
    this.#links = links
    this.#room = room
  }

  /** Until the relay has the body whole. Refused as the relay refuses; `not-found` without a copy here. */
  async upload(link: RelayLink, body: AttachmentRef): Promise<void> {
    await once(this.#uploads, `${link.relay}/${toHex(body.hash)}`, () => this.#upload(link, body))
  }

  /** Until the body is whole here, from the first relay that gives it. Refused: `attachments-missing`. */
  async download(body: AttachmentRef, first?: RelayLink): Promise<void> {
    await once(this.#downloads, toHex(body.hash), () => this.#download(body, first))
  }

  async #upload(link: RelayLink, body: AttachmentRef): Promise<void> {
    const { hash, length } = body
    const offer = { name: "bodyOffer", body } as const
    let { offset } = await ask(link, linkLanes.bulk, offer, "bodyHave")
    while (offset < length) {
      const part = await this.#files.read(hash, offset, limits.bodyPartBytesMax)
      const put = { name: "bodyPut", hash, offset, part } as const
      const have = await ask(link, linkLanes.bulk, put, "bodyHave")
      // Neither more nor less: a body that does not have its hash would be sent for ever.
      if (have.offset <= offset)
        throw new ChappeError("link-down", `${link.relay} takes no more of an attachment`)
      offset = have.offset
    }
  }

  async #download(body: AttachmentRef, first: RelayLink | undefined): Promise<void> {
    // A courier may have brought it.
    if ((await this.#files.state(body.hash)).kind === "whole") return
    const others = this.#links.inOrder().filter((link) => link !== first)
    for (const link of first === undefined ? others : [first, ...others]) {
      try {
        return await this.#downloadFrom(link, body)
      } catch (cause) {
        if (!(cause instanceof ChappeError) || isOwnDisk(cause)) throw cause
      }
    }
    throw new ChappeError("attachments-missing", "no relay gives the attachment now")
  }

  async #downloadFrom(link: RelayLink, { hash, length }: AttachmentRef): Promise<void> {
    const state = await this.#files.state(hash)
    if (state.kind === "whole") return
    let offset = state.kind === "partial" ? state.length : 0
    if (!this.#room.has(length - offset))
      throw new ChappeError("attachments-missing", "the disk has no room for the attachment now")
    while (offset < length) {
      const wanted = Math.min(limits.bodyPartBytesMax, length - offset)
      const get = { name: "bodyGet", hash, offset, length: wanted } as const
      const { part } = await ask(link, linkLanes.bulk, get, "bodyPart")
      if (part.length === 0 || part.length > wanted)
        throw new ChappeError("body", `${link.relay} gives no part at ${offset}`)
      await this.#files.append(hash, offset, part)
      offset += part.length
    }
    await this.#files.finish(hash, length)
  }
}

function isOwnDisk({ code }: ChappeError): boolean {
  return code === "storage" || code === "disk-full"
}

/** Whoever asks while it runs waits for the same run. */
function once(
  running: Map<string, Promise<void>>,
  key: string,
  task: () => Promise<void>,
): Promise<void> {
  const before = running.get(key)
  if (before !== undefined) return before
  const run = task().finally(() => running.delete(key))
  running.set(key, run)
  return run
}
