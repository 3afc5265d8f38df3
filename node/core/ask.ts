// Asking a relay and getting the one kind of answer that fits.

import type { LinkLane } from "../../protocol/frames.ts"
import { ChappeError, isErrorCode } from "../../protocol/errors.ts"
import type { LinkMessage, LinkMessageName } from "../../protocol/link-messages.ts"
import type { LinkRequest, RelayLink } from "./ports.ts"

/** The relay said no. `isFinal`: the same bytes will never be taken. */
export class Refused extends ChappeError {
  readonly isFinal: boolean
  readonly retrySeconds: number

  constructor(relay: string, answer: LinkMessage<"refused">) {
    const code = isErrorCode(answer.code) ? answer.code : "busy"
    super(code, `${relay} refuses with ${answer.code}`)
    this.isFinal = answer.final
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
