// Who writes to whom, as anybody can read it in an envelope's header: no key opens more than this.

import { decodeHeader, messageIdOf, precedences, toHex } from "chappe/protocol"
import { sha256 } from "chappe/keys"

/** `header`: the bytes that travel in front of every message. */
export function describeEnvelope(header: Uint8Array): string {
  const { core } = decodeHeader(header)
  const recipients = core.recipients.map(({ node }) => node).join(", ")
  return [
    `message   ${toHex(messageIdOf(sha256, header))}`,
    `from      ${core.senderNode}`,
    `to        ${recipients}`,
    `urgency   ${precedences[core.precedence]}`,
    `created   ${new Date(core.created * 1000).toISOString()}`,
    `expires   ${new Date(core.expires * 1000).toISOString()}`,
    `body      ${core.bodyLength} bytes`,
  ].join("\n")
}
