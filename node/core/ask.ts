// Asking a relay and getting the one kind of answer that fits.

import type { LinkLane } from "../../protocol/frames.ts"
import { ChappeError, type ErrorCode, isErrorCode } from "../../protocol/errors.ts"
import type { LinkMessage, LinkMessageName } from "../../protocol/link-messages.ts"
import type { LinkRequest, RelayLink } from "./ports.ts"

/** What these say of the relay's own disk and keys is not to be taken for ours, and will pass. */
const itsOwnTroubles: readonly ErrorCode[] = [
  "storage",
  "disk-full",
  "damaged",
  "tampered",
  "key-expired",
  "internal",
]

/**
 * The relay said no. `isFinal`: the same bytes will never be taken. A code that we do not know, or that
 * tells of the relay's own trouble, is `busy`.
 */
export class Refused extends ChappeError {
  readonly isFinal: boolean
  readonly retrySeconds: number

  constructor(relay: string, answer: LinkMessage<"refused">) {
    const isAboutUs = isErrorCode(answer.code) && !itsOwnTroubles.includes(answer.code)
    super(isAboutUs ? answer.code : "busy", `${relay} refuses with ${answer.code}`)
    this.isFinal = answer.final && isAboutUs
    this.retrySeconds = answer.retrySeconds
  }
}

function isNamed<Name extends LinkMessageName>(
  message: LinkMessage,
  name: Name,
): message is LinkMessage<Name> {
  return message.name === name
}

/** Rejects with `Refused`, with `link-down`, and with `frame` for an answer of another kind. */
export async function ask<Name extends LinkMessageName>(
  link: RelayLink,
  lane: LinkLane,
  message: LinkRequest,
  wanted: Name,
): Promise<LinkMessage<Name>> {
  const answer = await link.ask(lane, message)
  if (isNamed(answer, wanted)) return answer
  if (isNamed(answer, "refused")) throw new Refused(link.relay, answer)
  throw new ChappeError("frame", `${link.relay} answers ${message.name} with ${answer.name}`)
}
